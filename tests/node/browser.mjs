// One scenario of the example page in a real Chromium. Ends with 0 and a line for each thing that held;
// otherwise says which did not, and leaves a picture of the page in the folder given.
//
// browser.mjs <scenario> <page's URL> <service's URL> <issuer's control URL> <folder for pictures>

import { chromium } from "playwright-core";
import * as scenarios from "./scenarios.mjs";
import "./starter.mjs";

const [name, page, service, control, pictures] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run"],
});

/** A page in a context of its own: nothing of another user's is in it. */
async function open(url = page) {
  const context = await browser.newContext({ viewport: { width: 720, height: 640 } });
  context.setDefaultTimeout(60_000);
  const opened = await context.newPage();
  opened.said = [];
  opened.on("console", (message) => opened.said.push(message.text()));
  await opened.goto(url);
  return opened;
}

let held = 0;
function holds(what, condition, found) {
  if (!condition) throw new Error(`does not hold: ${what}; found ${JSON.stringify(found)}`);
  held += 1;
  console.log(`holds: ${what}`);
}

const tell = (what) => fetch(`${control}/${what}`, { method: "POST" });
const picture = (page, file) => page.screenshot({ path: `${pictures}/${file}.png` });

try {
  await scenarios[name]({ open, holds, tell, picture, page, service });
  console.log(`${name}: ${held} things held`);
} catch (error) {
  console.error(error);
  for (const [number, context] of browser.contexts().entries()) {
    for (const page of context.pages()) {
      console.error(page.url(), page.said);
      await picture(page, `${name}-failed-${number}`).catch(() => {});
    }
  }
  process.exitCode = 1;
}
await browser.close();
process.exit();
