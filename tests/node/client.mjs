// Tests the typed client with a running service:
// `client.mjs <client's index.js> <service's URL> <user id> <valid token> <expired token>`.
// If all assertions succeed, the script prints a line and exits with 0.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const [client, baseUrl, userId, good, expired] = process.argv.slice(2);
const { NetworkError, TodoError, cachedToken, createTodoClient, dayOf, dueOn } = await import(pathToFileURL(client));

const fails = async (call) => {
  const error = await call.then(() => assert.fail("expected a TodoError"), (error) => error);
  assert.ok(error instanceof TodoError, error);
  return error;
};

async function testAllCalls(todo) {
  assert.deepEqual(await todo.list(), []);
  const milk = await todo.create({ title: "Milk", description: "2 l", due_date: dueOn("2026-01-02") });
  assert.equal(milk.user_id, userId);
  assert.equal(milk.due_date, "2026-01-02T00:00:00.000000Z");
  assert.equal(dayOf(milk), "2026-01-02");
  assert.deepEqual(await todo.get(milk.id), milk);
  const renamed = await todo.update(milk.id, { title: "Oat milk", description: null });
  assert.deepEqual([renamed.title, renamed.description, renamed.due_date], ["Oat milk", null, milk.due_date]);
  const late = await fails(todo.update(milk.id, { title: "Soy milk" }, { ifMatch: milk.version }));
  assert.equal(late.status, 412);
  const version = renamed.version;
  assert.equal((await todo.update(milk.id, { title: "Oat milk" }, { ifMatch: version })).version, version + 1);
  assert.equal((await todo.complete(milk.id)).completed, true);
  assert.equal((await todo.complete(milk.id)).completed, false);
  assert.equal((await todo.complete(milk.id, true)).completed, true);
  assert.equal((await todo.complete(milk.id, true)).completed, true);
  await todo.create({ title: "Apples" });
  await todo.create({ title: "Bread" });
  const titles = async (query) => (await todo.list(query)).map(({ title }) => title);
  assert.deepEqual(await titles({ sort: "title" }), ["Apples", "Bread", "Oat milk"]);
  assert.deepEqual(await titles({ status: "completed" }), ["Oat milk"]);
  const pages = [];
  for await (const page of todo.pages({ sort: "title", limit: 2 })) pages.push(page.map(({ title }) => title));
  assert.deepEqual(pages, [["Apples", "Bread"], ["Oat milk"]]);
  const first = await todo.page({ sort: "title", limit: 2 });
  const second = await todo.page({ sort: "title", limit: 2, cursor: first.next });
  assert.deepEqual([first.tasks.length, second.tasks.length, second.next], [2, 1, undefined]);
  const { headers } = await todo.api("GET", todo.path, { query: { limit: 1 } });
  const again = await todo.api("GET", todo.path, { query: { limit: 1 }, headers: { "If-None-Match": headers.get("ETag") } });
  assert.equal(again.status, 304);
  for (const { id } of await todo.list()) await todo.remove(id);
  const gone = await fails(todo.get(milk.id));
  assert.equal(gone.status, 404);
  assert.equal(gone.problem.status, 404);
  assert.ok(gone.problem.detail && gone.requestId);
}

const mine = createTodoClient({ baseUrl, token: () => good });
await testAllCalls(mine);
await testAllCalls(createTodoClient({ baseUrl: `${baseUrl}/`, token: () => good, userId }));

// The response to invalid input has a message for each invalid field. Its status depends on the contract.
for (const [status, contract] of [[400, {}], [422, { userId }]]) {
  const todo = createTodoClient({ baseUrl, token: () => good, ...contract });
  const bad = await fails(todo.create({ title: " ", due_date: "tomorrow" }));
  assert.equal(bad.status, status);
  assert.deepEqual(bad.codes, { title: "blank", due_date: "format" });
  assert.deepEqual(Object.keys(bad.errors).sort(), ["due_date", "title"]);
}
const other = createTodoClient({ baseUrl, token: () => good, userId: "some/body else" });
assert.equal((await fails(other.list())).status, 403);

// If the service refuses a token, the client fetches another one and repeats the request, but only if that is safe.
function withExpiredToken() {
  const asked = [];
  const token = (refused) => asked.push(refused) && (refused === undefined ? expired : good);
  return { asked, ...createTodoClient({ baseUrl, token }) };
}
const { id } = await mine.create({ title: "Once" });
for (const call of [
  (todo) => todo.list(),
  (todo) => todo.get(id),
  (todo) => todo.update(id, { title: "Once more" }),
  (todo) => todo.complete(id, true),
  (todo) => todo.create({ title: "Twice?" }),
  (todo) => todo.remove(id),
]) {
  const todo = withExpiredToken();
  await call(todo);
  assert.deepEqual(todo.asked, [undefined, expired]);
}
const toggling = withExpiredToken();
assert.equal((await fails(toggling.complete(1))).status, 401);
assert.deepEqual(toggling.asked, [undefined], "a toggle should not be repeated");
const alwaysExpired = createTodoClient({ baseUrl, token: () => expired });
assert.equal((await fails(alwaysExpired.list())).status, 401);
assert.deepEqual((await mine.list()).map(({ title }) => title), ["Twice?"], "each call should take effect once");

// A token is fetched when a request needs it, only once for concurrent requests, and again when it has expired.
let fetched = 0;
const tokens = [good, good, expired, good];
const cached = createTodoClient({ baseUrl, token: cachedToken(async () => tokens[fetched++]) });
await Promise.all([cached.list(), cached.list(), cached.list()]);
await cached.list();
assert.equal(fetched, 1);
fetched = 2;
const late = createTodoClient({ baseUrl, token: cachedToken(async () => tokens[fetched++]) });
await late.list();
await late.list();
assert.equal(fetched, 4, "the expired token should be replaced and the valid one kept");

// An error response of a proxy is a TodoError, and a failed connection is a NetworkError.
const answers = (response) => createTodoClient({ baseUrl, token: () => good, fetch: async () => response });
const proxy = await fails(answers(new Response("<h1>Bad Gateway</h1>", { status: 502 })).list());
assert.deepEqual([proxy.status, proxy.errors], [502, {}]);
const nowhere = createTodoClient({ baseUrl: "http://127.0.0.1:1", token: () => good });
await assert.rejects(nowhere.list(), NetworkError);

console.log("all assertions succeeded");
