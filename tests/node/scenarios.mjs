// What people do with the frontend, and what they must see.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const PASSWORD = "correct horse battery staple";

/** The page as a person has it before them. Every act lasts until its answer has come. */
function person(page) {
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
    /** Until the next page, and no timer fires for it: Playwright's clock replaces the page's timers as well. */
    waits: (minutes) =>
      page.evaluate((later) => {
        const now = Date.now;
        Date.now = () => now() + later;
      }, minutes * 60_000),
  };
}

const same = (found, expected) => JSON.stringify(found) === JSON.stringify(expected);

/** Asks again for a while: what a page shows comes when it comes. */
async function soon(find, fits) {
  for (let tries = 0; ; tries += 1) {
    const found = await find();
    if (fits(found) || tries === 100) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Asks the service as the page could, with the token of whoever is signed in there. */
const ask = (page, url, init = {}) =>
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

const sees = async (holds, who, what, expected) => {
  const found = await soon(who.titles, (titles) => same(titles, expected));
  holds(what, same(found, expected), found);
};

export async function two_people({ open, holds, url, service }) {
  const [ada, bob] = [person(await open()), person(await open())];
  holds("who is not signed in is led to the sign-in", ada.page.url() === `${url}/sign-in`, ada.page.url());
  await ada.signsUp("Ada Lovelace");
  await bob.signsUp("Bob");
  await sees(holds, ada, "a new person has no tasks", []);

  await ada.adds("Water the plants", "2026-03-01");
  await ada.adds("éclairs for tea", "2026-02-01");
  await ada.adds("Buy milk");
  await bob.adds("Bob's own");
  await sees(holds, ada, "the newest comes first", ["Buy milk", "éclairs for tea", "Water the plants"]);
  await bob.reloads();
  await sees(holds, bob, "Bob sees his own alone", ["Bob's own"]);

  await ada.sortsBy("By title");
  await sees(holds, ada, "titles sort as people read", ["Buy milk", "éclairs for tea", "Water the plants"]);
  await ada.sortsBy("By due date");
  await sees(holds, ada, "the soonest comes first, none last", ["éclairs for tea", "Water the plants", "Buy milk"]);

  await ada.edits("Buy milk", { Title: "Buy <b>oat</b> milk", Description: "Two bottles", Due: "2026-01-05" });
  const edited = ["Buy <b>oat</b> milk", "éclairs for tea", "Water the plants"];
  await sees(holds, ada, "title and due date are edited, and shown as text", edited);
  const text = await ada.item("Buy <b>oat</b> milk").textContent();
  holds("so is the description", text.includes("Two bottles") && text.includes("Jan 5, 2026"), text);

  await ada.completes("éclairs for tea");
  await ada.shows("Done");
  await sees(holds, ada, "the filter shows what is done", ["éclairs for tea"]);
  await ada.shows("Open");
  await sees(holds, ada, "the filter shows what is left", ["Buy <b>oat</b> milk", "Water the plants"]);
  await ada.reloads();
  await sees(holds, ada, "filter and sort are in the address", ["Buy <b>oat</b> milk", "Water the plants"]);
  await ada.shows("Done");
  await ada.completes("éclairs for tea");
  await sees(holds, ada, "what was done can be undone", []);
  await ada.shows("All");
  await ada.deletes("Water the plants");
  await sees(holds, ada, "what is deleted is gone", ["Buy <b>oat</b> milk", "éclairs for tea"]);

  const { body: hers } = await ask(ada.page, `${service}/api/tasks`);
  for (const { id, user_id } of hers) {
    const byId = await ask(bob.page, `${service}/api/tasks/${id}`);
    holds("Bob finds nothing at the id of Ada's task", byId.status === 404, byId);
    const byName = await ask(bob.page, `${service}/api/${user_id}/tasks`);
    holds("Bob may not ask for Ada's tasks by her name", byName.status === 403, byName);
  }

  await ada.adds(" ");
  holds("a mistake is explained by its field", (await ada.alert()).startsWith("The title must not be blank"), await ada.alert());

  // A profile that changes, followed by a list.
  const changed = await ada.page.evaluate(async () => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/api/auth/update-user", { method: "POST", headers, body: '{"name":"Ada King"}' });
    return answer.status;
  });
  holds("the profile changes", changed === 200, changed);
  await ada.reloads();
  const header = await ada.page.locator("header").textContent();
  holds("the page has the new name", header.includes("Ada King"), header);
  await sees(holds, ada, "and the same tasks", ["éclairs for tea", "Buy <b>oat</b> milk"].reverse());

  // More than one page.
  for (let number = 1; number <= 25; number += 1) {
    await ask(ada.page, `${service}/api/tasks`, { method: "POST", body: JSON.stringify({ title: `Task ${number}` }) });
  }
  await ada.page.goto(url);
  await ada.settled();
  holds("the first page has 20 tasks", (await ada.titles()).length === 20, await ada.titles());
  await ada.presses("Load more");
  const all = await soon(ada.titles, (titles) => titles.length === 27);
  holds("the rest comes when it is asked for, each task once", new Set(all).size === 27, all);

  await ada.signsOut();
  await ada.page.goto(url);
  await ada.page.waitForURL("**/sign-in");
  holds("who signed out is led to the sign-in", true);
  await ada.signsIn();
  holds("all of it is there again", (await ada.titles())[0] === "Task 25", await ada.titles());
  await bob.reloads();
  await sees(holds, bob, "Bob noticed nothing", ["Bob's own"]);
  holds("nothing went wrong on the page", !bob.page.said.some((line) => /hydrat|Error:/i.test(line)), bob.page.said);
}

export async function two_tabs({ open, tab, holds, service }) {
  const first = person(await open());
  await first.signsUp("Ada");
  await first.adds("Ada's own");

  const second = person(await tab(first.page.context()));
  await second.settled();
  await second.signsOut();
  await second.signsUp("Bob");
  await second.adds("Bob's own");

  // Ada's token has run out: the first tab gets another one, and it is Bob's.
  await first.waits(20);
  await first.types("Meant for Ada");
  await first.presses("Add");
  await first.page.getByText("Somebody else has signed in").waitFor();
  holds("the first tab says who is signed in", true);
  const { body } = await ask(second.page, `${service}/api/tasks`);
  holds("nothing was written into Bob's list", same(body.map(({ title }) => title), ["Bob's own"]), body);
  await first.presses("Show that account");
  await first.settled();
  await sees(holds, first, "then it is Bob's page", ["Bob's own"]);
}

export async function an_ended_session({ open, holds, url }) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");
  const cookies = await ada.page.context().cookies();
  await ada.page.evaluate(() => fetch("/api/auth/sign-out", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }));
  // The cookies as a browser keeps them: it was the server that ended the session.
  await ada.page.context().addCookies(cookies);
  const visited = [];
  ada.page.on("request", (request) => request.isNavigationRequest() && visited.push(request.url()));
  // Longer than the token of the page lives: the write needs another one.
  await ada.waits(20);
  await ada.types("Never arrives");
  await ada.presses("Add");
  await ada.page.waitForURL("**/sign-in");
  holds("a write leads to the sign-in, once", same(visited, [`${url}/sign-in`]), visited);
  await ada.page.goto(url);
  await ada.page.waitForURL("**/sign-in");
  holds("so does the page itself", true);
  await ada.signsIn();
  await sees(holds, ada, "nothing is lost, and nothing was added", ["Buy milk"]);
}

export async function an_outage({ open, holds, stop, start }) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");
  await stop();

  await ada.types("Buy bread");
  await ada.presses("Add");
  const said = await ada.alert();
  holds("a write that fails is explained", said.startsWith("The service cannot be reached"), said);
  await sees(holds, ada, "and taken back", ["Buy milk"]);
  const kept = await ada.page.getByLabel("New task").inputValue();
  holds("what was typed is still there", kept === "Buy bread", kept);
  await ada.page.getByRole("checkbox", { name: "Buy milk" }).click();
  const box = () => ada.page.getByRole("checkbox", { name: "Buy milk" }).isChecked();
  holds("so is a task's state", (await soon(box, (checked) => !checked)) === false);

  const answer = await ada.page.reload();
  holds("the page itself is an error page", answer.status() === 500, answer.status());
  await ada.page.getByRole("heading", { name: "Your tasks cannot be reached" }).waitFor();
  await start();
  await ada.presses("Try again");
  await ada.settled();
  await sees(holds, ada, "afterwards all of it is there", ["Buy milk"]);
  await ada.adds("Buy bread");
  await sees(holds, ada, "and the service takes tasks again", ["Buy bread", "Buy milk"]);
}

export async function an_expired_token({ open, holds, service }, expired) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");

  // As a script of the page sees it.
  const answer = await ada.page.evaluate(
    async ([url, token]) => {
      const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      return { status: response.status, requestId: response.headers.get("x-request-id"), body: await response.json() };
    },
    [`${service}/api/tasks`, expired],
  );
  holds("a script reads the status", answer.status === 401, answer);
  holds("a script reads the problem", answer.body.status === 401 && answer.body.detail, answer);
  holds("a script reads the request's id", answer.requestId === answer.body.request_id, answer);
  const blocked = ada.page.said.filter((line) => line.includes("CORS"));
  holds("the browser does not call it a CORS error", blocked.length === 0, ada.page.said);

  // As the page itself meets it: the first token that it gets has expired, as one that a tab kept overnight.
  let given = 0;
  await ada.page.route("**/api/auth/token", (route) =>
    given++ === 0 ? route.fulfill({ json: { token: expired } }) : route.continue(),
  );
  const refused = ada.page.waitForResponse((response) => response.status() === 401);
  await ada.reloads();
  await ada.types("Buy bread");
  await ada.presses("Add");
  await refused;
  await sees(holds, ada, "another token is fetched, and the call made again", ["Buy bread", "Buy milk"]);
  holds("once", given === 2, given);
}

export async function time_zones({ open, holds, service, url }) {
  const ada = person(await open({ timezoneId: "America/Los_Angeles" }));
  await ada.page.clock.setFixedTime(new Date("2026-12-24T20:00:00-08:00"));
  await ada.signsUp("Ada");
  await ada.adds("Christmas Eve", "2026-12-24");
  await ada.adds("The day after", "2026-12-25");
  await ada.adds("The day before", "2026-12-23");
  holds("in the west, today is today", (await ada.due("Christmas Eve")) === "Today", await ada.due("Christmas Eve"));
  holds("tomorrow is not", (await ada.due("The day after")) === "Dec 25, 2026", await ada.due("The day after"));
  const late = await ada.due("The day before");
  holds("yesterday is over", late === "Dec 23, 2026, overdue", late);
  await ada.edits("Christmas Eve", { Description: "Edited in the west" });
  const { body } = await ask(ada.page, `${service}/api/tasks`);
  const stored = body.find(({ title }) => title === "Christmas Eve").due_date;
  holds("an edit leaves the day", stored === "2026-12-24T00:00:00.000000Z", stored);

  // The same person, at the other end of the world.
  const cookies = await ada.page.context().cookies();
  const east = await open({ timezoneId: "Pacific/Kiritimati" });
  await east.context().addCookies(cookies);
  await east.goto(url);
  const there = person(east);
  await there.settled();
  const shown = await there.due("Christmas Eve");
  holds("in the east it is the same day", shown.startsWith("Dec 24, 2026"), shown);
  await there.page.getByRole("button", { name: "Edit Christmas Eve" }).click();
  const field = await there.page.locator("li form").getByLabel("Due").inputValue();
  holds("so it is in the form", field === "2026-12-24", field);
}

export async function refused_writes({ open, tab, holds, service }) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");
  await ada.page.getByRole("button", { name: "Edit Buy milk" }).click();
  await ada.page.locator("li form").getByLabel("Title").fill("Buy oat milk");

  const other = person(await tab(ada.page.context()));
  await other.settled();
  await other.edits("Buy milk", { Title: "Buy soy milk" });
  const listed = ada.page.waitForResponse((response) => response.url().includes("limit=20"));
  await ada.presses("Save");
  const said = await ada.alert();
  holds("an edit of what has changed meanwhile is refused", said.startsWith("This task was changed somewhere else"), said);
  await other.reloads();
  await sees(holds, other, "the other change stands", ["Buy soy milk"]);
  const typed = await ada.page.locator("li form").getByLabel("Title").inputValue();
  holds("what was typed is still there", typed === "Buy oat milk", typed);
  await listed;
  await ada.settled();
  await ada.presses("Save");
  await sees(holds, ada, "saved once more, it replaces the other", ["Buy oat milk"]);

  const long = "x".repeat(1001);
  await ada.item("Buy oat milk").getByRole("button", { name: "Edit" }).click();
  await ada.page.locator("li form").getByLabel("Description").fill(long);
  await ada.presses("Save");
  await ada.page.getByText("must have at most 1000 characters").waitFor();
  holds("the service's own words are shown", true);
  await ada.presses("Cancel");
  const item = await soon(() => ada.item("Buy oat milk").textContent(), (text) => !text.includes("xxx"));
  holds("and what was refused is taken back", !item.includes("xxx"), item.length);

  const [{ id }] = (await ask(ada.page, `${service}/api/tasks`)).body;
  await ask(ada.page, `${service}/api/tasks/${id}`, { method: "DELETE" });
  await ada.page.getByRole("checkbox", { name: "Buy oat milk" }).click();
  await ada.page.getByText("This task is not there any more").waitFor();
  await sees(holds, ada, "a task that is gone goes from the list", []);
}

export async function a_stranger({ open, holds, url, service }) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");
  // The worst case: the stranger has got hold of a token.
  const token = await ada.page.evaluate(async () => (await (await fetch("/api/auth/token")).json()).token);

  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<title>Stranger</title>");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  // In the context that is signed in: what a person opens in another tab.
  const stranger = await ada.page.context().newPage();
  const said = [];
  stranger.on("console", (message) => said.push(message.text()));
  await stranger.goto(`http://localhost:${server.address().port}`);
  const gets = (url, init) =>
    stranger.evaluate(
      ([url, init]) => fetch(url, init).then((response) => response.text(), (error) => error.name),
      [url, init],
    );
  const authorization = `Bearer ${token}`;
  const json = { authorization, "content-type": "application/json" };
  const body = JSON.stringify({ title: "Planted" });
  for (const [what, address, init] of [
    ["the list", `${service}/api/tasks`, { headers: { authorization } }],
    ["a task of its making", `${service}/api/tasks`, { method: "POST", headers: json, body }],
    ["a 401 even", `${service}/api/tasks`, {}],
    ["a sign of life", `${service}/livez`, {}],
    ["the session's token", `${url}/api/auth/token`, { credentials: "include" }],
  ]) {
    const found = await gets(address, init);
    holds(`another origin does not get ${what}`, found === "TypeError", found);
  }
  holds("the browser says that CORS is why", said.some((line) => line.includes("CORS")), said);
  await ada.reloads();
  await sees(holds, ada, "nothing was planted", ["Buy milk"]);
}
