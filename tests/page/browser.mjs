// What the tests of both pages share: a real Chromium, looks, and steps that are told one by one.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Every theme, language and width is seen with at least one of the others. */
export const LOOKS = [
  { name: "desktop-light-zh", lang: "zh", theme: "light", size: { width: 1280, height: 800 } },
  { name: "desktop-dark-en", lang: "en", theme: "dark", size: { width: 1280, height: 800 } },
  { name: "narrow-light-en", lang: "en", theme: "light", size: { width: 390, height: 844 } },
  { name: "narrow-dark-zh", lang: "zh", theme: "dark", size: { width: 390, height: 844 } },
];

/** What a browser had to complain about: nothing may be left in it. */
export const complaints = [];

/** Opens a page in this look; `headers` go with every request. */
export async function open(browser, url, { lang, theme, size }, headers = {}) {
  const context = await browser.newContext({ viewport: size, extraHTTPHeaders: headers });
  const page = await context.newPage();
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => { if (new URL(request.url()).origin !== new URL(url).origin) complaints.push(`request to ${request.url()}`); });
  const address = new URL(url);
  address.searchParams.set("lang", lang);
  address.searchParams.set("theme", theme);
  await page.goto(address.href);
  await page.waitForSelector("html[data-ready]", { timeout: 20_000 });
  return page;
}

/** Nothing is wider than the screen, and theme and language are those that were asked for. */
export async function looksRight(page, look, parts) {
  const found = await page.evaluate((parts) => ({
    wide: document.documentElement.scrollWidth > innerWidth,
    spilled: [...document.querySelectorAll(parts)].filter((node) => node.getBoundingClientRect().right > innerWidth + 1).length,
    background: getComputedStyle(document.documentElement).backgroundColor,
    lang: document.documentElement.lang,
  }), parts);
  const [red] = found.background.match(/\d+/g).map(Number);
  assert.equal(found.wide || found.spilled > 0, false, "nothing is wider than the screen");
  assert.equal(red < 128, look.theme === "dark", `the background is ${look.theme}`);
  assert.ok(found.lang.startsWith(look.lang), `the language is ${look.lang}`);
}

export async function step(name, run) {
  try {
    await run();
    console.log(`ok   ${name}`);
  } catch (error) {
    console.error(`FAIL ${name}\n     ${error.message}`);
    process.exitCode = 1;
  }
}

/** Runs the tests in a browser of their own. `shot(page, name)` keeps a picture. */
export async function main(executablePath, folder, run) {
  const shot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`) });
  try {
    await mkdir(folder, { recursive: true });
    const browser = await chromium.launch({ executablePath, args: ARGS });
    try {
      await run(browser, shot);
      assert.deepEqual(complaints, [], "the browser complained");
    } finally {
      await browser.close();
    }
  } catch (error) {
    console.error(`FAIL ${error.message}`);
    process.exitCode = 1;
  }
}
