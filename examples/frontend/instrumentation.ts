/** Creates Better Auth's tables. Next.js calls this function once, when the server starts. */
export async function register() {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { getMigrations } = await import("better-auth/db/migration");
  const { auth } = await import("./lib/auth");
  await (await getMigrations(auth().options)).runMigrations();
}
