/**
 * Due dates as days. Users who pick 24 December mean that day, wherever they are, but a point in time may be on another
 * day in another time zone. Therefore a day is sent as `2026-12-24`, which the service stores as midnight UTC. A stored
 * due date is read in UTC, never in the browser's time zone.
 */

/** A task's due date, for `<input type="date">`: `2026-12-24`, or `""` if the task has no due date. */
export function dayOf(task: { due_date?: string | null }): string {
  return task.due_date?.slice(0, 10) ?? "";
}

/** The `due_date` to send for the value of an `<input type="date">`. An empty value becomes null: no due date. */
export function dueOn(day: string): string | null {
  return day === "" ? null : day;
}

/** The current day in the local time zone, for comparison with {@link dayOf}. Days can be compared as strings. */
export function today(now = new Date()): string {
  const pad = (number: number, width = 2) => String(number).padStart(width, "0");
  return `${pad(now.getFullYear(), 4)}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`;
}
