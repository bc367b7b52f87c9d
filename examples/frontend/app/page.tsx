import { headers } from "next/headers";
import { redirect } from "next/navigation";
import { Tasks } from "@/components/tasks";
import { auth } from "@/lib/auth";
import { queryOf } from "@/lib/query";
import { todoOnServer, todoPublicUrl } from "@/lib/todo";

/** The page contains the first tasks. For everything after that, the browser calls the service itself. */
export default async function Page({ searchParams }: PageProps<"/">) {
  const session = await auth().api.getSession({ headers: await headers() });
  if (!session) redirect("/sign-in");
  const address = await searchParams;
  const query = queryOf((name) => [address[name]].flat()[0]);
  const todo = await todoOnServer(session.user.id);
  const initialPage = await todo.page(query); // error.tsx is shown if this fails
  const { id, name } = session.user;
  return <Tasks user={{ id, name }} todoUrl={todoPublicUrl()} initial={{ query, page: initialPage }} />;
}
