"use client";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { useState } from "react";
import { cachedToken, createTodoClient, TodoError } from "todo-backend-client";
import type { Page, PageQuery } from "todo-backend-client";
import { TodoProvider, useTaskPages } from "todo-backend-client/react";
import { fetchToken, SignedOut } from "@/lib/auth-client";
import { useHydrated } from "@/lib/hydrated";
import { queryOf, SORTS, STATUSES } from "@/lib/query";
import { AddTask } from "./add-task";
import { Header } from "./header";
import { Notice, words } from "./notice";
import { TaskItem } from "./task-item";

interface Props {
  user: { id: string; name: string };
  todoUrl: string;
  initial: { query: PageQuery; page: Page };
}

/** The client and its cache belong to the user of this page, even if another user signs in in another tab. */
export function Tasks({ user, todoUrl, initial }: Props) {
  const [stranger, setStranger] = useState(false);
  const [refused, setRefused] = useState<Error | null>(null);
  const [{ todo, queries }] = useState(() => {
    let leaving = false;
    function onError(error: Error) {
      // Once: a refused write is followed by a refused list, and a second navigation would abort the first.
      if (error instanceof SignedOut && !leaving) {
        leaving = true;
        window.location.assign("/sign-in");
      }
      // The token is another user's: the service has refused it, because the client names the user of this page.
      if (error instanceof TodoError && error.status === 403) setStranger(true);
    }
    return {
      todo: createTodoClient({ baseUrl: todoUrl, userId: user.id, token: cachedToken(fetchToken) }),
      queries: new QueryClient({
        queryCache: new QueryCache({ onError }),
        // Errors are kept here and not in the component that wrote: a rolled-back task is rendered by a new component.
        mutationCache: new MutationCache({
          onMutate: () => setRefused(null),
          onError: (error) => (onError(error), setRefused(error)),
        }),
        defaultOptions: { queries: { staleTime: 5_000 } },
      }),
    };
  });
  if (stranger) return <Stranger />;
  return (
    <QueryClientProvider client={queries}>
      <TodoProvider client={todo}>
        <Header name={user.name} />
        <main>
          <AddTask />
          <TaskList initial={initial} />
          <Notice error={refused} dismiss={() => setRefused(null)} />
        </main>
      </TodoProvider>
    </QueryClientProvider>
  );
}

function Stranger() {
  return (
    <main className="card narrow">
      <h1>Somebody else has signed in</h1>
      <p role="alert">Another account is signed in in this browser now. This page has changed nothing of theirs.</p>
      <button className="primary" onClick={() => window.location.assign("/")}>
        Show that account
      </button>
    </main>
  );
}

function TaskList({ initial }: Pick<Props, "initial">) {
  const address = useSearchParams();
  const hydrated = useHydrated();
  const query = queryOf((name) => address.get(name));
  const first = query.status === initial.query.status && query.sort === initial.query.sort;
  const pages = useTaskPages(query, first ? { initialPage: initial.page } : {});
  const tasks = pages.data?.pages.flatMap((page) => page.tasks) ?? [];

  function show(change: Partial<typeof query>) {
    const { status, sort } = { ...query, ...change };
    window.history.replaceState(null, "", `?status=${status}&sort=${sort}`);
  }

  return (
    <section aria-label="Tasks" aria-busy={pages.isFetching || !hydrated} inert={!hydrated}>
      <div className="toolbar">
        <fieldset>
          <legend className="unseen">Show</legend>
          {Object.entries(STATUSES).map(([status, label]) => (
            <label key={status}>
              <input
                type="radio"
                name="status"
                checked={query.status === status}
                onChange={() => show({ status: status as typeof query.status })}
              />
              {label}
            </label>
          ))}
        </fieldset>
        <select
          aria-label="Sort"
          value={query.sort}
          onChange={(event) => show({ sort: event.target.value as typeof query.sort })}
        >
          {Object.entries(SORTS).map(([sort, label]) => (
            <option key={sort} value={sort}>
              {label}
            </option>
          ))}
        </select>
      </div>
      {pages.error && (
        <p role="alert">
          {words(pages.error)} <button onClick={() => pages.refetch()}>Try again</button>
        </p>
      )}
      <ul className="tasks">
        {tasks.map((task) => (
          <TaskItem key={task.id} task={task} />
        ))}
      </ul>
      {pages.isSuccess && tasks.length === 0 && (
        <p className="empty">{query.status === "all" ? "Nothing to do yet. Add your first task above." : "Nothing here."}</p>
      )}
      {pages.isPending && <p className="empty">Loading…</p>}
      {pages.hasNextPage && (
        <button className="more" onClick={() => pages.fetchNextPage()} disabled={pages.isFetchingNextPage}>
          {pages.isFetchingNextPage ? "Loading…" : "Load more"}
        </button>
      )}
    </section>
  );
}
