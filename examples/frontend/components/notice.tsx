import { NetworkError, TodoError } from "todo-backend-client";

/** The message to display for an error. */
export function messageFor(error: Error): string {
  if (error instanceof NetworkError) return "The service cannot be reached. Check your connection.";
  if (!(error instanceof TodoError)) return error.message || "Something went wrong.";
  if (error.status === 412) return "This task was changed somewhere else meanwhile. Save again to replace that, or cancel.";
  if (error.status === 404) return "This task is not there any more.";
  const fields = Object.entries(error.errors).map(([field, message]) => `${NAMES[field] ?? field} ${message}.`);
  return fields.length > 0 ? fields.join(" ") : error.problem.detail;
}

const NAMES: Record<string, string> = { title: "The title", description: "The description", due_date: "The due date" };

/** Displays an error. Screen readers announce its message, because of the role `alert`. */
export function Notice({ error, dismiss }: { error: Error | null; dismiss: () => void }) {
  return (
    <div role="alert" className="notice">
      {error && (
        <p>
          {messageFor(error)}
          <button onClick={dismiss}>Dismiss</button>
        </p>
      )}
    </div>
  );
}
