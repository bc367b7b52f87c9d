import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];
export type ErrorCode = NonNullable<Problem["errors"]>[number]["code"];

/** An error response of the service. */
export class TodoError extends Error {
  override readonly name = "TodoError";
  readonly status: number;
  readonly problem: Problem;
  /** The number of seconds to wait before the next attempt, if the response has `Retry-After` (429, 503). */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    super(`${problem.status} ${problem.title}: ${problem.detail}`);
    this.status = problem.status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** The service's message for each invalid field: `{ title: "must not be blank" }`. */
  get errors(): Record<string, string> {
    return Object.fromEntries((this.problem.errors ?? []).map(({ field, message }) => [field, message]));
  }

  /** The error code for each invalid field, for messages of your own: `{ title: "blank" }`. */
  get codes(): Record<string, ErrorCode> {
    return Object.fromEntries((this.problem.errors ?? []).map(({ field, code }) => [field, code]));
  }

  /** The request's id, for error reports. Every log line of the service about the request contains this id. */
  get requestId(): string {
    return this.problem.request_id;
  }

  /** Creates an error from a response. If a proxy sent the response, it contains no problem, so one is created here. */
  static async fromResponse(response: Response): Promise<TodoError> {
    const { status, statusText, headers } = response;
    const isProblem = headers.get("Content-Type")?.startsWith("application/problem+json");
    const received = isProblem ? await response.json().catch(() => undefined) : undefined;
    const seconds = headers.get("Retry-After");
    const problem: Problem = {
      type: "about:blank",
      title: statusText || "Error",
      detail: "The answer did not come from the service itself.",
      request_id: headers.get("X-Request-Id") ?? "",
      ...(received as Problem | undefined),
      status,
    };
    return new TodoError(problem, seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) : undefined);
  }
}

/**
 * There is no response, or only a part of it: the service cannot be reached, the connection was lost, or the browser
 * does not pass the response to the page because of CORS. A page cannot distinguish these cases. If the request was a
 * write, the service may have executed it.
 */
export class NetworkError extends Error {
  override readonly name = "NetworkError";

  /** Converts an error of `work` into a `NetworkError`, unless `signal` has aborted `work`. */
  static async wrap<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new NetworkError("The service cannot be reached.", { cause });
    }
  }
}
