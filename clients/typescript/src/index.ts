/** A typed client for todo-backend: `fetch` with the types of `schema.d.ts`, without dependencies. */
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

/** One page of a list. `next` is the cursor of the next page, if there is one. */
export interface Page {
  tasks: Task[];
  next: string | undefined;
}

/**
 * The service's limits, for forms. Lengths of texts are in Unicode characters: `[...text].length`, not `text.length`.
 * `page` is the maximum of `limit`, and `body` the maximum size of a request body in bytes.
 */
export const LIMITS = { title: 200, description: 1000, page: 1000, body: 65_536 } as const;

export interface Options {
  /** The service's URL, such as `http://127.0.0.1:8000`. */
  baseUrl: string;
  token: TokenSource;
  /**
   * The user whose tasks the client accesses. Every request names this user, and the service refuses the token of
   * another user with 403. If another user signs in in a second tab, this client therefore never changes that user's
   * tasks.
   */
  userId?: string;
  fetch?: typeof globalThis.fetch;
}

/** The options of one call. With `ifMatch`, the call fails with 412 unless the task still has this version. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
  ifMatch?: number | undefined;
  idempotencyKey?: string | undefined;
}

/** A request to any path of the service. */
export interface ApiRequest extends CallOptions {
  query?: Record<string, string | number | undefined>;
  /** The body, which is sent as JSON. */
  body?: unknown;
}

export function createTodoClient(options: Options) {
  const { token, userId, fetch = globalThis.fetch } = options;
  const base = options.baseUrl.replace(/\/+$/, "");
  const tasks = userId === undefined ? "/api/tasks" : `/api/${encodeURIComponent(userId)}/tasks`;

  const root = normalized(`${base}${tasks}`);
  if (!root.endsWith(tasks)) throw new Error(`No URL can name the user ${JSON.stringify(userId)}.`);

  /**
   * Sends a request. If the service refuses the token, the request is sent once more with a new token, provided that
   * this is safe for the request.
   */
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
      return NetworkError.wrap(fetch(url, init), signal);
    };
    const first = await token();
    let response = await send(first);
    if (response.status === 401 && repeatable) response = await send(await token(first));
    // A 304 is not an error: it is the expected response to If-None-Match.
    if (response.status >= 400) throw await TodoError.fromResponse(response);
    return response;
  }

  async function json<T>(method: string, path: string, request?: ApiRequest): Promise<T> {
    const response = await api(method, path, request);
    return NetworkError.wrap(response.json() as Promise<T>, request?.signal);
  }

  const page = async (query: PageQuery, call?: CallOptions): Promise<Page> => {
    const response = await api("GET", tasks, { ...call, query });
    const found = await NetworkError.wrap(response.json() as Promise<Task[]>, call?.signal);
    return { tasks: found, next: nextCursor(response) };
  };

  return {
    /**
     * Sends a request that the other functions do not support, or whose response headers are needed:
     * `(await todo.api("GET", todo.path)).headers.get("ETag")`.
     */
    api,
    /** The path of the user's tasks. */
    path: tasks,
    list: (query: ListQuery = {}, call?: CallOptions) => json<Task[]>("GET", tasks, { ...call, query }),
    /** Fetches one page. Pass its `next` as the `cursor` of the following page. */
    page,
    /** Fetches the list in pages of `limit` tasks: `for await (const tasks of todo.pages({ limit: 50 })) …` */
    async *pages(query: PageQuery, call?: CallOptions): AsyncGenerator<Task[], void> {
      for (let next = query.cursor, more = true; more; more = next !== undefined) {
        const one = await page(next === undefined ? query : { ...query, cursor: next }, call);
        yield one.tasks;
        next = one.next;
      }
    },
    get: (id: number, call?: CallOptions) => json<Task>("GET", `${tasks}/${id}`, call),
    /** Creates a task. The request has an idempotency key, so that repeating it creates no second task. */
    create: (task: NewTask, call?: CallOptions) =>
      json<Task>("POST", tasks, { idempotencyKey: newIdempotencyKey(), ...call, body: task }),
    /** Changes a task. Fields that are absent do not change; `null` clears `description` and `due_date`. */
    update: (id: number, changes: TaskChanges, call?: CallOptions) =>
      json<Task>("PUT", `${tasks}/${id}`, { ...call, body: changes }),
    /** Sets `completed`, or flips it if there is no value. Only setting is safe to repeat. */
    complete: (id: number, completed?: boolean, call?: CallOptions) =>
      json<Task>("PATCH", `${tasks}/${id}/complete`, { ...call, ...(completed !== undefined && { body: { completed } }) }),
    remove: async (id: number, call?: CallOptions): Promise<void> => void (await api("DELETE", `${tasks}/${id}`, call)),
  };
}

export type TodoClient = ReturnType<typeof createTodoClient>;

/**
 * Creates a new `idempotencyKey`. Use one key per task that a user adds, and the same key for each attempt to add it.
 * The function does not use `crypto.randomUUID`, because browsers do not provide it to pages that were loaded over
 * plain HTTP from another machine.
 */
export function newIdempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
}

/** The path that `fetch` would request. The URL parser resolves `..` and its other spellings, such as `%2e%2e`. */
const normalized = (address: string) => new URL(address, "http://any").pathname;

function search(query: ApiRequest["query"] = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

function nextCursor(response: Response): string | undefined {
  const link = /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  return link === undefined ? undefined : (new URL(link, "http://any").searchParams.get("cursor") ?? undefined);
}
