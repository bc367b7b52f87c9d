// Never run: what the compiler must take from a frontend, and what it must not.

import { TodoError, cachedToken, createTodoClient } from "todo-backend-client";
import type { ListQuery, NewTask, Task, TaskChanges } from "todo-backend-client";

const token = cachedToken(async () => "…");
const todo = createTodoClient({ baseUrl: "http://127.0.0.1:8000", token });
const named = createTodoClient({ baseUrl: "http://127.0.0.1:8000", token: () => "…", userId: "ada" });

const query: ListQuery = { status: "pending", sort: "due_date", limit: 10 };
const tasks: Task[] = await todo.list(query, { signal: AbortSignal.timeout(1000) });
const draft: NewTask = { title: "Buy milk", due_date: "2026-01-02" };
const task = await named.create(draft);
const id: number = task.id;
const due: string | null = task.due_date;
const changes: TaskChanges = { description: null, due_date: null };
await todo.update(id, changes, { headers: { "If-Match": '"1"' } });
await todo.update(id, { ...task, completed: true });
await todo.complete(id, true);
await todo.complete(id);
await todo.remove(id);
for await (const page of todo.pages({ limit: 50, sort: "title" })) console.log(page.length, due, tasks);

try {
  await todo.get(id);
} catch (error) {
  if (error instanceof TodoError) console.log(error.status, error.errors.title, error.problem.detail, error.requestId);
}

// Contract B by its own paths, with headers that the functions do not show.
const { data, response } = await todo.api.GET("/api/{user_id}/tasks", { params: { path: { user_id: "ada" } } });
console.log(data?.[0]?.title, response.headers.get("ETag"));

// @ts-expect-error there is no such sort
await todo.list({ sort: "priority" });
// @ts-expect-error a task needs a title
await todo.create({ description: "Semi-skimmed" });
// @ts-expect-error a title cannot be cleared
await todo.update(id, { title: null });
// @ts-expect-error there is no such path
await todo.api.GET("/api/todos");
// @ts-expect-error somebody has to be signed in
createTodoClient({ baseUrl: "http://127.0.0.1:8000" });
