import { headers } from "next/headers";
import { redirect } from "next/navigation";
import { Tasks } from "@/components/tasks";
import { auth } from "@/lib/auth";
import { parseQuery } from "@/lib/query";
import { todoOnServer, todoPublicUrl } from "@/lib/todo";

/** The server renders the page with the first tasks. After that, the browser calls the service directly. */
export default async function Page({ searchParams }: PageProps<"/">) {
  const session = await auth().api.getSession({ headers: await headers() });
  if (!session) redirect("/sign-in");
  const address = await searchParams;
  const query = parseQuery((name) => [address[name]].flat()[0]);
  const todo = await todoOnServer(session.user.id);
  // If this request fails, Next.js shows error.tsx.
  const initialPage = await todo.page(query);
  const { id, name } = session.user;
  return <Tasks user={{ id, name }} todoUrl={todoPublicUrl()} initial={{ query, page: initialPage }} />;
}
