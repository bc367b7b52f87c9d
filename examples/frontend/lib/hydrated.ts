import { useSyncExternalStore } from "react";

const never = () => () => {};

/**
 * Whether the scripts have taken over what the server rendered. Until then a form would be sent by the browser
 * itself, with what was typed in the address.
 */
export const useHydrated = () => useSyncExternalStore(never, () => true, () => false);
