"use client";
/** React hooks based on TanStack Query: for lists, for pages, and for optimistic writes, which are undone on an error. */
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

const LIST = "list";
const PAGES = "pages";
/**
 * The keys of the query cache. Each key contains the path of the tasks. If the client has a `userId`, the path contains
 * the user, so that a user never sees cached data of another user.
 */
const keys = {
  all: (todo: TodoClient) => ["todo-backend", todo.path] as const,
  list: (todo: TodoClient, query: ListQuery) => [...keys.all(todo), LIST, query] as const,
  pages: (todo: TodoClient, query: PageQuery) => [...keys.all(todo), PAGES, query] as const,
};

/** Only failures that may be temporary are retried, because any other request would fail again. */
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

/** The list page by page, for a "load more" button. `initialPage` is the first page, if the server has fetched it. */
export function useTaskPages(query: PageQuery, { initialPage }: { initialPage?: Page | undefined } = {}) {
  const todo = useTodoClient();
  // The initial data counts as fetched at the first render, so that it becomes stale and is fetched again later.
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

/** A task to create. Pass the same `idempotencyKey` in each attempt to add it, so that it is created only once. */
export interface Creation {
  task: NewTask;
  idempotencyKey?: string;
}

/**
 * Creates a task. Lists that begin with the newest task show it immediately, with a negative id until the response has
 * arrived. Other lists show it after the response.
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

/**
 * Changes a task. The request fails with 412 if the task has changed since `task` was read, so that no change is
 * overwritten that the user has not seen.
 */
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
      // A 404 is not an error here: the task does not exist, which is the desired result.
      await todo.remove(id).catch((error) => {
        if (!(error instanceof TodoError && error.status === 404)) throw error;
      });
      return undefined;
    },
    (tasks, _, { id }) => tasks.filter((task) => task.id !== id),
  );
}

/** An optimistic write: `show` applies it to every list immediately, and the lists are restored if the write fails. */
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
    // The lists get the new version of the task, because the next write to the task needs it.
    onSuccess: (task) => task && eachList(queries, all, (tasks, query) => replaced(tasks, query, task)),
    // Of several concurrent writes, only the last one fetches the lists again, because the result of an earlier fetch
    // would not contain the other changes.
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

/**
 * Applies a change to the tasks of all pages, and moves the result into the first page. Users do not notice this,
 * because they see one list, and the pages are fetched again after the write.
 */
function changed(pages: Page[], query: ListQuery, change: (tasks: Task[], query: ListQuery) => Task[]): Page[] {
  const tasks = change(pages.flatMap((page) => page.tasks), query);
  return pages.map((page, at) => ({ ...page, tasks: at === 0 ? tasks : [] }));
}

const belongs = ({ completed }: Task, { status = "all" }: ListQuery) =>
  status === "all" || completed === (status === "completed");

const replaced = (tasks: Task[], query: ListQuery, task: Task) =>
  tasks.flatMap((old) => (old.id !== task.id ? [old] : belongs(task, query) ? [task] : []));

/** The changes without those that are `undefined`, because JSON does not contain them either. */
const defined = (changes: TaskChanges) =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as Partial<Task>;
