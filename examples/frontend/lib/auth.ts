import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { Pool } from "pg";

function create() {
  const url = databaseUrl();
  if (!url) mkdirSync("data", { recursive: true, mode: 0o700 });
  return betterAuth({
    baseURL: process.env.BETTER_AUTH_URL || "http://localhost:3000",
    secret: setting("BETTER_AUTH_SECRET") || ownSecret(url),
    database: url ? new Pool({ connectionString: url }) : new DatabaseSync("data/auth.db"),
    emailAndPassword: { enabled: true },
    // Tokens for the service: EdDSA, verified with the public keys at /api/auth/jwks.
    plugins: [jwt()],
  });
}

/** A variable, or the contents of the file that `NAME_FILE` names: Docker and Kubernetes mount secrets as files. */
function setting(name: string): string | undefined {
  const file = process.env[`${name}_FILE`];
  return file ? readFileSync(file, "utf8").replace(/\n$/, "") : process.env[name];
}

/** The password may be set beside the URL, where no character of it needs an escape. */
function databaseUrl(): string | undefined {
  const url = setting("DATABASE_URL");
  const password = setting("DATABASE_PASSWORD");
  if (!url || !password) return url;
  return Object.assign(new URL(url), { password: encodeURIComponent(password) }).href;
}

/** With the embedded database it is made once and kept beside it, as the service does with its own. */
function ownSecret(url: string | undefined): string {
  if (url) throw new Error("Set BETTER_AUTH_SECRET to at least 32 random bytes.");
  const file = "data/secret";
  try {
    writeFileSync(file, randomBytes(32).toString("hex"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(file, "utf8");
}

let instance: ReturnType<typeof create> | undefined;

/** Created on first use, not on import: `next build` imports this file and has no database. */
export const auth = () => (instance ??= create());
