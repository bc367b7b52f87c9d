import assert from "node:assert/strict";
import { createServer } from "node:net";
import test from "node:test";
import { LIMITS, NetworkError, TodoError, createTodoClient, newIdempotencyKey } from "todo-backend-client";
import { problem, service, task } from "./service.mjs";

const token = () => "token";

test("each function makes its call, on both contracts", async (t) => {
  for (const [userId, path] of [[undefined, "/api/tasks"], ["a b/c", "/api/a%20b%2Fc/tasks"]]) {
    const { asked, baseUrl } = await service(t, { body: task() });
    const todo = createTodoClient({ baseUrl: `${baseUrl}/`, token, ...(userId && { userId }) });
    assert.deepEqual(await todo.get(1), task());
    await todo.list({ status: "pending", sort: "title", limit: undefined });
    await todo.create({ title: "Buy milk" });
    await todo.update(1, { due_date: null });
    await todo.complete(1);
    await todo.complete(1, false);
    await todo.remove(1);
    const calls = asked.map(({ method, url, body }) => [method, url.replace(path, "…"), body]);
    assert.deepEqual(calls, [
      ["GET", "…/1", undefined],
      ["GET", "…?status=pending&sort=title", undefined],
      ["POST", "…", { title: "Buy milk" }],
      ["PUT", "…/1", { due_date: null }],
      ["PATCH", "…/1/complete", undefined],
      ["PATCH", "…/1/complete", { completed: false }],
      ["DELETE", "…/1", undefined],
    ]);
    for (const { headers, body } of asked) {
      assert.equal(headers.authorization, "Bearer token");
      assert.equal(headers["content-type"], body && "application/json");
    }
  }
});

test("pages follow the service's links, one by one or all", async (t) => {
  const link = { link: '</api/tasks?status=all&limit=1&cursor=a%2Bb>; rel="next"' };
  const { asked, baseUrl } = await service(t, { body: [task()], headers: link }, { body: [task({ id: 2 })] });
  const todo = createTodoClient({ baseUrl, token });
  const first = await todo.page({ limit: 1 });
  assert.deepEqual(first, { tasks: [task()], next: "a+b" });
  const second = await todo.page({ limit: 1, cursor: first.next });
  assert.deepEqual(second, { tasks: [task({ id: 2 })], next: undefined });
  assert.deepEqual(asked.map(({ url }) => url), ["/api/tasks?limit=1", "/api/tasks?limit=1&cursor=a%2Bb"]);

  const walked = await service(t, { body: [task()], headers: link }, { body: [task({ id: 2 })] });
  const ids = [];
  for await (const tasks of createTodoClient({ ...walked, token }).pages({ limit: 1 })) ids.push(...tasks.map(({ id }) => id));
  assert.deepEqual(ids, [1, 2]);
});

test("a write can require a version of the task", async (t) => {
  const { asked, baseUrl } = await service(t, problem(412));
  const todo = createTodoClient({ baseUrl, token });
  await assert.rejects(todo.update(1, { title: "t" }, { ifMatch: task({ version: 7 }).version }), { status: 412 });
  assert.equal(asked[0].headers["if-match"], '"7"');
});

test("a creation has an idempotency key, which is the given one or a new one", async (t) => {
  const { asked, baseUrl } = await service(t, { status: 201, body: task() });
  const todo = createTodoClient({ baseUrl, token });
  await todo.create({ title: "t" });
  await todo.create({ title: "t" });
  await todo.create({ title: "t" }, { idempotencyKey: "mine" });
  const keys = asked.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[2], "mine");
  assert.match(newIdempotencyKey(), /^[0-9a-z-]{20,40}$/);
});

test("a refused token is replaced once, if the request is safe to repeat", async (t) => {
  for (const [call, times] of [
    [(todo) => todo.list(), 2],
    [(todo) => todo.create({ title: "t" }), 2],
    [(todo) => todo.update(1, {}), 2],
    [(todo) => todo.complete(1, true), 2],
    [(todo) => todo.remove(1), 2],
    // A toggle is not repeated, because a second toggle would undo the first.
    [(todo) => todo.complete(1), 1],
    // A creation without an idempotency key is not repeated.
    [(todo) => todo.api("POST", "/api/tasks", { body: { title: "t" } }), 1],
  ]) {
    const { asked, baseUrl } = await service(t, problem(401));
    const sources = [];
    const todo = createTodoClient({ baseUrl, token: (refused) => `token-${sources.push(refused)}` });
    await assert.rejects(call(todo), { status: 401 });
    assert.deepEqual(asked.map(({ headers }) => headers.authorization), ["Bearer token-1", "Bearer token-2"].slice(0, times));
    assert.deepEqual(sources, [undefined, "token-1"].slice(0, times));
  }
});

test("an error has the status, the fields, the codes and the time to wait", async (t) => {
  const errors = [
    { field: "title", code: "blank", message: "must not be blank" },
    { field: "due_date", code: "format", message: "must be a date" },
  ];
  const { baseUrl } = await service(t, problem(422, { errors }), { ...problem(429), headers: { "retry-after": "7", "content-type": "application/problem+json" } });
  const todo = createTodoClient({ baseUrl, token });
  const bad = await todo.list().catch((error) => error);
  assert.ok(bad instanceof TodoError);
  assert.equal(bad.message, "422 Title: Detail.");
  assert.deepEqual(bad.codes, { title: "blank", due_date: "format" });
  assert.deepEqual(bad.errors, { title: "must not be blank", due_date: "must be a date" });
  assert.deepEqual([bad.status, bad.requestId, bad.retryAfter], [422, "r-1", undefined]);
  const later = await todo.list().catch((error) => error);
  assert.deepEqual([later.status, later.retryAfter, later.codes], [429, 7, {}]);
});

test("an error response of a proxy is a TodoError too", async (t) => {
  const html = { status: 502, text: "<h1>Bad gateway</h1>", headers: { "content-type": "text/html", "x-request-id": "r-9" } };
  const broken = { status: 503, text: "{", headers: { "content-type": "application/problem+json" } };
  const { baseUrl } = await service(t, html, broken);
  const todo = createTodoClient({ baseUrl, token });
  const error = await todo.list().catch((error) => error);
  assert.ok(error instanceof TodoError);
  assert.deepEqual([error.status, error.requestId, error.codes], [502, "r-9", {}]);
  assert.equal((await todo.list().catch((error) => error)).status, 503);
});

test("a missing response is a network error, but an aborted request is not", async (t) => {
  const server = createServer((socket) => socket.destroy());
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  const todo = createTodoClient({ baseUrl: `http://127.0.0.1:${server.address().port}`, token });
  const error = await todo.list().catch((error) => error);
  assert.ok(error instanceof NetworkError && !(error instanceof TodoError), error);
  assert.ok(error.cause);
  await assert.rejects(todo.list({}, { signal: AbortSignal.abort() }), { name: "AbortError" });

  // An incomplete response is a network error as well.
  const half = await service(t, { text: '[{"id":', headers: { "content-type": "application/json" } });
  await assert.rejects(createTodoClient({ baseUrl: half.baseUrl, token }).list(), { name: "NetworkError" });

  // Errors of the token function are not converted.
  const signedOut = () => Promise.reject(new RangeError("signed out"));
  await assert.rejects(createTodoClient({ baseUrl: "http://127.0.0.1:9", token: signedOut }).list(), RangeError);
});

test("a client for one user never requests the tasks of another user", async (t) => {
  const { asked, baseUrl } = await service(t, { body: [] });
  const todo = createTodoClient({ baseUrl, token, userId: "ada" });
  for (const path of [
    "/api/tasks",
    "/api/bob/tasks",
    "/api/ada",
    "/api/ada/tasks2",
    "/api/ada/tasks/../../bob/tasks",
    "/api/ada/tasks/%2e%2e/%2E./tasks",
    "/api/ada/tasks/.\t./../bob/tasks",
    "\\api\\tasks",
    "/livez",
  ]) {
    await assert.rejects(todo.api("GET", path), /one user/, path);
  }
  assert.deepEqual(asked, []);
  assert.equal((await todo.api("GET", `${todo.path}/1`, { query: { a: "b&c" } })).status, 200);
  assert.equal(asked[0].url, "/api/ada/tasks/1?a=b%26c");
  for (const userId of [".", ".."]) assert.throws(() => createTodoClient({ baseUrl, token, userId }), /No URL/);
});

test("the limits are those of the OpenAPI document", async () => {
  const { default: document } = await import("../../../docs/openapi.json", { with: { type: "json" } });
  const { schemas, parameters } = document.components;
  assert.equal(LIMITS.title, schemas.Title.maxLength);
  assert.equal(LIMITS.description, schemas.Description.maxLength);
  assert.equal(LIMITS.page, parameters.Limit.schema.maximum);
  assert.match(document.info.description, new RegExp(`at most ${LIMITS.body} bytes`));
});
