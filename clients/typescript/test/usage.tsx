// This file is compiled but never run. It contains code that the compiler must accept, and code that it must refuse.

import { LIMITS, NetworkError, TodoError, cachedToken, createTodoClient, dayOf, dueOn, newIdempotencyKey } from "todo-backend-client";
import type { ErrorCode, ListQuery, NewTask, Task, TaskChanges } from "todo-backend-client";
import { TodoProvider, useCompleteTask, useCreateTask, useRemoveTask, useTaskPages, useTasks, useUpdateTask } from "todo-backend-client/react";

const token = cachedToken(async () => "…");
const todo = createTodoClient({ baseUrl: "http://127.0.0.1:8000", token });
const named = createTodoClient({ baseUrl: "http://127.0.0.1:8000", token: () => "…", userId: "ada" });

const query: ListQuery = { status: "pending", sort: "due_date", limit: 10 };
const tasks: Task[] = await todo.list(query, { signal: AbortSignal.timeout(1000) });
const draft: NewTask = { title: "Buy milk", due_date: dueOn("2026-01-02") };
const task = await named.create(draft, { idempotencyKey: newIdempotencyKey() });
const id: number = task.id;
const due: string | null = task.due_date;
const changes: TaskChanges = { description: null, due_date: null };
await todo.update(id, changes, { ifMatch: task.version });
await todo.update(id, { ...task, completed: true });
await todo.complete(id, true);
await todo.complete(id);
await todo.remove(id);
const { tasks: first, next } = await todo.page({ limit: LIMITS.page });
if (next !== undefined) await todo.page({ limit: LIMITS.page, cursor: next });
for await (const page of todo.pages({ limit: 50, sort: "title" })) console.log(page.length, due, tasks, first);

try {
  await todo.get(id);
} catch (error) {
  if (error instanceof TodoError) {
    const code: ErrorCode | undefined = error.codes.title;
    console.log(error.status, error.errors.title, code === "too_long", error.problem.detail, error.requestId, error.retryAfter);
  }
  if (error instanceof NetworkError) console.log(error.cause);
}

// `api` sends requests for which there is no other function.
const response = await todo.api("GET", todo.path, { query: { limit: 1 }, headers: { "If-None-Match": '"1"' } });
console.log(response.headers.get("ETag"));

export function App() {
  return (
    <TodoProvider client={todo}>
      <List />
    </TodoProvider>
  );
}

function List() {
  const whole = useTasks({ status: "pending" });
  const pages = useTaskPages({ limit: 20 }, { initialPage: { tasks, next } });
  const create = useCreateTask();
  const update = useUpdateTask();
  const complete = useCompleteTask();
  const remove = useRemoveTask();
  const act = (task: Task) => {
    create.mutate({ task: draft });
    update.mutate({ task, changes: { title: "Buy oat milk" } });
    complete.mutate({ task, completed: !task.completed });
    remove.mutate(task);
    // @ts-expect-error a title cannot be cleared
    update.mutate({ task, changes: { title: null } });
  };
  return (
    <ul onClick={() => pages.hasNextPage && pages.fetchNextPage()}>
      {whole.data?.map((task) => (
        <li key={task.id} onClick={() => act(task)}>
          {task.title} {dayOf(task)}
        </li>
      ))}
    </ul>
  );
}

// @ts-expect-error `sort` has no such value
await todo.list({ sort: "priority" });
// @ts-expect-error a page needs a limit
await todo.page({ sort: "title" });
// @ts-expect-error a task needs a title
await todo.create({ description: "Semi-skimmed" });
// @ts-expect-error a title cannot be cleared
await todo.update(id, { title: null });
// @ts-expect-error a client needs a token
createTodoClient({ baseUrl: "http://127.0.0.1:8000" });
