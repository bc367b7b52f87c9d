import { headers } from "next/headers";
import { createTodoClient } from "todo-backend-client";
import { auth } from "./auth";

/** The service's URL for this application's server. */
export const todoUrl = () => process.env.TODO_URL || "http://127.0.0.1:8000";
/** The service's URL for browsers. */
export const todoPublicUrl = () => process.env.TODO_PUBLIC_URL || todoUrl();

/** Creates the client with which the server handles the current request, with the token of the user who has sent it. */
export async function todoOnServer(userId: string) {
  const request = await headers();
  const token = async () => (await auth().api.getToken({ headers: request })).token;
  return createTodoClient({ baseUrl: todoUrl(), userId, token });
}
