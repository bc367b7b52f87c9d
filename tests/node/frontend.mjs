// One scenario of the frontend in a real Chromium. Ends with 0 and a line for each thing that held; otherwise
// says which did not, and leaves a picture of the page in the folder given.
//
// frontend.mjs <scenario> <frontend's URL> <service's URL> <folder for pictures> [arguments of the scenario]

import { setTimeout } from "node:timers/promises";
import { chromium } from "playwright-core";
import * as scenarios from "./scenarios.mjs";
import "./starter.mjs";

const [name, url, service, pictures, ...rest] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"],
});

/** A browser of somebody's own: nothing of another user's is in it. */
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

let held = 0;
function holds(what, condition, found) {
  if (!condition) throw new Error(`does not hold: ${what}; found ${JSON.stringify(found)}`);
  held += 1;
  console.log(`holds: ${what}`);
}

/** The test starts and stops the service; it is asked by a line, and it is done when it shows. */
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
  await scenarios[name]({ open, tab, holds, stop, start, url, service }, ...rest);
  console.log(`${name}: ${held} things held`);
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
