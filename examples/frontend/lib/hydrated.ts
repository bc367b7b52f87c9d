import { useSyncExternalStore } from "react";

const never = () => () => {};

/**
 * Whether React has hydrated the HTML from the server. Until then the browser would submit a form itself, with the
 * entered values in the URL.
 */
export const useHydrated = () => useSyncExternalStore(never, () => true, () => false);
