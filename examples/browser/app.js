// Signs in with Better Auth, where this page comes from, and keeps tasks at the service, which is another
// origin: the browser lets it because the service names this page's origin in its CORS headers.

import { TodoError, cachedToken, createTodoClient } from "todo-backend-client";

const service = "http://127.0.0.1:8000";
const $ = (selector, root = document) => root.querySelector(selector);

let todo; // the client of whoever is signed in

/** Better Auth's own endpoints; the session is a cookie of this origin. */
async function auth(path, body) {
  const method = body ? "POST" : "GET";
  const headers = { "content-type": "application/json" };
  const response = await fetch(`/api/auth${path}`, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer?.message ?? `Signing in failed (${response.status})`);
  return answer;
}

async function show() {
  const session = await auth("/get-session");
  $("#sign-in").hidden = !!session;
  $("main").hidden = $("#who").hidden = !session;
  $("ul").replaceChildren();
  if (!session) return;
  $("#who b").textContent = session.user.email;
  const token = cachedToken(async () => (await auth("/token")).token);
  todo = createTodoClient({ baseUrl: service, token });
  await list();
}

async function list() {
  const tasks = await todo.list({ status: $("#status").value, sort: $("#sort").value });
  $("ul").replaceChildren(...tasks.map(item));
}

function item(task) {
  const li = $("template").content.firstElementChild.cloneNode(true);
  const [done, title] = li.querySelectorAll("input");
  li.classList.toggle("done", task.completed);
  done.checked = task.completed;
  title.value = task.title;
  $("time", li).textContent = task.due_date?.slice(0, 10) ?? "";
  on(done, "change", () => todo.complete(task.id, done.checked));
  on(title, "change", () => todo.update(task.id, { title: title.value }));
  on($("button", li), "click", () => todo.remove(task.id));
  return li;
}

/** Whatever a person does: do it, show what the service has now, and say so when it failed. */
function on(element, event, act, then = list) {
  element.addEventListener(event, async (happened) => {
    happened.preventDefault();
    document.body.ariaBusy = "true";
    $("[role=alert]").textContent = "";
    try {
      await act(happened);
      await then();
    } catch (error) {
      $("[role=alert]").textContent = words(error);
    }
    document.body.ariaBusy = "false";
  });
}

function words(error) {
  if (!(error instanceof TodoError)) return error.message;
  const fields = Object.entries(error.errors).map(([field, message]) => `${field} ${message}`);
  return fields.join("; ") || `${error.status} ${error.problem.title}: ${error.problem.detail}`;
}

on($("#sign-in"), "submit", ({ target, submitter }) => {
  const { email, password } = Object.fromEntries(new FormData(target));
  return submitter.value === "up"
    ? auth("/sign-up/email", { email, password, name: email.split("@")[0] })
    : auth("/sign-in/email", { email, password });
}, show);
on($("#sign-out"), "click", () => auth("/sign-out", {}), show);
on($("#add"), "submit", async ({ target }) => {
  const { title, due_date } = Object.fromEntries(new FormData(target));
  await todo.create({ title, ...(due_date && { due_date }) });
  target.reset();
});
on($("#status"), "change", () => {});
on($("#sort"), "change", () => {});
on(window, "DOMContentLoaded", () => {}, show);
