import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];
export type ErrorCode = NonNullable<Problem["errors"]>[number]["code"];

/** An error response of the service. */
export class TodoError extends Error {
  override readonly name = "TodoError";
  readonly status: number;
  readonly problem: Problem;
  /** The seconds to wait before trying again, if the response has `Retry-After` (429, 503). */
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

  /** The code for each invalid field, for messages of your own: `{ title: "blank" }`. */
  get codes(): Record<string, ErrorCode> {
    return Object.fromEntries((this.problem.errors ?? []).map(({ field, code }) => [field, code]));
  }

  /** The request's id, for reports. Every log line that the service writes for the request contains it. */
  get requestId(): string {
    return this.problem.request_id;
  }

  /** Proxies do not answer with problem documents, so their responses are converted to one. */
  static async of(response: Response): Promise<TodoError> {
    const { status, statusText, headers } = response;
    const ours = headers.get("Content-Type")?.startsWith("application/problem+json");
    const problem = ours ? await response.json().catch(() => undefined) : undefined;
    const seconds = headers.get("Retry-After");
    const said: Problem = {
      type: "about:blank",
      title: statusText || "Error",
      detail: "The answer did not come from the service itself.",
      request_id: headers.get("X-Request-Id") ?? "",
      ...(problem as Problem | undefined),
      status,
    };
    return new TodoError(said, seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) : undefined);
  }
}

/**
 * No response, or an incomplete one: the service cannot be reached, the connection broke, or the browser withholds the
 * response because of CORS. A page cannot distinguish these cases. A write may have taken place.
 */
export class NetworkError extends Error {
  override readonly name = "NetworkError";

  /** Converts errors to `NetworkError`, except after a deliberate abort. */
  static async around<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new NetworkError("The service cannot be reached.", { cause });
    }
  }
}
