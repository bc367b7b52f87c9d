import assert from "node:assert/strict";
import test from "node:test";
import { cachedToken } from "todo-backend-client";

const jwt = (seconds, name = "t") => {
  const claims = Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + seconds, name: `ÿþ${name}` }));
  return `e30.${claims.toString("base64url")}.c2ln`;
};

test("a token is cached until shortly before it expires, or until it is refused", async () => {
  const given = [jwt(20, "ends soon"), jwt(900, "first"), jwt(900, "second")];
  let fetched = 0;
  const token = cachedToken(async () => given[fetched++]);
  assert.equal(await token(), given[0]);
  assert.equal(await token(), given[1]);
  assert.equal(await token(), given[1]);
  assert.equal(await token(given[0]), given[1], "a refused older token should not replace the cached one");
  assert.equal(await token(given[1]), given[2]);
  assert.equal(fetched, 3);
});

test("concurrent calls share one fetch, and a failure is not cached", async () => {
  let fetched = 0;
  const token = cachedToken(async () => {
    fetched += 1;
    if (fetched === 1) throw new Error("offline");
    return jwt(900);
  });
  const first = await Promise.allSettled([token(), token(), token()]);
  assert.deepEqual([first.map(({ status }) => status), fetched], [["rejected", "rejected", "rejected"], 1]);
  await Promise.all([token(), token()]);
  assert.equal(fetched, 2);
});

test("a token that is not a JWT is sent to the service", async () => {
  const token = cachedToken(async () => "opaque");
  assert.equal(await token(), "opaque");
  assert.equal(token(), "opaque");
});
