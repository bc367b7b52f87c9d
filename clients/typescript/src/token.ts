/**
 * Returns the token to send. `refused` is a token that was answered with 401; the function must then return another
 * one. Better Auth's tokens are valid for 15 minutes, so a constant is not enough; see {@link cachedToken}.
 */
export type TokenSource = (refused?: string) => string | Promise<string>;

/** Caches a token until 30 seconds before it expires. Concurrent calls share one fetch. */
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
    return false; // not a JWT: the service refuses it, and its log says why
  }
}
