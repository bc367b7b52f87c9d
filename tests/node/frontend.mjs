// Runs one scenario of the frontend in a real Chromium. Exits with 0 and prints a line for each check that
// succeeded. Otherwise it prints the failed check and stores a screenshot of the page in the given folder.
//
// frontend.mjs <scenario> <frontend's URL> <service's URL> <folder for screenshots> [arguments of the
// scenario]

import { setTimeout } from "node:timers/promises";
import { chromium } from "playwright-core";
import * as scenarios from "./scenarios.mjs";
import "./starter.mjs";

const [name, url, service, pictures, ...rest] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"],
});

/** Opens a browser context of its own, without data of other users. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 760, height: 660 }, ...options });
  context.setDefaultTimeout(60_000);
  return tab(context);
}

async function tab(context) {
  const page = await context.newPage();
  page.said = [];
  page.on("console", (message) => page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  await page.goto(url);
  return page;
}

let succeeded = 0;
function check(what, condition, found) {
  if (!condition) throw new Error(`check failed: ${what}; found ${JSON.stringify(found)}`);
  succeeded += 1;
  console.log(`ok: ${what}`);
}

/** Asks the test, by a line on standard output, to stop or start the service, and waits until that is done. */
async function please(wish, done) {
  console.log(`please ${wish} the service`);
  for (;;) {
    const up = await fetch(`${service}/readyz`).then(({ ok }) => ok, () => false);
    if (up === done) return;
    await setTimeout(50);
  }
}

try {
  const stop = () => please("stop", false);
  const start = () => please("start", true);
  await scenarios[name]({ open, tab, check, stop, start, url, service }, ...rest);
  console.log(`${name}: ${succeeded} checks succeeded`);
} catch (error) {
  console.error(error);
  for (const [number, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
    console.error(page.url(), page.said);
    await page.screenshot({ path: `${pictures}/${name}-failed-${number}.png` }).catch(() => {});
  }
  process.exitCode = 1;
}
await browser.close();
process.exit();
