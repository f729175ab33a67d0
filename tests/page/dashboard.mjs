// Looks at the dashboard of a running demo while somebody talks to the bot on its chat page.
//
//   node tests/page/dashboard.mjs DASHBOARD_URL CHAT_PAGE_URL /usr/bin/chromium screenshots
//   node tests/page/dashboard.mjs --token TOKEN DASHBOARD_URL /usr/bin/chromium screenshots
//
// The second looks at a daemon that wants a token. Exit status 0: everything was seen.

import assert from "node:assert/strict";
import { LOOKS, complaints, looksRight, main, open, step } from "./browser.mjs";

const TURN_WITHIN_MS = Number(process.env.TURN_WITHIN_MS ?? 60_000);
/** What nginx and tunnels add: whoever comes through them is from elsewhere. */
const FORWARDED = { "x-forwarded-for": "192.0.2.1" };

const words = process.argv.slice(2);
const usage = () => {
  console.error("usage: dashboard.mjs [--token TOKEN] DASHBOARD_URL [CHAT_PAGE_URL] CHROMIUM_PATH SCREENSHOT_FOLDER");
  process.exit(2);
};

const tile = (page, name) => page.locator(`[data-tile=${name}] dd`).evaluate((node) => Number(node.firstChild.textContent));

async function follows(page, chat) {
  const before = await tile(page, "answered");
  // A turn is short: what is seen of it is recorded as it appears.
  await page.evaluate(() => {
    window.seen = new Set();
    new MutationObserver(() => document.querySelectorAll(".turn .head b").forEach(({ textContent }) => window.seen.add(textContent.replace(/\d+/, "N"))))
      .observe(document.querySelector("#turns"), { childList: true, subtree: true });
  });
  const text = `请写一段较长的自我介绍 ${Date.now()}`;
  await chat.fill("#text", text);
  await chat.keyboard.press("Enter");
  await page.waitForFunction((before) => Number(document.querySelector("[data-tile=answered] dd").firstChild.textContent) > before, before, { timeout: TURN_WITHIN_MS });
  await page.locator("#ends li[data-end=answered]").first().waitFor({ timeout: TURN_WITHIN_MS });
  await page.locator("#turns .empty").waitFor({ timeout: TURN_WITHIN_MS });
  const seen = await page.evaluate(() => [...window.seen]);
  assert.ok(seen.length > 0, "the running turn was shown while it ran");
  assert.ok(await page.locator("#events li[data-fate=admitted]").count() > 0, "its event is listed");
  assert.ok(await page.locator("#ack .chart b").count() > 5, "the time to acknowledge is drawn");
  assert.ok(!(await page.innerText("body")).includes(text), "what people write is not on the page");
  assert.equal(await page.locator("#ready").getAttribute("data-ready"), "yes");
  return text;
}

async function seesTheLinkBreak(page, chat) {
  if (await page.innerText("#link h2") === "Webhook") return;
  const changes = await page.locator("#link .rows li").count();
  if (!await chat.locator("[data-fault=drop]").isVisible()) await chat.click("#open-wire");
  await chat.locator("[data-fault=drop]").click();
  await page.waitForFunction((changes) => document.querySelectorAll("#link .rows li").length > changes
    && document.querySelector("#link .state").dataset.tone === "good", changes, { timeout: 30_000 });
}

async function switches(page) {
  const first = page.locator("#config details").first();
  await first.locator("summary").click();
  const before = await page.innerText("#turns h2");
  await page.click("#language");
  assert.notEqual(await page.innerText("#turns h2"), before, "the language changed");
  assert.equal(await first.getAttribute("open"), "", "what was opened stays open");
  const dark = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.click("#theme");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), dark, "the theme changed");
  await page.reload();
  await page.waitForSelector("html[data-ready=yes]");
}

async function renders(browser, url, look, shot) {
  const page = await open(browser, url, look);
  await page.locator("#ends li").first().waitFor({ timeout: 10_000 });
  await looksRight(page, look, ".panel, .tile, .chart i, #top > *");
  await shot(page, `dashboard-${look.name}`);
  await page.evaluate(() => document.querySelector("#config").scrollIntoView());
  await page.locator("#config details").first().locator("summary").click();
  await shot(page, `dashboard-${look.name}-end`);
  await page.context().close();
}

async function isClosedToOthers(browser, url) {
  const page = await open(browser, url, LOOKS[1], FORWARDED);
  assert.equal(await page.locator("main").isVisible(), false);
  assert.match(await page.innerText("#ask-why"), /bearer_token_env/);
  assert.equal(await page.locator("#ask input").isVisible(), false, "no token would help");
  await page.context().close();
  forget(403);
}

/** Being turned away is a complaint of the browser's that was asked for. */
function forget(status) {
  for (let at = complaints.length - 1; at >= 0; at -= 1) if (complaints[at].includes(`${status}`)) complaints.splice(at, 1);
}

async function wantsTheToken(browser, url, token, shot) {
  const page = await open(browser, url, LOOKS[1], FORWARDED);
  assert.equal(await page.locator("main").isVisible(), false);
  await shot(page, "dashboard-token");
  for (const [said, isRight] of [["wrong", false], [token, true]]) {
    await page.fill("#ask input", said);
    await page.click("#ask button");
    if (isRight) await page.locator("main").waitFor({ timeout: 10_000 });
    else await page.waitForFunction(() => document.querySelector("#ask-why").textContent.includes("not the token"));
  }
  assert.equal(await page.locator("#ready").getAttribute("data-ready"), "no", "without Feishu it is not ready");
  assert.ok(await page.locator("#ready li").count() > 0, "and says why");
  assert.ok(!page.url().includes(token), "the token is in no address");
  await page.context().close();
  forget(401);
}

if (words[0] === "--token") {
  const [, token, url, executablePath, folder] = words;
  if (!folder) usage();
  await main(executablePath, folder, (browser, shot) =>
    step("from elsewhere the token is asked for", () => wantsTheToken(browser, url, token, shot)));
} else {
  const [url, chatUrl, executablePath, folder] = words;
  if (!folder) usage();
  await main(executablePath, folder, async (browser, shot) => {
    const page = await open(browser, url, LOOKS[0]);
    const chat = await open(browser, chatUrl, LOOKS[0]);
    await step("a turn is followed from its event to its end", () => follows(page, chat));
    await step("a link that breaks is seen, and that it is back", () => seesTheLinkBreak(page, chat));
    await step("language and theme are switched on the page", () => switches(page));
    for (const look of LOOKS) await step(`renders: dashboard ${look.name}`, () => renders(browser, url, look, shot));
    await step("from elsewhere nothing is shown", () => isClosedToOthers(browser, url));
  });
}
