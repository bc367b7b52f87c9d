/**
 * A typed client of todo-backend: openapi-fetch over the types in `schema.d.ts`, with a token on every
 * call and every problem as a {@link TodoError}.
 */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, paths };
export type Task = components["schemas"]["Task"];
export type NewTask = components["schemas"]["NewTask"];
export type TaskChanges = components["schemas"]["TaskChanges"];
export type Problem = components["schemas"]["Problem"];
export type ListQuery = NonNullable<paths["/api/tasks"]["get"]["parameters"]["query"]>;

/**
 * Gives the token to send. `refused` is one that was answered with 401: another one is wanted then.
 * Better Auth's tokens live for 15 minutes, so a constant will not do; see {@link cachedToken}.
 */
export type TokenSource = (refused?: string) => string | Promise<string>;

export interface Options {
  /** Where the service is, such as `http://127.0.0.1:8000`. */
  baseUrl: string;
  token: TokenSource;
  /** Calls `/api/{userId}/tasks` instead of `/api/tasks`; it must be the token's own user. */
  userId?: string;
  fetch?: (request: Request) => Promise<Response>;
}

/** For one call: a signal to abort it, or headers such as `If-Match`. */
export interface CallOptions {
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** Any answer of the service that is not a success. */
export class TodoError extends Error {
  override readonly name = "TodoError";
  readonly status: number;
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.status} ${problem.title}: ${problem.detail}`);
    this.status = problem.status;
    this.problem = problem;
  }

  /** What is wrong with each field, for bad input: `{ title: "is required" }`. */
  get errors(): Record<string, string> {
    return Object.fromEntries((this.problem.errors ?? []).map(({ field, message }) => [field, message]));
  }

  /** What to quote when reporting it: the service's log has it in every line of this request. */
  get requestId(): string {
    return this.problem.request_id;
  }

  /** A proxy in between does not answer with problems; its answers become one here. */
  static async of(response: Response): Promise<TodoError> {
    const { status, statusText, headers } = response;
    const ours = headers.get("content-type")?.startsWith("application/problem+json");
    const problem = ours ? ((await response.json()) as Problem) : undefined;
    return new TodoError({
      type: "about:blank",
      title: statusText || "Error",
      detail: "The answer did not come from the service itself.",
      request_id: headers.get("x-request-id") ?? "",
      ...problem,
      status,
    });
  }
}

/** The same routes without what the two contracts differ in: `""`, `"/{id}"`, `"/{id}/complete"`. */
type TaskPaths = { [P in keyof paths as P extends `/api/tasks${infer Rest}` ? Rest : never]: paths[P] };

export function createTodoClient(options: Options) {
  const fetch = (request: Request) => send(request, options);
  const baseUrl = options.baseUrl.replace(/\/$/, "");
  const owner = options.userId === undefined ? "" : `/${encodeURIComponent(options.userId)}`;
  const tasks = createClient<TaskPaths>({ baseUrl: `${baseUrl}/api${owner}/tasks`, fetch });

  return {
    /** Every route of the document, with headers, for what the functions below leave out. */
    api: createClient<paths>({ baseUrl, fetch }),

    list: (query: ListQuery = {}, call?: CallOptions): Promise<Task[]> =>
      data(tasks.GET("", { ...call, params: { query } })),

    /** The list in pages of `limit`: `for await (const page of todo.pages({ limit: 50 })) …` */
    async *pages(query: ListQuery & { limit: number }, call?: CallOptions): AsyncGenerator<Task[], void> {
      for (let next: string | undefined, more = true; more; more = next !== undefined) {
        const page = { ...query, ...(next !== undefined && { cursor: next }) };
        const answer = await tasks.GET("", { ...call, params: { query: page } });
        yield answer.data as Task[];
        next = nextCursor(answer.response);
      }
    },

    get: (id: number, call?: CallOptions): Promise<Task> =>
      data(tasks.GET("/{id}", { ...call, params: { path: { id } } })),

    /** With an idempotency key, so that a creation may be repeated: the task is there once. */
    create: (task: NewTask, call?: CallOptions): Promise<Task> =>
      data(tasks.POST("", { ...call, headers: { "Idempotency-Key": key(), ...call?.headers }, body: task })),

    /** What is absent stays as it is; `null` clears `description` and `due_date`. */
    update: (id: number, changes: TaskChanges, call?: CallOptions): Promise<Task> =>
      data(tasks.PUT("/{id}", { ...call, params: { path: { id } }, body: changes })),

    /** Sets it, which may be repeated; without `completed` it is flipped. */
    complete: (id: number, completed?: boolean, call?: CallOptions): Promise<Task> =>
      data(
        tasks.PATCH("/{id}/complete", {
          ...call,
          params: { path: { id } },
          ...(completed !== undefined && { body: { completed } }),
        }),
      ),

    remove: async (id: number, call?: CallOptions): Promise<void> => {
      await tasks.DELETE("/{id}", { ...call, params: { path: { id } } });
    },
  };
}

export type TodoClient = ReturnType<typeof createTodoClient>;

/** Sends with a token, and once more with a new one where the first was refused and no harm can come of it. */
async function send(request: Request, { token, fetch = globalThis.fetch }: Options): Promise<Response> {
  const again = repeatable(request) ? request.clone() : undefined;
  const first = await token();
  let response = await fetch(signed(request, first));
  if (response.status === 401 && again) {
    response = await fetch(signed(again, await token(first)));
  }
  // 304 is what somebody asked for who sent If-None-Match.
  if (response.status >= 400) throw await TodoError.of(response);
  return response;
}

function signed(request: Request, token: string): Request {
  request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}

/** A `PATCH` with a body sets what one without it flips. */
function repeatable({ method, headers }: Request): boolean {
  if (method === "PATCH") return headers.has("Content-Type");
  return method !== "POST" || headers.has("Idempotency-Key");
}

async function data<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T; // there: `send` throws wherever it is not
}

function nextCursor(response: Response): string | undefined {
  const link = /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  return link === undefined ? undefined : (new URL(link, "http://any").searchParams.get("cursor") ?? undefined);
}

/** Not `crypto.randomUUID`: a page that came by plain HTTP from another machine has none. */
function key(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
}

/**
 * Keeps a token until half a minute before it ends, and fetches one at a time. It belongs to whoever is
 * signed in: make another one, with another client, when somebody else signs in.
 */
export function cachedToken(fetchToken: () => Promise<string>): TokenSource {
  let token: string | undefined;
  let pending: Promise<string> | undefined;
  const renew = async () => (token = await fetchToken());
  return (refused) => {
    if (token !== undefined && token !== refused && !endsSoon(token)) return token;
    return (pending ??= renew().finally(() => (pending = undefined)));
  };
}

function endsSoon(token: string): boolean {
  const claims = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  try {
    return JSON.parse(atob(claims)).exp * 1000 < Date.now() + 30_000;
  } catch {
    return false; // no JWT: the service says so, and why
  }
}
