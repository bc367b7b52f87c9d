// A small real issuer: Better Auth behind a plain HTTP server.
//
// Prints one line of JSON when it serves: its URL, and the one by which a test tells it to rotate its
// key, to go down, to come back. Run by hand with `--port 3000`, it is the issuer that the service expects by
// default.

import http from "node:http";
import { parseArgs } from "node:util";
import { toNodeHandler, fromNodeHeaders } from "better-auth/node";
import { bridge, issuer, rotate } from "./auth.mjs";
import "./starter.mjs";

const { values: options } = parseArgs({
  options: {
    host: { type: "string", default: "127.0.0.1" }, // the one in its URL; it listens on loopback only
    port: { type: "string", default: "0" },
    alg: { type: "string", default: "EdDSA" }, // ES256, ES384, ES512, RS256, PS256, or HS256 by a signer
    secret: { type: "string", default: process.env.BETTER_AUTH_SECRET },
    payload: { type: "string", default: "full" }, // sub, id-email
    "session-cache": { type: "string", default: "off" }, // secret or jwks: what signs the cookie
    database: { type: "string" }, // PostgreSQL, with the service's `users` table as its own
    emails: { type: "boolean", default: false }, // sends them, and deletes no account without one
    trusted: { type: "string", multiple: true, default: [] }, // further origins that pages come from
  },
});

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});

const port = await listen(server, Number(options.port));
const url = `http://${options.host}:${port}`;
const secret = options.secret ?? "a secret of the tests alone, of 32 bytes and more";
const state = { expired: false, mailbox: [] };
const auth = await issuer({
  ...options,
  url,
  secret,
  sessionCache: options["session-cache"],
  state,
});
const handler = toNodeHandler(auth);

async function answer(request, response) {
  const { pathname } = new URL(request.url, url);
  if (pathname.startsWith("/api/auth/")) return handler(request, response);
  if (pathname === "/api/bridge") {
    const token = await bridge(auth, fromNodeHeaders(request.headers), secret);
    response.writeHead(token ? 200 : 401, { "content-type": "application/json" });
    return response.end(JSON.stringify({ token }));
  }
  response.writeHead(404).end();
}

const controls = {
  "/rotate": () => rotate(auth),
  "/down": stop,
  "/up": async () => void (await listen(server, port)),
  "/expired": () => void (state.expired = true),
  "/fresh": () => void (state.expired = false),
  "/mailbox": () => state.mailbox,
};

const control = http.createServer(async (request, response) => {
  const act = controls[request.url];
  const answer = await act?.();
  if (answer !== undefined) {
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(JSON.stringify(answer));
  }
  response.writeHead(act ? 204 : 404).end();
});

async function stop() {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
}

/**
 * A port of its own choice is below those that the system gives away for port 0: nobody takes it while
 * this issuer is down.
 */
async function listen(server, port) {
  const wanted = port || 20_000 + Math.floor(Math.random() * 12_000);
  try {
    await new Promise((done, failed) => {
      server.once("error", failed).listen(wanted, "127.0.0.1", () => done(server.off("error", failed)));
    });
  } catch (error) {
    if (port || error.code !== "EADDRINUSE") throw error;
    return listen(server, 0);
  }
  return wanted;
}

control.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ url, control: `http://127.0.0.1:${control.address().port}` }));
});
