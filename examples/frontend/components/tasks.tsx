"use client";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { useState } from "react";
import { cachedToken, createTodoClient, TodoError } from "todo-backend-client";
import type { Page, PageQuery } from "todo-backend-client";
import { TodoProvider, useTaskPages } from "todo-backend-client/react";
import { fetchToken, SignedOut } from "@/lib/auth-client";
import { useHydrated } from "@/lib/hydrated";
import { parseQuery, SORTS, STATUSES } from "@/lib/query";
import { AddTask } from "./add-task";
import { Header } from "./header";
import { messageFor, Notice } from "./notice";
import { TaskItem } from "./task-item";

interface Props {
  user: { id: string; name: string };
  todoUrl: string;
  initial: { query: PageQuery; page: Page };
}

/** The list of the page's user. The client and its cache belong to this user, even if another one signs in elsewhere. */
export function Tasks({ user, todoUrl, initial }: Props) {
  const [otherUserSignedIn, setOtherUserSignedIn] = useState(false);
  const [writeError, setWriteError] = useState<Error | null>(null);
  const [{ todo, queries }] = useState(() => {
    let leaving = false;
    function onError(error: Error) {
      // The page is left only once. After a failed write the list is fetched, which fails too, and a second navigation
      // would abort the first.
      if (error instanceof SignedOut && !leaving) {
        leaving = true;
        window.location.assign("/sign-in");
      }
      // A 403 means that the token belongs to another user. The client names this page's user in each request.
      if (error instanceof TodoError && error.status === 403) setOtherUserSignedIn(true);
    }
    return {
      todo: createTodoClient({ baseUrl: todoUrl, userId: user.id, token: cachedToken(fetchToken) }),
      queries: new QueryClient({
        queryCache: new QueryCache({ onError }),
        // The error of a write is stored here and not in the component that has started the write, because that
        // component may be replaced when the write is undone.
        mutationCache: new MutationCache({
          onMutate: () => setWriteError(null),
          onError: (error) => (onError(error), setWriteError(error)),
        }),
        defaultOptions: { queries: { staleTime: 5_000 } },
      }),
    };
  });
  if (otherUserSignedIn) return <OtherUserNotice />;
  return (
    <QueryClientProvider client={queries}>
      <TodoProvider client={todo}>
        <Header name={user.name} />
        <main>
          <AddTask />
          <TaskList initial={initial} />
          <Notice error={writeError} dismiss={() => setWriteError(null)} />
        </main>
      </TodoProvider>
    </QueryClientProvider>
  );
}

function OtherUserNotice() {
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
  const query = parseQuery((name) => address.get(name));
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
          {messageFor(pages.error)} <button onClick={() => pages.refetch()}>Try again</button>
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
