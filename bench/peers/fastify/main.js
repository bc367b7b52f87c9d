// The four requests of the benchmark, in idiomatic Fastify and postgres.js: @fastify/jwt for the user, one query per
// handler, schemas for bodies and responses, and one log line per request, written in batches. There is one process per
// core, which Fastify's documentation suggests for the highest throughput. The number of connections is divided among
// the processes, and postgres.js pipelines statements on each connection. This program has none of the service's other
// features.

import cluster from "node:cluster";
import { env, exit } from "node:process";

import jwt from "@fastify/jwt";
import Fastify from "fastify";
import { destination } from "pino";
import postgres from "postgres";

const FRONTEND = "http://localhost:3000";
const workers = Number(env.WORKERS);

const dateTime = { type: "string", format: "date-time" };
const task = {
  type: "object",
  properties: {
    id: { type: "integer" },
    user_id: { type: "string" },
    title: { type: "string" },
    description: { type: "string", nullable: true },
    completed: { type: "boolean" },
    due_date: { ...dateTime, nullable: true },
    created_at: dateTime,
    updated_at: dateTime,
  },
};
const newTask = {
  type: "object",
  required: ["title"],
  properties: {
    title: { type: "string", minLength: 1, maxLength: 200 },
    description: { type: "string", nullable: true, maxLength: 1000 },
    due_date: { ...dateTime, nullable: true },
    completed: { type: "boolean", default: false },
  },
};
const one = { params: { type: "object", properties: { id: { type: "integer" } } }, response: { 200: task } };

async function serve() {
  const sql = postgres(env.DATABASE_URL, {
    max: Number(env.DATABASE_POOL_SIZE) / workers,
    // Ids (bigint) are parsed as numbers. The default would be strings.
    types: { bigint: { to: 20, from: [20], serialize: String, parse: Number } },
  });
  const columns = sql`id, user_id, title, description, completed, due_date, created_at, updated_at`;
  const app = Fastify({
    logger: { level: "info", stream: destination({ sync: false, minLength: 4096 }) },
    // Fastify's own log has two lines per request. The hook below writes one line, as the other programs do.
    disableRequestLogging: true,
  });
  app.addHook("onResponse", async (request, reply) => {
    request.log.info({ req: request, res: reply, responseTime: reply.elapsedTime }, "request completed");
  });
  app.register(jwt, {
    secret: env.BETTER_AUTH_SECRET,
    verify: { algorithms: ["HS256"], allowedIss: FRONTEND, allowedAud: FRONTEND },
  });

  app.get("/readyz", async () => "ready");
  app.register(async (tasks) => {
    tasks.addHook("onRequest", async (request) => request.jwtVerify());

    tasks.get("/api/tasks", { schema: { response: { 200: { type: "array", items: task } } } }, async (request) => {
      return sql`SELECT ${columns} FROM tasks WHERE user_id = ${request.user.sub} ORDER BY created_at DESC, id DESC`;
    });

    tasks.post("/api/tasks", { schema: { body: newTask, response: { 201: task } } }, async (request, reply) => {
      const { title, description = null, due_date = null, completed } = request.body;
      const [created] = await sql`
        INSERT INTO tasks (user_id, title, description, due_date, completed)
        VALUES (${request.user.sub}, ${title}, ${description}, ${due_date}, ${completed}) RETURNING ${columns}`;
      reply.code(201);
      return created;
    });

    tasks.get("/api/tasks/:id", { schema: one }, async (request, reply) => {
      const [found] = await sql`
        SELECT ${columns} FROM tasks WHERE user_id = ${request.user.sub} AND id = ${request.params.id}`;
      return found ?? reply.code(404).send();
    });

    tasks.patch("/api/tasks/:id/complete", { schema: one }, async (request, reply) => {
      const [changed] = await sql`
        UPDATE tasks SET completed = NOT completed, updated_at = now()
        WHERE user_id = ${request.user.sub} AND id = ${request.params.id} RETURNING ${columns}`;
      return changed ?? reply.code(404).send();
    });
  });
  await app.listen({ host: "127.0.0.1", port: Number(env.PORT) });
}

if (workers > 1 && cluster.isPrimary) {
  cluster.on("exit", () => exit(1));
  process.on("SIGTERM", () => exit(0));
  for (let number = 0; number < workers; number += 1) cluster.fork();
} else {
  await serve();
}
