// What people do on the example page, and what they must see.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

/** The page as a person has it before them. Every act lasts until the page has settled. */
function person(page) {
  const settled = () => page.locator("body[aria-busy=false]").waitFor();
  const after = (act) => async (...details) => {
    await act(...details);
    await settled();
  };
  const titles = () => page.locator("li .title").evaluateAll((inputs) => inputs.map(({ value }) => value));
  const item = async (title) => page.locator("li").nth((await titles()).indexOf(title));
  const choose = (label) => after((value) => page.getByLabel(label).selectOption(value));
  return {
    titles,
    alert: () => page.getByRole("alert").textContent(),
    signsUp: after(async (name) => {
      await page.getByPlaceholder("E-mail").fill(`${name}-${randomUUID().slice(0, 8)}@example.com`);
      await page.getByPlaceholder("Password").fill("correct horse battery staple");
      await page.getByRole("button", { name: "Sign up" }).click();
    }),
    adds: after(async (title, due = "") => {
      await page.locator("#add [name=title]").fill(title);
      await page.locator("#add [name=due_date]").fill(due);
      await page.getByRole("button", { name: "Add" }).click();
    }),
    renames: after(async (title, to) => {
      const field = (await item(title)).locator(".title");
      await field.fill(to);
      await field.press("Enter");
    }),
    completes: after(async (title) => (await item(title)).getByRole("checkbox").click()),
    deletes: after(async (title) => (await item(title)).getByRole("button", { name: "Delete" }).click()),
    shows: choose("Show"),
    sortsBy: choose("Sort by"),
    reloads: after(() => page.reload()),
  };
}

const same = (found, expected) => JSON.stringify(found) === JSON.stringify(expected);

/** Asks the service as the page could, with the token of whoever is signed in there. */
const ask = (page, url) =>
  page.evaluate(async (url) => {
    const { token } = await (await fetch("/api/auth/token")).json();
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    const requestId = response.headers.get("x-request-id");
    return { status: response.status, requestId, body: await response.json() };
  }, url);

export async function two_people({ open, holds, picture, service }) {
  const [adasPage, bobsPage] = [await open(), await open()];
  const [ada, bob] = [person(adasPage), person(bobsPage)];
  const sees = async (who, what, expected) => {
    const found = await who.titles();
    holds(what, same(found, expected) && (await who.alert()) === "", [found, await who.alert()]);
  };
  await ada.signsUp("ada");
  await bob.signsUp("bob");
  await sees(ada, "a new person has no tasks", []);

  await ada.adds("Water the plants", "2026-03-01");
  await ada.adds("éclairs for tea", "2026-02-01");
  await ada.adds("Buy milk");
  await bob.adds("Bob's own");
  await sees(ada, "the newest comes first", ["Buy milk", "éclairs for tea", "Water the plants"]);
  await bob.reloads();
  await sees(bob, "Bob sees his own alone", ["Bob's own"]);

  await ada.sortsBy("title");
  await sees(ada, "titles sort as people read", ["Buy milk", "éclairs for tea", "Water the plants"]);
  await ada.sortsBy("due_date");
  await sees(ada, "the soonest comes first, none last", ["éclairs for tea", "Water the plants", "Buy milk"]);

  await ada.renames("Buy milk", "Buy <b>oat</b> milk");
  await sees(ada, "a title is edited, and shown as text", [
    "éclairs for tea",
    "Water the plants",
    "Buy <b>oat</b> milk",
  ]);
  await ada.completes("éclairs for tea");
  await picture(adasPage, "tasks");
  await ada.shows("completed");
  await sees(ada, "the filter shows what is done", ["éclairs for tea"]);
  await ada.shows("pending");
  await sees(ada, "the filter shows what is left", ["Water the plants", "Buy <b>oat</b> milk"]);
  await ada.shows("all");
  await ada.completes("éclairs for tea");
  await ada.shows("completed");
  await sees(ada, "what was done can be undone", []);
  await ada.shows("all");
  await ada.deletes("Water the plants");
  await sees(ada, "what is deleted is gone", ["éclairs for tea", "Buy <b>oat</b> milk"]);

  await ada.reloads();
  await sees(ada, "all of it is kept", ["Buy <b>oat</b> milk", "éclairs for tea"]);
  await bob.reloads();
  await sees(bob, "Bob noticed nothing", ["Bob's own"]);

  const { body: hers } = await ask(adasPage, `${service}/api/tasks`);
  for (const { id, user_id } of hers) {
    const byId = await ask(bobsPage, `${service}/api/tasks/${id}`);
    holds("Bob finds nothing at the id of Ada's task", byId.status === 404, byId);
    const byName = await ask(bobsPage, `${service}/api/${user_id}/tasks`);
    holds("Bob may not ask for Ada's tasks by her name", byName.status === 403, byName);
  }

  await ada.adds(" ");
  holds("a mistake is explained by its field", (await ada.alert()).startsWith("title "), await ada.alert());
}

export async function an_expired_token({ open, holds, tell, picture, service }) {
  const page = await open();
  const ada = person(page);
  await ada.signsUp("ada");
  await ada.adds("Buy milk");
  await tell("expired");
  await ada.reloads();
  const alert = await ada.alert();
  holds("the page shows the 401 and its words", /^401 .+: .+\.$/.test(alert), alert);
  holds("it shows no tasks", same(await ada.titles(), []));
  await picture(page, "expired");

  const answer = await ask(page, `${service}/api/tasks`);
  holds("a script reads the status", answer.status === 401, answer);
  holds("a script reads the problem", answer.body.status === 401 && answer.body.detail, answer);
  holds("a script reads the request's id", answer.requestId === answer.body.request_id, answer);
  const blocked = page.said.filter((line) => line.includes("CORS"));
  holds("the browser does not call it a CORS error", blocked.length === 0, page.said);

  await tell("fresh");
  await ada.reloads();
  holds("a new token is all it takes", same(await ada.titles(), ["Buy milk"]), await ada.alert());
}

export async function a_stranger({ open, holds, page: frontend, service }) {
  const home = await open();
  const ada = person(home);
  await ada.signsUp("ada");
  await ada.adds("Buy milk");
  // The worst case: the stranger has got hold of a token.
  const token = await home.evaluate(async () => (await (await fetch("/api/auth/token")).json()).token);

  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<title>Stranger</title>");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  // In the context that is signed in: what a person opens in another tab.
  const stranger = await home.context().newPage();
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
  for (const [what, url, init] of [
    ["the list", `${service}/api/tasks`, { headers: { authorization } }],
    ["a task of its making", `${service}/api/tasks`, { method: "POST", headers: json, body }],
    ["a 401 even", `${service}/api/tasks`, {}],
    ["a sign of life", `${service}/livez`, {}],
    ["the session's token", `${frontend}/api/auth/token`, { credentials: "include" }],
  ]) {
    const found = await gets(url, init);
    holds(`another origin does not get ${what}`, found === "TypeError", found);
  }
  holds("the browser says that CORS is why", said.some((line) => line.includes("CORS")), said);
  await ada.reloads();
  holds("nothing was planted", same(await ada.titles(), ["Buy milk"]), await ada.titles());
}
