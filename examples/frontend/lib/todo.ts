import { headers } from "next/headers";
import { createTodoClient } from "todo-backend-client";
import { auth } from "./auth";

/** The service's URL for this server, and for browsers. */
export const todoUrl = () => process.env.TODO_URL || "http://127.0.0.1:8000";
export const todoPublicUrl = () => process.env.TODO_PUBLIC_URL || todoUrl();

/** The client for one request to this server, for the user who is signed in. */
export async function todoOnServer(userId: string) {
  const request = await headers();
  const token = async () => (await auth().api.getToken({ headers: request })).token;
  return createTodoClient({ baseUrl: todoUrl(), userId, token });
}
