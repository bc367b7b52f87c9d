import type { PageQuery } from "todo-backend-client";

export const STATUSES = { all: "All", pending: "Open", completed: "Done" } as const;
export const SORTS = { created: "Newest first", title: "By title", due_date: "By due date" } as const;

/** Parses the query of the page's URL, such as `?status=pending&sort=title`, on the server and in the browser. */
export function parseQuery(get: (name: string) => string | null | undefined): Required<Omit<PageQuery, "cursor">> {
  const one = <T extends object>(names: T, name: string, fallback: keyof T): keyof T => {
    const value = get(name);
    return value && Object.hasOwn(names, value) ? (value as keyof T) : fallback;
  };
  return { status: one(STATUSES, "status", "all"), sort: one(SORTS, "sort", "created"), limit: 20 };
}
