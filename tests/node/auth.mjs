// Creates Better Auth instances for the tests, with each option that changes the tokens a frontend sends.

import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { getMigrations } from "better-auth/db/migration";
import { bearer, jwt } from "better-auth/plugins";
import { SignJWT } from "jose";
import pg from "pg";

/**
 * Creates an instance. `state.expired` may change at run time. While it is true, new tokens are already expired, as the
 * token of a browser tab that was open overnight would be.
 */
export async function issuer({ url, secret, alg, payload, sessionCache, database, trusted, emails, state }) {
  const definePayload = ({ user }) => ({
    ...{ full: user, sub: {}, "id-email": { id: user.id, email: user.email } }[payload],
    ...(state.expired && { exp: Math.floor(Date.now() / 1000) - 60 }),
  });
  const jwks = { keyPairConfig: { alg } };
  const token = { definePayload };
  if (alg === "HS256") {
    // The jwt plugin does not support HS256, but it can call a signing function of the frontend. It then requires a URL
    // for the public keys, and its own /jwks returns 404. No public keys exist in this case, so the URL is not used.
    jwks.remoteUrl = `${url}/api/auth/jwks`;
    token.sign = (claims) => hs256(claims, secret, { typ: "JWT" });
  }
  /** Creates a function that stores an e-mail in the mailbox, where the test can read it, instead of sending it. */
  const mail =
    (subject) =>
    async ({ user, url, token }) =>
      void state.mailbox.push({ subject, to: user.email, url, token });
  const options = {
    baseURL: url,
    secret,
    trustedOrigins: trusted,
    emailAndPassword: { enabled: true, ...(emails && { sendResetPassword: mail("reset password") }) },
    ...(emails && { emailVerification: { sendVerificationEmail: mail("verify address") } }),
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    user: {
      deleteUser: {
        enabled: true,
        ...(emails && { sendDeleteAccountVerification: mail("delete account") }),
      },
      ...(emails && {
        changeEmail: { enabled: true, sendChangeEmailConfirmation: mail("confirm new address") },
      }),
      ...(database && sharedUsers),
    },
    plugins: [jwt({ jwks, jwt: token, sessionCookieCache: sessionCache === "jwks" }), bearer()],
    ...(sessionCache !== "off" && {
      session: { cookieCache: { enabled: true, strategy: "jwt", maxAge: 300 } },
    }),
    database: storage(database),
  };
  const auth = betterAuth(options);
  if (database) {
    await (await getMigrations(auth.options)).runMigrations();
  }
  return auth;
}

/** Makes Better Auth use the service's table `users`. The table and its columns have other names than Better Auth's. */
const sharedUsers = {
  modelName: "users",
  fields: { emailVerified: "email_verified", createdAt: "created_at", updatedAt: "updated_at" },
};

/** Returns an in-memory database, which needs no compiled driver, or the service's PostgreSQL. */
function storage(database) {
  if (database) return new pg.Pool({ connectionString: database, max: 4 });
  const tables = ["user", "session", "account", "verification", "jwks"];
  return memoryAdapter(Object.fromEntries(tables.map((table) => [table, []])));
}

/** Creates an HS256 token for the user of the session, as a route that many frontends implement themselves does. */
export async function bridge(auth, headers, secret) {
  const session = await auth.api.getSession({ headers });
  if (!session) return undefined;
  const { id, email, name } = session.user;
  const now = Math.floor(Date.now() / 1000);
  return hs256({ email, name, sub: id, iat: now, exp: now + 900 }, secret);
}

function hs256(claims, secret, header = {}) {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", ...header })
    .sign(new TextEncoder().encode(secret));
}

/** Expires the signing key, as `rotationInterval` does, so that the next token is signed with a new key. */
export async function rotate(auth) {
  const { adapter } = await auth.$context;
  for (const { id } of await adapter.findMany({ model: "jwks" })) {
    const where = [{ field: "id", value: id }];
    await adapter.update({ model: "jwks", where, update: { expiresAt: new Date(Date.now() - 1000) } });
  }
}
