import { useSyncExternalStore } from "react";

const subscribe = () => () => {};

/**
 * Whether React has hydrated the HTML from the server. Before that, the browser itself would submit a form, with the
 * entered values in the URL.
 */
export const useHydrated = () => useSyncExternalStore(subscribe, () => true, () => false);
