// The scenarios of the frontend's tests: the actions of users, and checks of what the pages show.

import { createServer } from "node:http";
import { ask, person, same, sees, soon } from "./person.mjs";

export async function two_people({ open, check, url, service }) {
  const [ada, bob] = [person(await open()), person(await open())];
  check("a user who is not signed in is redirected to the sign-in page", ada.page.url() === `${url}/sign-in`, ada.page.url());
  await ada.signsUp("Ada Lovelace");
  await bob.signsUp("Bob");
  await sees(check, ada, "a new user has no tasks", []);

  await ada.adds("Water the plants", "2026-03-01");
  await ada.adds("éclairs for tea", "2026-02-01");
  await ada.adds("Buy milk");
  await bob.adds("Bob's own");
  await sees(check, ada, "the newest task is first", ["Buy milk", "éclairs for tea", "Water the plants"]);
  await bob.reloads();
  await sees(check, bob, "Bob sees only his own tasks", ["Bob's own"]);

  await ada.sortsBy("By title");
  await sees(check, ada, "titles are in alphabetical order", ["Buy milk", "éclairs for tea", "Water the plants"]);
  await ada.sortsBy("By due date");
  await sees(check, ada, "tasks are ordered by due date, those without one last", ["éclairs for tea", "Water the plants", "Buy milk"]);

  await ada.edits("Buy milk", { Title: "Buy <b>oat</b> milk", Description: "Two bottles", Due: "2026-01-05" });
  const edited = ["Buy <b>oat</b> milk", "éclairs for tea", "Water the plants"];
  await sees(check, ada, "the new title and due date are displayed as text", edited);
  const text = await ada.item("Buy <b>oat</b> milk").textContent();
  check("the new description is displayed", text.includes("Two bottles") && text.includes("Jan 5, 2026"), text);

  await ada.completes("éclairs for tea");
  await ada.shows("Done");
  await sees(check, ada, "the filter shows completed tasks", ["éclairs for tea"]);
  await ada.shows("Open");
  await sees(check, ada, "the filter shows open tasks", ["Buy <b>oat</b> milk", "Water the plants"]);
  await ada.reloads();
  await sees(check, ada, "filter and sort are kept in the URL", ["Buy <b>oat</b> milk", "Water the plants"]);
  await ada.shows("Done");
  await ada.completes("éclairs for tea");
  await sees(check, ada, "a completed task can be reopened", []);
  await ada.shows("All");
  await ada.deletes("Water the plants");
  await sees(check, ada, "the deleted task is no longer displayed", ["Buy <b>oat</b> milk", "éclairs for tea"]);

  const { body: hers } = await ask(ada.page, `${service}/api/tasks`);
  for (const { id, user_id } of hers) {
    const byId = await ask(bob.page, `${service}/api/tasks/${id}`);
    check("Bob gets 404 for Ada's task", byId.status === 404, byId);
    const byName = await ask(bob.page, `${service}/api/${user_id}/tasks`);
    check("Bob gets 403 for the tasks under Ada's user id", byName.status === 403, byName);
  }

  await ada.adds(" ");
  check("invalid input is explained by the service's message", (await ada.alert()).startsWith("The title must not be blank"), await ada.alert());

  // After the user's profile has changed, the page is loaded again.
  const changed = await ada.renames("Ada King");
  check("the profile can be changed", changed === 200, changed);
  await ada.reloads();
  const header = await ada.page.locator("header").textContent();
  check("the page displays the new name", header.includes("Ada King"), header);
  await sees(check, ada, "the tasks are unchanged", ["éclairs for tea", "Buy <b>oat</b> milk"].reverse());

  // These tasks make the list longer than one page.
  for (let number = 1; number <= 25; number += 1) {
    await ask(ada.page, `${service}/api/tasks`, { method: "POST", body: JSON.stringify({ title: `Task ${number}` }) });
  }
  await ada.page.goto(url);
  await ada.settled();
  check("the first page has 20 tasks", (await ada.titles()).length === 20, await ada.titles());
  await ada.presses("Load more");
  const all = await soon(ada.titles, (titles) => titles.length === 27);
  check("the remaining tasks are loaded on request, each once", new Set(all).size === 27, all);

  await ada.signsOut();
  await ada.page.goto(url);
  await ada.page.waitForURL("**/sign-in");
  check("a user who signed out is redirected to the sign-in page", true);
  await ada.signsIn();
  check("all tasks are displayed again", (await ada.titles())[0] === "Task 25", await ada.titles());
  await bob.reloads();
  await sees(check, bob, "Bob's list is unchanged", ["Bob's own"]);
  check("the page logged no errors", !bob.page.said.some((line) => /hydrat|Error:/i.test(line)), bob.page.said);
}

export async function two_tabs({ open, tab, check, service }) {
  const first = person(await open());
  await first.signsUp("Ada");
  await first.adds("Ada's own");

  const second = person(await tab(first.page.context()));
  await second.settled();
  await second.signsOut();
  await second.signsUp("Bob");
  await second.adds("Bob's own");

  // 20 minutes later, Ada's token has expired. The first tab fetches a new one, which belongs to Bob.
  await first.waits(20);
  await first.types("Meant for Ada");
  await first.presses("Add");
  await first.page.getByText("Somebody else has signed in").waitFor();
  check("the first tab reports that another user is signed in", true);
  const { body } = await ask(second.page, `${service}/api/tasks`);
  check("nothing was added to Bob's list", same(body.map(({ title }) => title), ["Bob's own"]), body);
  await first.presses("Show that account");
  await first.settled();
  await sees(check, first, "the tab then displays Bob's tasks", ["Bob's own"]);
}

export async function an_ended_session({ open, check, url }) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");
  const cookies = await ada.page.context().cookies();
  await ada.page.evaluate(() => fetch("/api/auth/sign-out", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }));
  // The cookies are restored, so that only the server knows that the session has ended.
  await ada.page.context().addCookies(cookies);
  const visited = [];
  ada.page.on("request", (request) => request.isNavigationRequest() && visited.push(request.url()));
  // After 20 minutes the token has expired, so the write needs a new token.
  await ada.waits(20);
  await ada.types("Never arrives");
  await ada.presses("Add");
  await ada.page.waitForURL("**/sign-in");
  check("a write redirects to the sign-in page once", same(visited, [`${url}/sign-in`]), visited);
  await ada.page.goto(url);
  await ada.page.waitForURL("**/sign-in");
  check("loading the page redirects to it as well", true);
  await ada.signsIn();
  await sees(check, ada, "the list is unchanged", ["Buy milk"]);
}

export async function an_outage({ open, check, stop, start }) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");
  await stop();

  await ada.types("Buy bread");
  await ada.presses("Add");
  const said = await ada.alert();
  check("a failed write is explained", said.startsWith("The service cannot be reached"), said);
  await sees(check, ada, "the failed write is reverted", ["Buy milk"]);
  const kept = await ada.page.getByLabel("New task").inputValue();
  check("the typed text is kept", kept === "Buy bread", kept);
  await ada.page.getByRole("checkbox", { name: "Buy milk" }).click();
  const box = () => ada.page.getByRole("checkbox", { name: "Buy milk" }).isChecked();
  check("the task's state is kept", (await soon(box, (checked) => !checked)) === false);

  const answer = await ada.page.reload();
  check("loading the page shows an error page", answer.status() === 500, answer.status());
  await ada.page.getByRole("heading", { name: "Your tasks cannot be reached" }).waitFor();
  await start();
  await ada.presses("Try again");
  await ada.settled();
  await sees(check, ada, "after the outage all tasks are displayed", ["Buy milk"]);
  await ada.adds("Buy bread");
  await sees(check, ada, "the service accepts tasks again", ["Buy bread", "Buy milk"]);
}

export async function an_expired_token({ open, check, service }, expired) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");

  // A script in the page can read the response.
  const answer = await ada.page.evaluate(
    async ([url, token]) => {
      const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      return { status: response.status, requestId: response.headers.get("x-request-id"), body: await response.json() };
    },
    [`${service}/api/tasks`, expired],
  );
  check("a script can read the status", answer.status === 401, answer);
  check("a script can read the problem document", answer.body.status === 401 && answer.body.detail, answer);
  check("a script can read the request id", answer.requestId === answer.body.request_id, answer);
  const blocked = ada.page.said.filter((line) => line.includes("CORS"));
  check("the browser reports no CORS error", blocked.length === 0, ada.page.said);

  // The first token that the page fetches has already expired, as the token of a tab that was open overnight would be.
  let given = 0;
  await ada.page.route("**/api/auth/token", (route) =>
    given++ === 0 ? route.fulfill({ json: { token: expired } }) : route.continue(),
  );
  const refused = ada.page.waitForResponse((response) => response.status() === 401);
  await ada.reloads();
  await ada.types("Buy bread");
  await ada.presses("Add");
  await refused;
  await sees(check, ada, "a new token is fetched, and the request is repeated", ["Buy bread", "Buy milk"]);
  check("only one new token is fetched", given === 2, given);
}

export async function time_zones({ open, check, service, url }) {
  const ada = person(await open({ timezoneId: "America/Los_Angeles" }));
  await ada.page.clock.setFixedTime(new Date("2026-12-24T20:00:00-08:00"));
  await ada.signsUp("Ada");
  await ada.adds("Christmas Eve", "2026-12-24");
  await ada.adds("The day after", "2026-12-25");
  await ada.adds("The day before", "2026-12-23");
  check("in the western time zone, the due date is shown as today", (await ada.due("Christmas Eve")) === "Today", await ada.due("Christmas Eve"));
  check("tomorrow is not shown as today", (await ada.due("The day after")) === "Dec 25, 2026", await ada.due("The day after"));
  const late = await ada.due("The day before");
  check("yesterday is shown as overdue", late === "Dec 23, 2026, overdue", late);
  await ada.edits("Christmas Eve", { Description: "Edited in the west" });
  const { body } = await ask(ada.page, `${service}/api/tasks`);
  const stored = body.find(({ title }) => title === "Christmas Eve").due_date;
  check("an edit does not change the due date", stored === "2026-12-24T00:00:00.000000Z", stored);

  // The same user opens the page in a time zone at the other end of the world.
  const cookies = await ada.page.context().cookies();
  const east = await open({ timezoneId: "Pacific/Kiritimati" });
  await east.context().addCookies(cookies);
  await east.goto(url);
  const there = person(east);
  await there.settled();
  const shown = await there.due("Christmas Eve");
  check("in the eastern time zone it is the same day", shown.startsWith("Dec 24, 2026"), shown);
  await there.page.getByRole("button", { name: "Edit Christmas Eve" }).click();
  const field = await there.page.locator("li form").getByLabel("Due").inputValue();
  check("the form shows the same day", field === "2026-12-24", field);
}

export async function refused_writes({ open, tab, check, service }) {
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
  check("an edit of a task that was changed elsewhere is refused", said.startsWith("This task was changed somewhere else"), said);
  await other.reloads();
  await sees(check, other, "the other change is kept", ["Buy soy milk"]);
  const typed = await ada.page.locator("li form").getByLabel("Title").inputValue();
  check("the typed text is kept", typed === "Buy oat milk", typed);
  await listed;
  await ada.settled();
  await ada.presses("Save");
  await sees(check, ada, "saving again replaces the other change", ["Buy oat milk"]);

  await ada.item("Buy oat milk").getByRole("button", { name: "Edit" }).click();
  await ada.page.locator("li form").getByLabel("Description").fill("x".repeat(1001));
  await ada.presses("Save");
  await ada.page.getByText("must have at most 1000 characters").waitFor();
  check("the service's message is displayed", true);
  await ada.presses("Cancel");
  const item = await soon(() => ada.item("Buy oat milk").textContent(), (text) => !text.includes("xxx"));
  check("the refused change is reverted", !item.includes("xxx"), item.length);

  const [{ id }] = (await ask(ada.page, `${service}/api/tasks`)).body;
  await ask(ada.page, `${service}/api/tasks/${id}`, { method: "DELETE" });
  await ada.page.getByRole("checkbox", { name: "Buy oat milk" }).click();
  await ada.page.getByText("This task is not there any more").waitFor();
  await sees(check, ada, "a task that was deleted elsewhere is removed from the list", []);
}

export async function a_stranger({ open, check, url, service }) {
  const ada = person(await open());
  await ada.signsUp("Ada");
  await ada.adds("Buy milk");
  // The page of the other origin uses a valid token, as if it had obtained one.
  const token = await ada.page.evaluate(async () => (await (await fetch("/api/auth/token")).json()).token);

  const html = { "content-type": "text/html" };
  const server = createServer((_, response) => response.writeHead(200, html).end("<title>Stranger</title>")).unref();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  // The page of the other origin is opened in the browser context of the signed-in user, like another tab.
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
    ["a response to a POST", `${service}/api/tasks`, { method: "POST", headers: json, body }],
    ["a 401", `${service}/api/tasks`, {}],
    ["the liveness probe", `${service}/livez`, {}],
    ["the session's token", `${url}/api/auth/token`, { credentials: "include" }],
  ]) {
    const found = await gets(address, init);
    check(`another origin does not get ${what}`, found === "TypeError", found);
  }
  check("the browser reports CORS errors", said.some((line) => line.includes("CORS")), said);
  await ada.reloads();
  await sees(check, ada, "no task was added", ["Buy milk"]);
}
