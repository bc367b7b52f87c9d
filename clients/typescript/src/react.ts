"use client";
/** React hooks on top of TanStack Query: lists, pages, and optimistic writes that are rolled back if they are refused. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { InfiniteData, QueryClient, QueryKey } from "@tanstack/react-query";
import { createContext, createElement, useContext, useState } from "react";
import type { ReactNode } from "react";
import { NetworkError, TodoError } from "./errors.js";
import type { ListQuery, NewTask, Page, PageQuery, Task, TaskChanges, TodoClient } from "./index.js";

const Client = createContext<TodoClient | undefined>(undefined);

/** Provides the client for the hooks below. Create it with the `userId` of the user who is signed in. */
export function TodoProvider({ client, children }: { client: TodoClient; children: ReactNode }) {
  return createElement(Client.Provider, { value: client }, children);
}

export function useTodoClient(): TodoClient {
  const client = useContext(Client);
  if (client === undefined) throw new Error("The hooks of todo-backend-client need a <TodoProvider> around them.");
  return client;
}

/** With `userId`, the path in every key names the user, so that no user is shown cached data of another one. */
const LIST = "list";
const PAGES = "pages";
const keys = {
  all: (todo: TodoClient) => ["todo-backend", todo.path] as const,
  list: (todo: TodoClient, query: ListQuery) => [...keys.all(todo), LIST, query] as const,
  pages: (todo: TodoClient, query: PageQuery) => [...keys.all(todo), PAGES, query] as const,
};

/** Retries only failures that may be temporary. A refused request would be refused again. */
const retry = (failures: number, error: Error) =>
  failures < 2 &&
  (error instanceof NetworkError || (error instanceof TodoError && (error.status >= 500 || error.status === 429)));
const retryDelay = (failures: number, error: Error) =>
  1000 * ((error instanceof TodoError ? error.retryAfter : undefined) ?? 2 ** failures);

/** The complete list. */
export function useTasks(query: ListQuery = {}) {
  const todo = useTodoClient();
  return useQuery({
    queryKey: keys.list(todo, query),
    queryFn: ({ signal }) => todo.list(query, { signal }),
    retry,
    retryDelay,
  });
}

/** The list page by page, for a "load more" button. `initialPage` is a page that the server fetched for rendering. */
export function useTaskPages(query: PageQuery, { initialPage }: { initialPage?: Page | undefined } = {}) {
  const todo = useTodoClient();
  // The age of the initial data counts from the first render, so that it is fetched again when it is stale.
  const [initialDataUpdatedAt] = useState(Date.now);
  return useInfiniteQuery({
    queryKey: keys.pages(todo, query),
    queryFn: ({ pageParam, signal }) =>
      todo.page(pageParam === undefined ? query : { ...query, cursor: pageParam }, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Page) => last.next,
    ...(initialPage && { initialData: { pages: [initialPage], pageParams: [undefined] }, initialDataUpdatedAt }),
    retry,
    retryDelay,
  });
}

/** Use the same `idempotencyKey` for every attempt to add this task, so that it is created once. */
export interface Creation {
  task: NewTask;
  idempotencyKey?: string;
}

/**
 * Shows the new task at once in lists that begin with the newest; other lists show it after the answer. Until then
 * its id is negative.
 */
export function useCreateTask() {
  return useTaskWrite(
    (todo, { task, idempotencyKey }: Creation) => todo.create(task, idempotencyKey === undefined ? {} : { idempotencyKey }),
    (tasks, query, { task }) => {
      if (query.sort !== undefined && query.sort !== "created") return tasks;
      const now = new Date().toISOString();
      const shown = { description: null, completed: false, due_date: null, ...task };
      const draft: Task = { id: -Date.now(), user_id: "", created_at: now, updated_at: now, version: 0, ...shown };
      return belongs(draft, query) ? [draft, ...tasks] : tasks;
    },
  );
}

/** Fails with 412 if the task has changed since `task` was read, so that no change is overwritten unseen. */
export function useUpdateTask() {
  return useTaskWrite(
    (todo, { task, changes }: { task: Task; changes: TaskChanges }) =>
      todo.update(task.id, changes, { ifMatch: task.version }),
    (tasks, query, { task, changes }) => replaced(tasks, query, { ...task, ...defined(changes) }),
  );
}

export function useCompleteTask() {
  return useTaskWrite(
    (todo, { task, completed }: { task: Task; completed: boolean }) => todo.complete(task.id, completed),
    (tasks, query, { task, completed }) => replaced(tasks, query, { ...task, completed }),
  );
}

export function useRemoveTask() {
  return useTaskWrite(
    async (todo, { id }: Task) => {
      // A task that no longer exists is the desired result.
      await todo.remove(id).catch((error) => {
        if (!(error instanceof TodoError && error.status === 404)) throw error;
      });
      return undefined;
    },
    (tasks, _, { id }) => tasks.filter((task) => task.id !== id),
  );
}

/** An optimistic write: every list shows it at once, and it is rolled back if it is refused. */
function useTaskWrite<Input>(
  write: (todo: TodoClient, input: Input) => Promise<Task | undefined>,
  show: (tasks: Task[], query: ListQuery, input: Input) => Task[],
) {
  const todo = useTodoClient();
  const queries = useQueryClient();
  const all = keys.all(todo);
  return useMutation({
    mutationKey: all,
    mutationFn: (input: Input) => write(todo, input),
    onMutate: async (input: Input) => {
      await queries.cancelQueries({ queryKey: all });
      const before = queries.getQueriesData({ queryKey: all });
      eachList(queries, all, (tasks, query) => show(tasks, query, input));
      return before;
    },
    onError: (_error, _input, before) => before?.forEach(([key, data]) => queries.setQueryData(key, data)),
    // The next write to this task needs its new version.
    onSuccess: (task) => task && eachList(queries, all, (tasks, query) => replaced(tasks, query, task)),
    // Of several concurrent writes only the last one refetches: an earlier result would lack the others.
    onSettled: () => (queries.isMutating({ mutationKey: all }) === 1 ? queries.invalidateQueries({ queryKey: all }) : undefined),
  });
}

function eachList(queries: QueryClient, all: QueryKey, change: (tasks: Task[], query: ListQuery) => Task[]) {
  for (const { queryKey } of queries.getQueryCache().findAll({ queryKey: all })) {
    const query = queryKey[3] as ListQuery;
    if (queryKey[2] === LIST) {
      queries.setQueryData<Task[]>(queryKey, (tasks) => tasks && change(tasks, query));
    } else {
      queries.setQueryData<InfiniteData<Page>>(queryKey, (data) => data && { ...data, pages: changed(data.pages, query, change) });
    }
  }
}

/** Puts all tasks into the first page. Users do not see pages, and the pages are fetched again anyway. */
function changed(pages: Page[], query: ListQuery, change: (tasks: Task[], query: ListQuery) => Task[]): Page[] {
  const tasks = change(pages.flatMap((page) => page.tasks), query);
  return pages.map((page, at) => ({ ...page, tasks: at === 0 ? tasks : [] }));
}

const belongs = ({ completed }: Task, { status = "all" }: ListQuery) =>
  status === "all" || completed === (status === "completed");

const replaced = (tasks: Task[], query: ListQuery, task: Task) =>
  tasks.flatMap((old) => (old.id !== task.id ? [old] : belongs(task, query) ? [task] : []));

/** The changes without `undefined` values, which JSON omits as well. */
const defined = (changes: TaskChanges) =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as Partial<Task>;
