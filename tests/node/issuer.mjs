// A small real issuer: Better Auth behind a plain HTTP server.
//
// When it is ready, it prints one line of JSON with its URL and the URL of its control interface, through
// which a test makes it rotate its key, stop and start. Started manually with `--port 3000`, it is the issuer
// that the service expects by default.

import http from "node:http";
import { parseArgs } from "node:util";
import { toNodeHandler, fromNodeHeaders } from "better-auth/node";
import { bridge, issuer, rotate } from "./auth.mjs";
import "./starter.mjs";

const { values: options } = parseArgs({
  options: {
    host: { type: "string", default: "127.0.0.1" }, // the host in its URL; it listens only on the loopback interface
    port: { type: "string", default: "0" },
    alg: { type: "string", default: "EdDSA" }, // ES256, ES384, ES512, RS256, PS256, or HS256 with a signing function
    secret: { type: "string", default: process.env.BETTER_AUTH_SECRET },
    payload: { type: "string", default: "full" }, // sub, id-email
    "session-cache": { type: "string", default: "off" }, // secret or jwks, which sign the cookie
    database: { type: "string" }, // PostgreSQL, whose table `users` it shares with the service
    emails: { type: "boolean", default: false }, // sends e-mails and requires one to delete an account
    trusted: { type: "string", multiple: true, default: [] }, // further trusted origins of pages
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
const secret = options.secret ?? "a secret for tests that has more than 32 bytes";
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
 * Without a given port, uses one below the range of port 0, so that no other process gets it while this issuer
 * is down.
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
