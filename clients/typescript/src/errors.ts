import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];
export type ErrorCode = NonNullable<Problem["errors"]>[number]["code"];

/** Any answer of the service that is not a success. */
export class TodoError extends Error {
  override readonly name = "TodoError";
  readonly status: number;
  readonly problem: Problem;
  /** After how many seconds to try again, where the service says so (429, 503). */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    super(`${problem.status} ${problem.title}: ${problem.detail}`);
    this.status = problem.status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** What is wrong with each field, in the service's words: `{ title: "must not be blank" }`. */
  get errors(): Record<string, string> {
    return Object.fromEntries((this.problem.errors ?? []).map(({ field, message }) => [field, message]));
  }

  /** The same for programs, to show words of your own: `{ title: "blank" }`. */
  get codes(): Record<string, ErrorCode> {
    return Object.fromEntries((this.problem.errors ?? []).map(({ field, code }) => [field, code]));
  }

  /** What to quote when reporting it: the service's log has it in every line of this request. */
  get requestId(): string {
    return this.problem.request_id;
  }

  /** A proxy in between does not answer with problems; its answers become one here. */
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
 * No answer, or not the whole of one: the service cannot be reached, the connection broke, or the browser keeps
 * the answer from the page (CORS), which a page cannot tell apart. A write may have taken place.
 */
export class NetworkError extends Error {
  override readonly name = "NetworkError";

  /** What was aborted on purpose stays what it is. */
  static async around<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new NetworkError("The service cannot be reached.", { cause });
    }
  }
}
