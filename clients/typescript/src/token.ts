/**
 * Gives the token to send. `refused` is one that was answered with 401: another one is wanted then.
 * Better Auth's tokens live for 15 minutes, so a constant will not do; see {@link cachedToken}.
 */
export type TokenSource = (refused?: string) => string | Promise<string>;

/** Keeps a token until half a minute before it ends, and fetches one at a time. */
export function cachedToken(fetchToken: () => Promise<string>): TokenSource {
  let token: string | undefined;
  let pending: Promise<string> | undefined;
  const renew = async () => (token = await fetchToken());
  return (refused) => {
    if (token !== undefined && token !== refused && !endsSoon(token)) return token;
    return (pending ??= renew().finally(() => (pending = undefined)));
  };
}

function endsSoon(token: string): boolean {
  const claims = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  try {
    return JSON.parse(atob(claims)).exp * 1000 < Date.now() + 30_000;
  } catch {
    return false; // no JWT: the service says so, and why
  }
}
