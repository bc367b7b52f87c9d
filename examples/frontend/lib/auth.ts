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
    secret: setting("BETTER_AUTH_SECRET") || generatedSecret(url),
    database: url ? new Pool({ connectionString: url }) : new DatabaseSync("data/auth.db"),
    emailAndPassword: { enabled: true },
    // This plugin issues the tokens for the service. They are signed with EdDSA, and the service verifies them with the
    // public keys at /api/auth/jwks.
    plugins: [jwt()],
  });
}

/**
 * The value of a variable, or the contents of the file that the variable with the suffix `_FILE` names: Docker and
 * Kubernetes provide secrets as files.
 */
function setting(name: string): string | undefined {
  const file = process.env[`${name}_FILE`];
  return file ? readFileSync(file, "utf8").replace(/\n$/, "") : process.env[name];
}

/** The URL of the database. Its password may be set in a separate variable, in which no character needs escaping. */
function databaseUrl(): string | undefined {
  const url = setting("DATABASE_URL");
  const password = setting("DATABASE_PASSWORD");
  if (!url || !password) return url;
  return Object.assign(new URL(url), { password: encodeURIComponent(password) }).href;
}

/** The secret that is generated once and stored next to the embedded database. The service does the same. */
function generatedSecret(url: string | undefined): string {
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

/**
 * Better Auth, which is created on first use and not on import, because `next build` imports this file, and no database
 * is available then.
 */
export const auth = () => (instance ??= create());
