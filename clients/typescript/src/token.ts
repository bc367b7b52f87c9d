/**
 * A function that returns the token to send. `refused` is the token that the service has just refused with 401; the
 * function should then return another token. By default, Better Auth's tokens are valid for only 15 minutes, so the
 * function should not always return the same one. {@link cachedToken} creates such a function.
 */
export type TokenSource = (refused?: string) => string | Promise<string>;

/** Creates a token source that caches a token until 30 seconds before it expires. Concurrent calls share one fetch. */
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
    // The token is not a JWT. It is sent all the same, because the service refuses it, and its log then has the reason.
    return false;
  }
}
