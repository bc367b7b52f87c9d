// The example page and the modules it imports, as plain files: there is no bundler to look behind.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const root = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const files = {
  "/": ["text/html", () => read("examples/browser/index.html")],
  "/app.js": ["text/javascript", () => read("examples/browser/app.js")],
  "/todo-client.js": ["text/javascript", clientModule],
  "/openapi-fetch.js": ["text/javascript", () => read("tests/node/node_modules/openapi-fetch/dist/index.mjs")],
};

/** Answers with a file of the page, in which `service` stands where the service's default address does. */
export async function page(path, response, service) {
  const file = files[path];
  if (!file) return response.writeHead(404).end();
  const [type, content] = file;
  response.writeHead(200, { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" });
  response.end((await content()).replace("http://127.0.0.1:8000", service));
}

const read = (path) => readFile(root(path), "utf8");

/** The typed client as a browser runs it. */
export async function clientModule() {
  const { default: typescript } = await import("typescript");
  const { ESNext } = typescript.ModuleKind;
  const { ES2022 } = typescript.ScriptTarget;
  const source = await read("clients/typescript/src/index.ts");
  return typescript.transpileModule(source, { compilerOptions: { module: ESNext, target: ES2022 } }).outputText;
}
