// The users of the scenarios: their actions in the frontend, and what they see.

import { randomUUID } from "node:crypto";

const PASSWORD = "correct horse battery staple";

/** A user of a page. `adds`, `edits`, `completes` and `deletes` wait until the response has arrived. */
export function person(page) {
  const settled = () => page.locator("section[aria-label=Tasks][aria-busy=false]:not(:has(li[aria-busy=true]))").waitFor();
  const item = (title) => page.locator("li").filter({ has: page.getByText(title, { exact: true }) });
  const answered = (method) => page.waitForResponse((response) => response.request().method() === method);
  const acts = (method, act) => async (...details) => {
    const answer = answered(method);
    await act(...details);
    await answer;
    await settled();
  };
  const email = `${randomUUID()}@example.com`;
  const form = async (name) => {
    if (name) await page.getByRole("button", { name: "Create an account" }).click();
    if (name) await page.getByLabel("Name").fill(name);
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: name ? "Sign up" : "Sign in", exact: true }).click();
  };
  return {
    page,
    settled,
    item,
    email,
    titles: () => page.locator("li .title").allTextContents(),
    due: (title) => item(title).locator("time").textContent(),
    alert: () => page.locator("main [role=alert]").filter({ hasText: /./ }).first().textContent(),
    signsUp: async (name) => (await form(name), await settled()),
    signsIn: async () => (await form(), await settled()),
    signsOut: async () => {
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.waitForURL("**/sign-in");
    },
    types: async (title, due = "") => {
      await page.getByLabel("New task").fill(title);
      await page.getByLabel("Due", { exact: true }).fill(due);
    },
    presses: (name) => page.getByRole("button", { name, exact: true }).click(),
    adds: acts("POST", async (title, due = "") => {
      await page.getByLabel("New task").fill(title);
      await page.getByLabel("Due", { exact: true }).fill(due);
      await page.getByRole("button", { name: "Add", exact: true }).click();
    }),
    edits: acts("PUT", async (title, fields) => {
      await item(title).getByRole("button", { name: "Edit" }).click();
      for (const [label, value] of Object.entries(fields)) {
        await page.locator("li form").getByLabel(label).fill(value);
      }
      await page.getByRole("button", { name: "Save" }).click();
    }),
    completes: acts("PATCH", (title) => item(title).getByRole("checkbox").click()),
    deletes: acts("DELETE", (title) => item(title).getByRole("button", { name: "Delete" }).click()),
    shows: async (label) => (await page.getByText(label, { exact: true }).click(), await settled()),
    sortsBy: async (label) => (await page.getByLabel("Sort").selectOption({ label }), await settled()),
    reloads: async () => (await page.reload(), await settled()),
    /** Changes the name in the user's profile, and returns the status of the response. */
    renames: (name) =>
      page.evaluate(async (name) => {
        const headers = { "content-type": "application/json" };
        const body = JSON.stringify({ name });
        return (await fetch("/api/auth/update-user", { method: "POST", headers, body })).status;
      }, name),
    /** Advances Date.now. Playwright's clock is not used, because it would also replace the page's timers. */
    waits: (minutes) =>
      page.evaluate((later) => {
        const now = Date.now;
        Date.now = () => now() + later;
      }, minutes * 60_000),
  };
}

export const same = (found, expected) => JSON.stringify(found) === JSON.stringify(expected);

/** Polls until the found value fits, for at most ten seconds, because the page changes asynchronously. */
export async function soon(find, fits) {
  for (let tries = 0; ; tries += 1) {
    const found = await find();
    if (fits(found) || tries === 100) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Sends a request from the page to a URL of the service, with the token of the user who is signed in. */
export const ask = (page, url, init = {}) =>
  page.evaluate(
    async ([url, init]) => {
      const { token } = await (await fetch("/api/auth/token")).json();
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const response = await fetch(url, { headers, ...init });
      const requestId = response.headers.get("x-request-id");
      return { status: response.status, requestId, body: await response.json().catch(() => null) };
    },
    [url, init],
  );

export const sees = async (check, who, what, expected) => {
  const found = await soon(who.titles, (titles) => same(titles, expected));
  check(what, same(found, expected), found);
};
