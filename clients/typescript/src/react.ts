"use client";
/** TanStack Query over the client: lists, pages, and writes that show at once and are taken back when refused. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { InfiniteData, QueryClient, QueryKey } from "@tanstack/react-query";
import { createContext, createElement, useContext, useState } from "react";
import type { ReactNode } from "react";
import { NetworkError, TodoError } from "./errors.js";
import type { ListQuery, NewTask, Page, PageQuery, Task, TaskChanges, TodoClient } from "./index.js";

const Client = createContext<TodoClient | undefined>(undefined);

/** Gives the hooks below their client: one that was made with the `userId` of whoever is signed in. */
export function TodoProvider({ client, children }: { client: TodoClient; children: ReactNode }) {
  return createElement(Client.Provider, { value: client }, children);
}

export function useTodoClient(): TodoClient {
  const client = useContext(Client);
  if (client === undefined) throw new Error("The hooks of todo-backend-client need a <TodoProvider> around them.");
  return client;
}

/** The user is in every key, so nobody is ever shown what was kept for another. */
const LIST = "list";
const PAGES = "pages";
const keys = {
  all: (todo: TodoClient) => ["todo-backend", todo.path] as const,
  list: (todo: TodoClient, query: ListQuery) => [...keys.all(todo), LIST, query] as const,
  pages: (todo: TodoClient, query: PageQuery) => [...keys.all(todo), PAGES, query] as const,
};

/** A refusal stays one; what the service could not do now, it may be asked for again. */
const retry = (failures: number, error: Error) =>
  failures < 2 &&
  (error instanceof NetworkError || (error instanceof TodoError && (error.status >= 500 || error.status === 429)));
const retryDelay = (failures: number, error: Error) =>
  1000 * ((error instanceof TodoError ? error.retryAfter : undefined) ?? 2 ** failures);

/** The whole list. */
export function useTasks(query: ListQuery = {}) {
  const todo = useTodoClient();
  return useQuery({
    queryKey: keys.list(todo, query),
    queryFn: ({ signal }) => todo.list(query, { signal }),
    retry,
    retryDelay,
  });
}

/** The list page by page, for "load more". `initialPage` is one that the server fetched for this page. */
export function useTaskPages(query: PageQuery, { initialPage }: { initialPage?: Page | undefined } = {}) {
  const todo = useTodoClient();
  // As old as the page: shown again much later, it is asked for anew.
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

/** `idempotencyKey`: the same for each try of a person to add this task, so that it is there once. */
export interface Creation {
  task: NewTask;
  idempotencyKey?: string;
}

/** Shows a new task where the newest come first; elsewhere it comes with the answer. Its id is negative until then. */
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

/** Fails with 412 when `task` is not what the service has any more: nobody's change is overwritten unseen. */
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
      // One that is gone already is what was wanted.
      await todo.remove(id).catch((error) => {
        if (!(error instanceof TodoError && error.status === 404)) throw error;
      });
      return undefined;
    },
    (tasks, _, { id }) => tasks.filter((task) => task.id !== id),
  );
}

/** A write that is shown in every list at once, and taken back when it is refused. */
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
    // Its new version is needed before the next write to it.
    onSuccess: (task) => task && eachList(queries, all, (tasks, query) => replaced(tasks, query, task)),
    // Of several writes at once the last one asks again: an earlier answer would lack the others.
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

/** All in the first page: which one a task is in does not show, and the pages are asked for again anyway. */
function changed(pages: Page[], query: ListQuery, change: (tasks: Task[], query: ListQuery) => Task[]): Page[] {
  const tasks = change(pages.flatMap((page) => page.tasks), query);
  return pages.map((page, at) => ({ ...page, tasks: at === 0 ? tasks : [] }));
}

const belongs = ({ completed }: Task, { status = "all" }: ListQuery) =>
  status === "all" || completed === (status === "completed");

const replaced = (tasks: Task[], query: ListQuery, task: Task) =>
  tasks.flatMap((old) => (old.id !== task.id ? [old] : belongs(task, query) ? [task] : []));

/** Without what is `undefined`, which JSON leaves out as well. */
const defined = (changes: TaskChanges) =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as Partial<Task>;
