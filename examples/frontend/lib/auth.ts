import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { Pool } from "pg";

function create() {
  const url = process.env.DATABASE_URL;
  if (!url) mkdirSync("data", { recursive: true, mode: 0o700 });
  return betterAuth({
    baseURL: process.env.BETTER_AUTH_URL || "http://localhost:3000",
    secret: secret(url),
    database: url ? new Pool({ connectionString: url }) : new DatabaseSync("data/auth.db"),
    emailAndPassword: { enabled: true },
    // Tokens for the service: EdDSA, verified with the public keys at /api/auth/jwks.
    plugins: [jwt()],
  });
}

/** With the embedded database it is made once and kept beside it, as the service does with its own. */
function secret(url: string | undefined): string {
  if (process.env.BETTER_AUTH_SECRET) return process.env.BETTER_AUTH_SECRET;
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
