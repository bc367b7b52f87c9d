"use client";
import { jwtClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";

export const authClient = createAuthClient({ plugins: [jwtClient()] });

/** The error if no user is signed in in this browser, for instance because the session has ended. */
export class SignedOut extends Error {}

/** Fetches a token for the service. The token belongs to the user who is signed in in this browser. */
export async function fetchToken(): Promise<string> {
  const { data, error } = await authClient.token();
  if (data) return data.token;
  throw error.status === 401 ? new SignedOut() : new Error(error.message ?? "There is no answer.");
}
