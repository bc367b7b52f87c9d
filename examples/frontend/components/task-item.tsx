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
  // A negative id means that the service has not confirmed the task yet.
  const draft = task.id < 0;

  function stop() {
    setEditing(false);
    // The button gets the keyboard focus again as soon as it is rendered.
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

/** Displays the due date, which is a day that is stored as midnight UTC. In UTC it is the same day for all users. */
function Due({ task }: { task: Task }) {
  const day = dayOf(task);
  // The current day is set after the first rendering, because the server may be in another time zone, and the browser
  // must first render the same HTML as the server.
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
  // The update requires the version that was shown when editing began, so that it cannot overwrite a change that the
  // user has not seen. After a 412, a message has told the user about the change, and saving again overwrites it.
  const [seen] = useState(task);
  const wasRefused = update.error instanceof TodoError && update.error.status === 412;
  const base = wasRefused ? task : seen;

  function submit(data: FormData) {
    const text = (name: string) => String(data.get(name));
    const changes = {
      title: text("title"),
      description: text("description") || null,
      // The due date is sent only if the user has changed it, because another program may have set a time of day, which
      // the form does not show.
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
