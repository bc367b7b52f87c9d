/** A typed client of todo-backend: plain `fetch` over the types in `schema.d.ts`, and nothing else. */
import { NetworkError, TodoError } from "./errors.js";
import type { components, paths } from "./schema.js";
import type { TokenSource } from "./token.js";

export { dayOf, dueOn, today } from "./days.js";
export { NetworkError, TodoError } from "./errors.js";
export type { ErrorCode, Problem } from "./errors.js";
export { cachedToken } from "./token.js";
export type { TokenSource } from "./token.js";
export type { components, paths };
export type Task = components["schemas"]["Task"];
export type NewTask = components["schemas"]["NewTask"];
export type TaskChanges = components["schemas"]["TaskChanges"];
export type ListQuery = NonNullable<paths["/api/tasks"]["get"]["parameters"]["query"]>;
export type PageQuery = ListQuery & { limit: number };

/** A part of a list, and the cursor of the part after it, if there is one. */
export interface Page {
  tasks: Task[];
  next: string | undefined;
}

/** The service's own limits, for forms. Lengths are in characters: `[...text].length`, and not `text.length`. */
export const LIMITS = { title: 200, description: 1000, page: 1000, body: 65_536 } as const;

export interface Options {
  /** Where the service is, such as `http://127.0.0.1:8000`. */
  baseUrl: string;
  token: TokenSource;
  /**
   * Whose tasks they are. Every call names this user, and the service refuses a token of anybody else with
   * 403: a tab in which another user has signed in meanwhile never writes into their list.
   */
  userId?: string;
  fetch?: typeof globalThis.fetch;
}

/** For one call. `ifMatch` is the version of the task that was changed: with another one now, it fails with 412. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
  ifMatch?: number | undefined;
  idempotencyKey?: string | undefined;
}

/** A request to any path of the service. */
export interface ApiRequest extends CallOptions {
  query?: Record<string, string | number | undefined>;
  /** Sent as JSON. */
  body?: unknown;
}

export function createTodoClient(options: Options) {
  const { token, userId, fetch = globalThis.fetch } = options;
  const base = options.baseUrl.replace(/\/+$/, "");
  const tasks = userId === undefined ? "/api/tasks" : `/api/${encodeURIComponent(userId)}/tasks`;

  const root = normalized(`${base}${tasks}`);
  if (!root.endsWith(tasks)) throw new Error(`No URL can name the user ${JSON.stringify(userId)}.`);

  /** Sends with a token, and once more with a new one where the first was refused and no harm can come of it. */
  async function api(method: string, path: string, request: ApiRequest = {}): Promise<Response> {
    const target = normalized(`${base}${path}`);
    if (userId !== undefined && target !== root && !target.startsWith(`${root}/`)) {
      throw new Error(`This client is for the tasks of one user, which are at ${tasks}, and not at ${path}.`);
    }
    const { body, headers: more, ifMatch, idempotencyKey, query, signal } = request;
    const headers = new Headers(more);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    if (ifMatch !== undefined) headers.set("If-Match", `"${ifMatch}"`);
    if (idempotencyKey !== undefined) headers.set("Idempotency-Key", idempotencyKey);
    const repeatable = method === "PATCH" ? body !== undefined : method !== "POST" || headers.has("Idempotency-Key");
    const url = `${base}${path}${search(query)}`;
    const send = async (token: string) => {
      headers.set("Authorization", `Bearer ${token}`);
      const init = { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null };
      return NetworkError.around(fetch(url, init), signal);
    };
    const first = await token();
    let response = await send(first);
    if (response.status === 401 && repeatable) response = await send(await token(first));
    // 304 is what somebody asked for who sent If-None-Match.
    if (response.status >= 400) throw await TodoError.of(response);
    return response;
  }

  async function json<T>(method: string, path: string, request?: ApiRequest): Promise<T> {
    const response = await api(method, path, request);
    return NetworkError.around(response.json() as Promise<T>, request?.signal);
  }

  const page = async (query: PageQuery, call?: CallOptions): Promise<Page> => {
    const response = await api("GET", tasks, { ...call, query });
    const found = await NetworkError.around(response.json() as Promise<Task[]>, call?.signal);
    return { tasks: found, next: nextCursor(response) };
  };

  return {
    /** Any call, for what the functions below leave out: `(await todo.api("GET", todo.path)).headers.get("ETag")`. */
    api,
    /** Where the tasks are. */
    path: tasks,
    list: (query: ListQuery = {}, call?: CallOptions) => json<Task[]>("GET", tasks, { ...call, query }),
    /** One page; `next` is the `cursor` of the following one. */
    page,
    /** The list in pages of `limit`: `for await (const tasks of todo.pages({ limit: 50 })) …` */
    async *pages(query: PageQuery, call?: CallOptions): AsyncGenerator<Task[], void> {
      for (let next = query.cursor, more = true; more; more = next !== undefined) {
        const one = await page(next === undefined ? query : { ...query, cursor: next }, call);
        yield one.tasks;
        next = one.next;
      }
    },
    get: (id: number, call?: CallOptions) => json<Task>("GET", `${tasks}/${id}`, call),
    /** With an idempotency key, so that it may be repeated: the task is there once. */
    create: (task: NewTask, call?: CallOptions) =>
      json<Task>("POST", tasks, { idempotencyKey: newIdempotencyKey(), ...call, body: task }),
    /** What is absent stays as it is; `null` clears `description` and `due_date`. */
    update: (id: number, changes: TaskChanges, call?: CallOptions) =>
      json<Task>("PUT", `${tasks}/${id}`, { ...call, body: changes }),
    /** Sets it, which may be repeated; without `completed` it is flipped. */
    complete: (id: number, completed?: boolean, call?: CallOptions) =>
      json<Task>("PATCH", `${tasks}/${id}/complete`, { ...call, ...(completed !== undefined && { body: { completed } }) }),
    remove: async (id: number, call?: CallOptions): Promise<void> => void (await api("DELETE", `${tasks}/${id}`, call)),
  };
}

export type TodoClient = ReturnType<typeof createTodoClient>;

/**
 * For `idempotencyKey`: one for each task that a person adds, the same for each try. Not `crypto.randomUUID`:
 * a page that came by plain HTTP from another machine has none.
 */
export function newIdempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
}

/** The path that `fetch` makes of an address: a URL's parser walks along `..`, and knows more ways to write it. */
const normalized = (address: string) => new URL(address, "http://any").pathname;

function search(query: ApiRequest["query"] = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

function nextCursor(response: Response): string | undefined {
  const link = /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  return link === undefined ? undefined : (new URL(link, "http://any").searchParams.get("cursor") ?? undefined);
}
