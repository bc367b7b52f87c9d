/**
 * Due dates as days. A person who picks 24 December means that day, wherever they travel; a moment would be
 * another day in another time zone. So a day is sent as `2026-12-24`, which the service keeps as midnight in
 * UTC, and it is read back in UTC, never in the browser's own zone.
 */

/** The day of a task, for `<input type="date">`: `2026-12-24`, or `""` without one. */
export function dayOf(task: { due_date?: string | null }): string {
  return task.due_date?.slice(0, 10) ?? "";
}

/** The `due_date` for what stands in an `<input type="date">`: null clears it. */
export function dueOn(day: string): string | null {
  return day === "" ? null : day;
}

/** Today where this runs, to compare with {@link dayOf}: both sort as text. */
export function today(now = new Date()): string {
  const pad = (number: number, width = 2) => String(number).padStart(width, "0");
  return `${pad(now.getFullYear(), 4)}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`;
}
