import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";
import { dayOf, dueOn, today } from "todo-backend-client";

test("a day is the same day in every time zone", () => {
  const script = `
    import { dayOf, dueOn, today } from "todo-backend-client";
    const sent = dueOn("2026-12-24");
    const stored = new Date(sent).toISOString();
    console.log(dayOf({ due_date: stored }), today(new Date("2026-12-24T11:30:00Z")));`;
  const inZone = (TZ) =>
    execFileSync(process.execPath, ["--input-type=module", "-e", script], { env: { TZ }, cwd: import.meta.dirname, encoding: "utf8" }).trim();
  assert.equal(inZone("America/Los_Angeles"), "2026-12-24 2026-12-24");
  assert.equal(inZone("Pacific/Pago_Pago"), "2026-12-24 2026-12-24");
  assert.equal(inZone("Pacific/Kiritimati"), "2026-12-24 2026-12-25");
});

test("an empty day becomes null, and a missing due date becomes an empty day", () => {
  assert.equal(dueOn(""), null);
  assert.equal(dayOf({ due_date: null }), "");
  assert.equal(dayOf({}), "");
  assert.match(today(), /^\d{4}-\d\d-\d\d$/);
});
