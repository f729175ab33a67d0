// Drives the chat page of a running simulator, with a bot behind it, as a person would.
//
//   npm install --prefix tests/page playwright-core
//   node tests/page/chat_page.mjs http://127.0.0.1:19000/ /usr/bin/chromium screenshots
//
// Exit status 0: everything was seen. 1: something was not; the message says what.

import assert from "node:assert/strict";
import { LOOKS, looksRight, main, open, step } from "./browser.mjs";

const [url, executablePath, folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: chat_page.mjs CHAT_PAGE_URL CHROMIUM_PATH SCREENSHOT_FOLDER");
  process.exit(2);
}

/** A turn with a scripted model takes about a second; a slow machine may take long. */
const TURN_WITHIN_MS = Number(process.env.TURN_WITHIN_MS ?? 60_000);

async function aTurn(page, request) {
  // The reaction may be gone before anybody looks again, so it is recorded as it appears.
  await page.evaluate(() => {
    window.seen = new Set();
    new MutationObserver(() => {
      document.querySelectorAll(".reaction").forEach(({ dataset }) => window.seen.add(`reaction ${dataset.emoji}`));
      document.querySelectorAll(".msg .card").forEach(({ dataset }) => window.seen.add(`card ${dataset.template}`));
    }).observe(document.querySelector("#log"), { childList: true, subtree: true });
  });
  // No two are the same, so that each is found again.
  const text = `${request} (${new Date().toISOString().slice(11, 19)})`;
  await page.fill("#text", text);
  await page.keyboard.press("Enter");
  const said = page.locator(".msg.mine", { hasText: text });
  await said.waitFor({ timeout: 2_000 });
  assert.equal(await page.inputValue("#text"), "", "the text field is empty after sending");

  await page.locator(".msg.theirs .card[data-template=green]").last().waitFor({ timeout: TURN_WITHIN_MS });
  const answer = page.locator(".msg.theirs .bubble", { has: page.locator(".quote", { hasText: text.slice(0, 10) }) }).last();
  await answer.waitFor({ timeout: TURN_WITHIN_MS });
  for (const rendered of ["strong", "li", "blockquote", "pre code"]) {
    assert.ok(await answer.locator(rendered).count() > 0, `the answer shows Markdown as <${rendered}>`);
  }
  assert.ok(!/\*\*|(^|\n)#+ /.test(await answer.innerText()), "no raw Markdown is left in the answer");

  const seen = await page.evaluate(() => [...window.seen]);
  assert.ok(seen.some((one) => one.startsWith("reaction ")), `a reaction was seen (saw ${seen})`);
  assert.ok(seen.includes("card blue"), `a blue progress card was seen (saw ${seen})`);
  await said.locator(".reaction").waitFor({ state: "detached", timeout: TURN_WITHIN_MS });
  await said.locator("footer .acked").waitFor({ timeout: 5_000 });
  assert.equal(await page.locator("html").getAttribute("data-link"), "up", "the link is shown as up");
  assert.ok(Number(await page.innerText("[data-count=calls] dd")) >= 3, "API calls were counted");
}

/** What the READMEs show (docs/images): a message, its card, and the answer's beginning. */
async function picture(page, name, shot) {
  await page.locator(".msg.mine").last().evaluate((node) => node.scrollIntoView({ block: "start" }));
  await page.evaluate(() => document.activeElement?.blur());
  await shot(page, name);
}

async function composing(page) {
  const before = await page.locator(".msg").count();
  await page.fill("#text", "ni");
  await page.evaluate(() => document.querySelector("#text").dispatchEvent(
    new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true })));
  await page.keyboard.press("Shift+Enter");
  assert.equal(await page.inputValue("#text"), "ni\n", "composition and Shift+Enter keep the text");
  assert.equal(await page.locator(".msg").count(), before, "nothing was sent");
  await page.fill("#text", "");
}

async function attaching(page) {
  // The smallest image that is one.
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=", "base64");
  await page.setInputFiles("#files", [
    { name: "dot.png", mimeType: "image/png", buffer: png },
    { name: "notes <b>.txt", mimeType: "text/plain", buffer: Buffer.from("notes") },
    { name: "not-this.txt", mimeType: "text/plain", buffer: Buffer.from("no") },
  ]);
  await page.locator("#attached li").nth(2).locator("button").click();
  assert.equal(await page.locator("#attached li").count(), 2, "a file can be taken out again");
  const text = `看这张图 ${Date.now()}`;
  await page.fill("#text", text);
  await page.click("#send");
  const said = page.locator(".msg.mine", { hasText: text });
  await said.locator("img").waitFor({ timeout: 5_000 });
  await page.waitForFunction((text) => [...document.querySelectorAll(".msg.mine")].some((node) =>
    node.innerText.includes(text) && node.querySelector(".md img")?.naturalWidth === 1), text);
  assert.equal(await page.locator(".msg.mine a[download='notes <b>.txt']").count(), 1, "the file can be fetched again");
  assert.equal(await page.locator("#attached").isHidden(), true, "nothing is left to send");
}

async function renders(browser, look, shot) {
  const page = await open(browser, url, look);
  await page.locator(".msg").first().waitFor({ timeout: 5_000 });
  await looksRight(page, look, ".bubble, .card, #composer");
  const atEnd = await page.evaluate(() =>
    (({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 4)(document.querySelector("#scroll")));
  assert.ok(atEnd, "the newest message is in view");
  await shot(page, `chat-${look.name}`);
  if (look.size.width < 500) {
    await page.click("#open-side");
    await page.locator(".chat").nth(1).click();
    assert.equal(await page.locator(".chat").nth(1).getAttribute("aria-current"), "true", "the drawer leads to the group");
    // The drawer has gone when nothing of it moves any more.
    await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)));
    await shot(page, `chat-${look.name}-group`);
  }
  await page.context().close();
}

await main(executablePath, folder, async (browser, shot) => {
  const page = await open(browser, url, LOOKS[0]);
  await step("a message gets a reaction, a card, an answer", () => aTurn(page, "用一张表格和一段代码介绍你自己"));
  await picture(page, "readme-zh", shot);
  const english = await open(browser, url, { ...LOOKS[1], theme: "light" });
  await step("and in English", () => aTurn(english, "Introduce yourself with a table and some code"));
  await picture(english, "readme-en", shot);
  await step("a press of Enter that ends a composition sends nothing", () => composing(page));
  await step("an image goes with a text, a file by itself", () => attaching(page));
  for (const look of LOOKS) await step(`renders: ${look.name}`, () => renders(browser, look, shot));
});
