"use client";
import { useRef } from "react";
import { dueOn, newIdempotencyKey } from "todo-backend-client";
import { useCreateTask } from "todo-backend-client/react";
import { useHydrated } from "@/lib/hydrated";

export function AddTask() {
  const create = useCreateTask();
  const hydrated = useHydrated();
  const form = useRef<HTMLFormElement>(null);
  // The last task that was sent, and its idempotency key. The key is used for all attempts to add the same task, so that
  // an attempt after a lost response adds no second task.
  const sent = useRef({ text: "", idempotencyKey: "" });

  function submit(data: FormData) {
    const task = { title: String(data.get("title")), due_date: dueOn(String(data.get("due_date"))) };
    const text = JSON.stringify(task);
    if (sent.current.text !== text) sent.current = { text, idempotencyKey: newIdempotencyKey() };
    create.mutate(
      { task, idempotencyKey: sent.current.idempotencyKey },
      {
        onSuccess: () => {
          sent.current.text = "";
          form.current?.reset();
        },
      },
    );
  }

  return (
    <form ref={form} className="add" onSubmit={(event) => (event.preventDefault(), submit(new FormData(event.currentTarget)))}>
      <input name="title" aria-label="New task" placeholder="What is there to do?" autoComplete="off" required />
      <input name="due_date" aria-label="Due" type="date" />
      <button className="primary" disabled={create.isPending || !hydrated}>
        Add
      </button>
    </form>
  );
}
