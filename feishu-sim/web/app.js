// The chat page: what a person in Feishu sees, live from the simulator's stream.
//
// The simulator holds the truth. The page keeps a copy, replaces what the stream
// says has changed, and loads everything anew after any gap.

import { Composer } from "./composer.js";
import { $, avatar, groupAvatar, h, icon, toast } from "./dom.js";
import { MessageView, gist, insert } from "./message.js";
import { Wire } from "./wire.js";
import { clock, dayOrClock, isChinese, label, nameOf, remember, remembered, switchLanguage, t } from "./words.js";

/** Messages drawn of one chat; older ones stay in the simulator. */
const SHOWN_MAX = 300;
/** Chats listed: a load test makes thousands. */
const CHATS_MAX = 100;
/** Nearer to the end than this, the reader follows new messages, px. */
const FOLLOW_PX = 90;
/** Waits between attempts to open the stream again, ms. */
const STREAM_AGAIN_MS = 1500;

const state = {
  bot: null,
  /** chat_id → {chat, messages, loaded, unread, used} */
  chats: new Map(),
  current: null,
  /** chat_id → open_id of who speaks there. */
  speakers: new Map(),
  following: true,
  unseen: 0,
};

/** message_id → view, of the current chat. */
let views = new Map();
let spoken = 0;
let frame = null;

const wire = new Wire({ call });
const composer = new Composer({
  onSend: send,
  onSpeaker: (openId) => { state.speakers.set(state.current, openId); openChat(state.current); },
});

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `${response.status} ${response.statusText}`);
  return answer;
}

// ---- state -------------------------------------------------------------

const entry = (chatId = state.current) => state.chats.get(chatId);
const speaker = (chatId = state.current) => state.speakers.get(chatId) ?? entry(chatId)?.chat.members.find(({ kind }) => kind === "user")?.open_id;

async function loadAll() {
  const [{ bot, chats }, stats, faults] = await Promise.all([
    call("GET", "/sim/chats"), call("GET", "/sim/stats"), call("GET", "/sim/faults")]);
  const before = state.chats;
  state.bot = bot;
  state.chats = new Map(chats.slice(0, CHATS_MAX).map((chat) => {
    const old = before.get(chat.chat_id);
    const pending = old?.messages.filter(({ local }) => local) ?? [];
    return [chat.chat_id, { chat, messages: pending, loaded: false, unread: old?.unread ?? 0, used: old?.used ?? new Set() }];
  }));
  wire.load(stats, faults);
  if (!state.chats.has(state.current)) state.current = state.chats.keys().next().value ?? null;
  if (state.current) await loadMessages(state.current);
}

async function loadMessages(chatId) {
  const { chat, messages } = await call("GET", `/sim/chats/${chatId}/messages?limit=${SHOWN_MAX}`);
  const it = entry(chatId);
  if (!it) return;
  const pending = it.messages.filter(({ local }) => local);
  Object.assign(it, { chat, messages: [...messages, ...pending], loaded: true });
}

/** Puts a message in its place: over its older self, over the one that waits for it here, or at the end. */
function put(message) {
  const it = entry(message.chat_id);
  if (!it) return void loadAll().then(draw, () => {});
  it.chat.last_message = message;
  if (!it.loaded) return;
  const at = it.messages.findIndex(({ message_id }) => message_id === message.message_id);
  if (at >= 0) {
    it.messages[at] = message;
    return;
  }
  const mine = it.messages.findIndex((one) => one.local === "sending" && one.sender.open_id === message.sender.open_id && message.text.endsWith(one.text));
  if (mine >= 0) {
    adopt(it.messages[mine].message_id, message.message_id);
    it.messages.splice(mine, 1);
  }
  const end = it.messages.findIndex(({ local }) => local);
  it.messages.splice(end < 0 ? it.messages.length : end, 0, message);
  if (it.messages.length > SHOWN_MAX) it.messages.shift();
}

/** The view of a message that waited becomes that of the message itself. */
function adopt(from, to) {
  const view = views.get(from);
  if (!view || views.has(to)) return;
  views.delete(from);
  views.set(to, view);
}

// ---- stream ------------------------------------------------------------

/** Events that arrive while everything is being loaded: they count after it. */
let held = null;

function listen() {
  const stream = new EventSource("/sim/stream");
  stream.addEventListener("hello", ({ data }) => {
    wire.setLink(JSON.parse(data).link);
    reload();
  });
  for (const kind of ["message_added", "message_updated", "message_deleted", "reaction_added", "reaction_removed",
    "link_up", "link_down", "push", "ack", "ack_missed", "violation", "api_call", "faults"]) {
    stream.addEventListener(kind, ({ data }) => {
      const value = JSON.parse(data);
      if (held) held.push([kind, value]);
      else take(kind, value);
    });
  }
  stream.addEventListener("reset", () => { for (const it of state.chats.values()) it.used.clear(); reload(); });
  stream.addEventListener("lagged", reload);
  stream.addEventListener("error", () => {
    banner(t("offline"));
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, STREAM_AGAIN_MS);
  });
}

async function reload() {
  if (held) return;
  held = [];
  try {
    await loadAll();
    banner(null);
  } catch {
    banner(t("cantLoad"));
    setTimeout(reload, STREAM_AGAIN_MS);
  }
  const waiting = held;
  held = null;
  for (const [kind, value] of waiting) take(kind, value, true);
  document.documentElement.dataset.ready = "true";
  draw();
}

function take(kind, data, late = false) {
  if (kind.startsWith("message_")) {
    put(data.message);
    if (kind === "message_added" && !late) arrived(data.message);
  } else if (kind.startsWith("reaction_")) {
    const it = entry(data.chat_id);
    const at = it?.messages.findIndex(({ message_id }) => message_id === data.message_id) ?? -1;
    if (at >= 0) it.messages[at] = { ...it.messages[at], reactions: data.reactions };
  } else {
    wire.take(kind, data);
    return;
  }
  later();
}

/** Counts, and tells those who listen rather than look. */
function arrived(message) {
  const mine = message.sender.open_id === speaker(message.chat_id);
  if (message.chat_id !== state.current || document.hidden) {
    const it = entry(message.chat_id);
    if (it && !mine) it.unread += 1;
    drawTitle();
  }
  if (message.chat_id !== state.current || mine) return;
  if (!state.following) state.unseen += 1;
  spoken += 1;
  $("#spoken").textContent = t("heard", nameOf(message.sender), gist(message)) + (spoken % 2 ? "" : "\u00a0");
}

// ---- what a person does ------------------------------------------------

let sendingNow = Promise.resolve();
let locals = 0;

/** Shows the message at once; messages leave one after the other, in the order they were written. */
function send({ text, mentionBot, files = [], replyTo }, chatId = state.current) {
  const it = entry(chatId);
  if (files.length > 0) return void sendFiles({ text, mentionBot, files, replyTo }, chatId);
  const sender = it.chat.members.find(({ open_id }) => open_id === speaker(chatId));
  it.used.add(text);
  submit({
    message_id: `local-${++locals}`, chat_id: chatId, sender, msg_type: "text", text, card: null, mentions: [], reactions: [],
    parent_id: replyTo, create_time: Date.now(), version: 1, delivery: null, local: "sending", mentionBot,
  });
}

/** What the platform makes of a file. */
const kindOf = ({ type, name }) =>
  type.startsWith("image/") && !type.includes("svg") ? "image" : type.startsWith("video/mp4") ? "video" : name.endsWith(".opus") ? "audio" : "file";

/** Stores the files, then says so: images and videos with the text in one post, each other file as a message of its own before it. */
function sendFiles({ text, mentionBot, files, replyTo }, chatId) {
  const sender = speaker(chatId);
  state.following = true;
  const say = (said) => call("POST", "/sim/messages", { chat_id: chatId, sender, reply_to: replyTo ?? undefined, ...said });
  sendingNow = sendingNow.then(() => attempt((async () => {
    const beside = [];
    for (const file of files) {
      const kind = kindOf(file);
      const query = new URLSearchParams({ kind, name: file.name });
      const response = await fetch(`/sim/resources?${query}`, { method: "POST", body: file });
      const { key, error } = await response.json();
      if (!response.ok) throw new Error(error);
      const kept = { kind, key, name: file.name };
      if (kind === "image" || kind === "video") beside.push(kept);
      else await say({ files: [kept] });
    }
    if (text) await say({ text, mention_bot: mentionBot, files: beside });
    else if (beside.length > 0) await say({ files: beside });
  })()));
}

function submit(message) {
  const it = entry(message.chat_id);
  it.messages.push(message);
  state.following = true;
  draw();
  const settle = (change) => {
    const at = it.messages.findIndex(({ message_id }) => message_id === message.message_id);
    if (at >= 0) it.messages.splice(at, 1, ...change);
  };
  sendingNow = sendingNow.then(async () => {
    try {
      const answer = await call("POST", "/sim/messages", {
        chat_id: message.chat_id, sender: message.sender.open_id, text: message.text,
        mention_bot: message.mentionBot, reply_to: message.parent_id ?? undefined,
      });
      adopt(message.message_id, answer.message.message_id);
      settle([]);
      if (!it.messages.some(({ message_id }) => message_id === answer.message.message_id)) put(answer.message);
    } catch (error) {
      settle([{ ...message, local: "failed", error: error.message }]);
    }
    later();
  });
}

const without = (message) => {
  const it = entry(message.chat_id);
  it.messages = it.messages.filter(({ message_id }) => message_id !== message.message_id);
};

const actions = {
  chat: () => entry()?.chat,
  find: (messageId) => entry()?.messages.find(({ message_id }) => message_id === messageId),
  reply: (message) => composer.reply(message),
  again: (message) => { without(message); submit({ ...message, local: "sending", create_time: Date.now() }); },
  drop: (message) => { without(message); draw(); },
  react(messageId, emojiType) {
    const me = speaker();
    const has = actions.find(messageId)?.reactions.find(({ emoji_type }) => emoji_type === emojiType)?.operators.some(({ open_id }) => open_id === me);
    attempt(call("POST", "/sim/reactions", { message_id: messageId, sender: me, emoji_type: emojiType, remove: Boolean(has) }));
  },
  recall: (message) => attempt(call("POST", "/sim/recall", { message_id: message.message_id })),
  /** Uses a card: `what` is `{button}`, `{control, option}` or `{button, form_value}`. */
  async press(message, what) {
    const answer = await attempt(call("POST", "/sim/card_action", { message_id: message.message_id, sender: speaker(), ...what }));
    if (answer) toast(answer.status === "answered" ? answer.response?.toast?.content ?? t("pressed") : t("notPressed")[answer.status] ?? answer.status);
  },
  jumpTo(messageId) {
    const node = views.get(messageId)?.node;
    if (!node) return toast(t("gone"));
    node.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    node.classList.remove("found");
    requestAnimationFrame(() => node.classList.add("found"));
  },
  async versions(message) {
    const answer = await attempt(call("GET", `/sim/messages/${message.message_id}/versions`));
    if (answer) showVersions(answer.versions);
  },
};

async function attempt(promise) {
  try {
    return await promise;
  } catch (error) {
    toast(error.message);
    return null;
  }
}

function showVersions(versions) {
  const dialog = $("#versions");
  dialog.replaceChildren(
    h("header", {}, h("h2", {}, t("versionsTitle")), h("span.grow"),
      h("button.quiet.icon-button", { type: "button", "aria-label": t("close"), onclick: () => dialog.close() }, icon("close"))),
    h("ol", {}, versions.map(({ version, at, card, html }) => {
      const body = h("div.md");
      insert(body, card?.html ?? html, actions.chat());
      return h("li", {}, h("p", {}, t("versionNo", version), h("time", {}, clock(at, true))),
        h("div.card", { "data-template": card?.template ?? "default" }, card?.title && h("div.title", {}, h("b", {}, card.title)), body));
    })));
  dialog.showModal();
}

// ---- drawing -----------------------------------------------------------

/** Draws once per frame, however much arrives. A hidden page has no frames, and needs none. */
function later() {
  frame ??= requestAnimationFrame(() => { frame = null; draw(); });
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function openChat(chatId) {
  if (chatId !== state.current) {
    views = new Map();
    $("#log").replaceChildren();
  }
  Object.assign(state, { current: chatId, following: true, unseen: 0 });
  entry().unread = 0;
  drawer(null);
  draw();
  if (!entry().loaded) attempt(loadMessages(chatId)).then(draw);
  if (matchMedia("(hover: hover)").matches) $("#text").focus();
}

function draw() {
  drawChats();
  if (!entry()) return;
  drawHead();
  composer.show(entry().chat, speaker(), state.bot);
  drawLog();
  drawSuggestions();
  follow();
}

const titleOf = (chat) => (chat.chat_type === "group" ? chat.name : nameOf(state.bot));
const picture = (chat) => (chat.chat_type === "group" ? groupAvatar() : avatar(state.bot));

function drawChats() {
  const list = [...state.chats.values()];
  const directs = list.filter(({ chat }) => chat.chat_type === "p2p").length;
  drawTitle();
  const rows = list.map(({ chat, messages, loaded, unread }) => {
    const last = loaded ? messages.at(-1) : chat.last_message;
    const who = last && chat.chat_type === "group" && !last.deleted ? `${nameOf(last.sender)}: ` : "";
    const text = last ? who + gist(last) : chat.chat_type === "p2p" && directs > 1 ? t("directAs", chat.name) : t("nothingYet");
    return { chat, text, unread, time: last ? dayOrClock(last.create_time) : "" };
  });
  // Only when it would look different: a button that is being pressed must stay.
  const key = JSON.stringify([state.current, t("bot"), rows.map(({ chat, text, unread, time }) => [chat.chat_id, text, unread, time])]);
  if ($("#chats").dataset.key === key) return;
  $("#chats").dataset.key = key;
  const held = document.activeElement?.closest?.("#chats") && document.activeElement.dataset.chat;
  $("#chats").replaceChildren(...rows.map(({ chat, text, unread, time }) =>
    h("button.chat", { type: "button", "data-chat": chat.chat_id, "aria-current": chat.chat_id === state.current && "true", onclick: () => openChat(chat.chat_id) },
      picture(chat),
      h("span.what", {},
        h("span.top", {}, h("b", {}, titleOf(chat)), chat.chat_type === "p2p" && h("span.tag", {}, t("bot")), h("time", {}, time)),
        h("span.bottom", {}, h("span", {}, text), unread > 0 && h("span.badge", {}, unread > 99 ? "99+" : String(unread)))))));
  if (held) $(`[data-chat="${held}"]`)?.focus();
}

function drawTitle() {
  const unread = [...state.chats.values()].reduce((sum, it) => sum + it.unread, 0);
  document.title = (unread ? `(${unread}) ` : "") + t("page", nameOf(state.bot));
}

function drawHead() {
  const { chat } = entry();
  $("#title h1").replaceChildren(titleOf(chat), ...(chat.chat_type === "p2p" ? [h("span.tag", {}, t("bot"))] : []));
  const me = chat.members.find(({ open_id }) => open_id === speaker());
  $("#title small").textContent = chat.chat_type === "group"
    ? `${t("people", chat.members.length)} · ${chat.members.map(nameOf).join(isChinese() ? "、" : ", ")}`
    : `${t("direct")} · ${nameOf(me)}`;
}

function drawLog() {
  const { chat, messages, loaded } = entry();
  const log = $("#log");
  log.classList.toggle("group", chat.chat_type === "group");
  if (loaded && messages.length === 0) {
    views = new Map();
    log.replaceChildren(welcome(chat));
    return;
  }
  log.querySelector(".welcome")?.remove();
  const me = speaker();
  const had = views.size > 0;
  const next = new Map();
  let before = null;
  let place = log.firstElementChild;
  for (const message of messages) {
    let view = views.get(message.message_id);
    if (!view) {
      view = new MessageView(actions);
      view.fresh = had || Boolean(message.local);
    }
    next.set(message.message_id, view);
    view.draw(message, before, me);
    if (view.node === place) place = place.nextElementSibling;
    else log.insertBefore(view.node, place);
    before = message;
  }
  for (const [id, view] of views) if (!next.has(id)) view.node.remove();
  views = next;
  log.querySelector('[tabindex="0"].msg')?.setAttribute("tabindex", "-1");
  log.lastElementChild?.setAttribute("tabindex", "0");
}

function welcome(chat) {
  const group = chat.chat_type === "group";
  return h("section.welcome", {},
    avatar(state.bot), h("h2", {}, t("hello", nameOf(state.bot))), h("p", {}, t(group ? "helloGroup" : "helloDirect")),
    h("div.prompts", {}, t("prompts").map(([title, text]) =>
      h("button", { type: "button", onclick: () => composer.send(text) }, h("b", {}, title), h("span", {}, text)))));
}

/** The examples that have not been used stay at hand. */
function drawSuggestions() {
  const { messages, loaded, used } = entry();
  const left = loaded && messages.length > 0 ? t("prompts").filter(([, text]) => !used.has(text) && !messages.some((message) => message.text.endsWith(text))) : [];
  const bar = $("#suggest");
  const key = left.map(([, text]) => text).join("|");
  if (bar.dataset.key === key) return;
  bar.dataset.key = key;
  bar.hidden = left.length === 0;
  bar.replaceChildren(...left.map(([, text]) => h("button", { type: "button", onclick: () => composer.send(text) }, text)));
}

/** Keeps the end in view for a reader who is there, and leaves everyone else alone. */
function follow() {
  const scroll = $("#scroll");
  if (state.following) {
    scroll.scrollTop = scroll.scrollHeight;
    state.unseen = 0;
  }
  const jump = $("#jump");
  jump.hidden = state.following;
  jump.replaceChildren(icon("down"), state.unseen ? t("newMessages", state.unseen) : t("jump"));
}

function banner(text) {
  $("#banner").hidden = text === null;
  $("#banner").textContent = text ?? "";
}

/** Opens one of the drawers of a narrow screen, or none. */
function drawer(name) {
  document.documentElement.dataset.drawer = name ?? "";
  const narrow = matchMedia("(max-width: 760px)").matches;
  $("#side").inert = narrow && name !== "side";
  $("#scrim").hidden = !name;
}

const wideWire = matchMedia("(min-width: 1120px)");

function showWire(open) {
  document.documentElement.dataset.wire = open ? "open" : "shut";
  $("#open-wire").setAttribute("aria-expanded", String(open));
  $("#wire").inert = !open;
  if (!wideWire.matches) drawer(open ? "wire" : null);
  else remember("wire", open ? "open" : "shut");
}

// ---- start -------------------------------------------------------------

const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function showTheme(theme) {
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  $("#theme").replaceChildren(icon(dark() ? "sun" : "moon"));
}

function relabel() {
  label(document);
  views = new Map();
  $("#log").replaceChildren();
  $("#link").dataset.text = "";
  wire.later();
  if (state.bot) draw();
}

function start() {
  showTheme(new URLSearchParams(location.search).get("theme") ?? remembered("theme"));
  label(document);
  $("#open-side").append(icon("menu"));
  $("#close-wire").append(icon("close"));
  $("#language").addEventListener("click", () => { switchLanguage(); relabel(); });
  $("#theme").addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    remember("theme", theme);
    showTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showTheme(null));
  $("#reset").addEventListener("click", () => { if (confirm(t("resetSure"))) attempt(call("POST", "/sim/reset", {})); });
  $("#open-side").addEventListener("click", () => { drawer("side"); $("#chats button")?.focus(); });
  $("#scrim").addEventListener("click", closeDrawers);
  $("#open-wire").addEventListener("click", () => showWire(document.documentElement.dataset.wire !== "open"));
  $("#close-wire").addEventListener("click", () => { showWire(false); $("#open-wire").focus(); });
  wideWire.addEventListener("change", () => showWire(wideWire.matches && remembered("wire") !== "shut"));
  matchMedia("(max-width: 760px)").addEventListener("change", () => drawer(null));
  drawer(null);
  showWire(wideWire.matches && remembered("wire") !== "shut");

  const scroll = $("#scroll");
  scroll.addEventListener("scroll", () => {
    const end = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < FOLLOW_PX;
    if (end === state.following) return;
    state.following = end;
    if (end) state.unseen = 0;
    $("#jump").hidden = end;
    if (!end) $("#jump").replaceChildren(icon("down"), t("jump"));
  }, { passive: true });
  // Images that load, a window that shrinks: the end stays in view.
  const sizes = new ResizeObserver(() => { if (state.following) scroll.scrollTop = scroll.scrollHeight; });
  sizes.observe(scroll);
  sizes.observe($("#log"));
  $("#jump").addEventListener("click", () => {
    state.following = true;
    scroll.scrollTo({ top: scroll.scrollHeight, behavior: calm() ? "auto" : "smooth" });
    $("#jump").hidden = true;
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && entry()) { entry().unread = 0; later(); }
  });
  document.addEventListener("keydown", keys);
  listen();
}

function closeDrawers() {
  if (document.documentElement.dataset.drawer === "wire") showWire(false);
  drawer(null);
}

function keys(event) {
  if (event.defaultPrevented || event.isComposing) return;
  const typing = event.target.closest("textarea, input, select, dialog");
  if (event.key === "Escape") closeDrawers();
  if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const ids = [...state.chats.keys()];
    const at = ids.indexOf(state.current) + (event.key === "ArrowDown" ? 1 : -1);
    if (ids[at]) openChat(ids[at]);
    event.preventDefault();
  } else if (event.key === "/" && !typing) {
    $("#text").focus();
    event.preventDefault();
  } else if (event.target.classList.contains("msg") && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const to = event.key === "ArrowDown" ? event.target.nextElementSibling : event.target.previousElementSibling;
    to?.focus();
    event.preventDefault();
  }
}

start();
