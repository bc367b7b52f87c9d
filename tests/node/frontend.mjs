// Runs one scenario of the frontend in Chromium, and prints a line for each check that succeeds. The script exits with 0
// if all checks succeed. Otherwise it prints the failed check, stores a screenshot of each page, and exits with 1.
//
// frontend.mjs <scenario> <frontend's URL> <service's URL> <directory for screenshots> [arguments of the scenario]

import { setTimeout } from "node:timers/promises";
import { chromium } from "playwright-core";
import * as scenarios from "./scenarios.mjs";
import "./starter.mjs";

const [name, url, service, pictures, ...rest] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"],
});

/** Opens the page in a new browser context, which contains no data of other users. */
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

/** Asks the test with a line on standard output to stop or start the service, and waits until it has done so. */
async function requestService(action, expectReady) {
  console.log(`please ${action} the service`);
  for (;;) {
    const isReady = await fetch(`${service}/readyz`).then(({ ok }) => ok, () => false);
    if (isReady === expectReady) return;
    await setTimeout(50);
  }
}

try {
  const stop = () => requestService("stop", false);
  const start = () => requestService("start", true);
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
