// The fake service for the client's tests. It records the requests, and returns the responses that a test has prepared.

import { createServer } from "node:http";

export const task = (changes = {}) => ({
  id: 1,
  user_id: "ada",
  title: "Buy milk",
  description: null,
  completed: false,
  due_date: null,
  created_at: "2026-01-02T03:04:05.678901Z",
  updated_at: "2026-01-02T03:04:05.678901Z",
  version: 1,
  ...changes,
});

export const problem = (status, more = {}) => ({
  status,
  headers: { "content-type": "application/problem+json" },
  body: { type: "urn:todo-backend:problem:test", title: "Title", detail: "Detail.", request_id: "r-1", ...more, status },
});

/** Starts the service. It returns `answers` in their order, and the last one for all further requests. */
export async function service(t, ...answers) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    asked.push({ method, url, headers, body: chunks.length ? JSON.parse(Buffer.concat(chunks)) : undefined });
    const { status = 200, headers: more = {}, body, text } = answers[Math.min(asked.length, answers.length) - 1];
    response.writeHead(status, { "content-type": "application/json", ...more });
    response.end(text ?? (body === undefined ? undefined : JSON.stringify(body)));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close(() => {}) && server.closeAllConnections());
  return { asked, baseUrl: `http://127.0.0.1:${server.address().port}` };
}
