// An issuer for the tests: Better Auth behind a plain HTTP server.
//
// When the issuer is ready, it prints one line of JSON with its URL and the URL of its control interface. Through that
// interface, a test can make the issuer rotate its key, stop, start, and issue expired tokens, and can read its e-mails.
// Started manually with `--port 3000`, this is the issuer that the service expects by default.

import http from "node:http";
import { parseArgs } from "node:util";
import { toNodeHandler, fromNodeHeaders } from "better-auth/node";
import { bridge, issuer, rotate } from "./auth.mjs";
import "./starter.mjs";

const { values: options } = parseArgs({
  options: {
    // The host in the issuer's URL. The issuer always listens on the loopback interface.
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "0" },
    // The algorithm of the tokens: EdDSA, ES256, ES384, ES512, RS256, PS256, or HS256 with a signing function.
    alg: { type: "string", default: "EdDSA" },
    secret: { type: "string", default: process.env.BETTER_AUTH_SECRET },
    // The claims of the tokens: full, sub or id-email.
    payload: { type: "string", default: "full" },
    // The key that signs the cookie cache: off (no cookie cache), secret or jwks.
    "session-cache": { type: "string", default: "off" },
    // The URL of a PostgreSQL database whose table `users` the issuer shares with the service.
    database: { type: "string" },
    // Whether the issuer sends e-mails. It then requires a confirmation by e-mail before it deletes an account.
    emails: { type: "boolean", default: false },
    // Further origins whose pages may call the issuer.
    trusted: { type: "string", multiple: true, default: [] },
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
 * Listens on a port, and returns it. If `port` is 0, the port is random but below the range from which the system assigns
 * ports, so that no other process gets this port while the issuer is stopped.
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
