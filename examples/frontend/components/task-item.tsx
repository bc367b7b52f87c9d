"use client";
import { useEffect, useId, useRef, useState } from "react";
import { dayOf, dueOn, TodoError, today } from "todo-backend-client";
import type { Task } from "todo-backend-client";
import { useCompleteTask, useRemoveTask, useUpdateTask } from "todo-backend-client/react";

export function TaskItem({ task }: { task: Task }) {
  const [editing, setEditing] = useState(false);
  const complete = useCompleteTask();
  const remove = useRemoveTask();
  const edit = useRef<HTMLButtonElement>(null);
  const name = useId();
  const draft = task.id < 0; // not yet confirmed by the service

  function stop() {
    setEditing(false);
    // Return the keyboard focus to the button once it is rendered again.
    requestAnimationFrame(() => edit.current?.focus());
  }

  if (editing) return <EditTask task={task} stop={stop} />;
  return (
    <li className={task.completed ? "done" : ""} aria-busy={draft}>
      <input
        type="checkbox"
        aria-labelledby={name}
        checked={task.completed}
        disabled={draft}
        onChange={(event) => complete.mutate({ task, completed: event.target.checked })}
      />
      <div className="what">
        <span id={name} className="title">
          {task.title}
        </span>
        {task.description && <p className="description">{task.description}</p>}
        <Due task={task} />
      </div>
      <button ref={edit} aria-label={`Edit ${task.title}`} disabled={draft} onClick={() => setEditing(true)}>
        Edit
      </button>
      <button aria-label={`Delete ${task.title}`} disabled={draft} onClick={() => remove.mutate(task)}>
        Delete
      </button>
    </li>
  );
}

/** Due dates are days, stored as midnight UTC. Formatting in UTC shows the same day in every time zone. */
function Due({ task }: { task: Task }) {
  const day = dayOf(task);
  // Set only in the browser: the server may be in another time zone, and both must render the same HTML first.
  const [now, setNow] = useState("");
  useEffect(() => setNow(today()), []);
  if (!day) return null;
  const late = !task.completed && now !== "" && day < now;
  const text = new Date(`${day}T00:00:00Z`).toLocaleDateString("en", { timeZone: "UTC", dateStyle: "medium" });
  return (
    <time dateTime={day} className={late ? "due late" : "due"}>
      {day === now ? "Today" : text}
      {late && ", overdue"}
    </time>
  );
}

function EditTask({ task, stop }: { task: Task; stop: () => void }) {
  const update = useUpdateTask();
  // The version that was shown when editing began, not the list's current one, so that saving cannot overwrite a
  // change that the user has not seen. After a 412 the user has been told, and saving again overwrites it.
  const [seen] = useState(task);
  const told = update.error instanceof TodoError && update.error.status === 412;
  const base = told ? task : seen;

  function submit(data: FormData) {
    const text = (name: string) => String(data.get(name));
    const changes = {
      title: text("title"),
      description: text("description") || null,
      // Sent only if the user changed it, because another program may have set a time of day.
      ...(text("due_date") !== dayOf(base) && { due_date: dueOn(text("due_date")) }),
    };
    update.mutate({ task: base, changes }, { onSuccess: stop });
  }

  return (
    <li className="editing">
      <form
        className="stack"
        aria-label={`Edit ${seen.title}`}
        onSubmit={(event) => (event.preventDefault(), submit(new FormData(event.currentTarget)))}
        onKeyDown={(event) => event.key === "Escape" && stop()}
      >
        <label>
          Title
          <input name="title" defaultValue={seen.title} required autoFocus />
        </label>
        <label>
          Description
          <textarea name="description" defaultValue={seen.description ?? ""} rows={3} />
        </label>
        <label>
          Due
          <input name="due_date" type="date" defaultValue={dayOf(seen)} />
        </label>
        <div className="buttons">
          <button className="primary" disabled={update.isPending}>
            Save
          </button>
          <button type="button" onClick={stop}>
            Cancel
          </button>
        </div>
      </form>
    </li>
  );
}
