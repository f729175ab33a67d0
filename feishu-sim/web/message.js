// One message as a person in Feishu sees it: quote, bubble or card, reactions, delivery.

import { avatar, copyText, h, icon, toast } from "./dom.js";
import { clock, moment, nameOf, sameDay, span, t } from "./words.js";

/** A gap after which the time is written between two messages. */
const PAUSE_MS = 10 * 60_000;
/** Messages of one person this close together share one face. */
const BREATH_MS = 3 * 60_000;

/**
 * The element of a message, and what changes it. `actions` are the page's:
 * reply, like, recall, press, versions, jumpTo, again, drop, find, chat.
 */
export class MessageView {
  constructor(actions) {
    this.actions = actions;
    this.node = h("article.msg", { tabindex: "-1" });
    this.body = h("div.md");
    this.shown = null;
    this.html = null;
  }

  /** Draws `message` after `before`, as `me` sees it. Cheap when nothing changed. */
  draw(message, before, me) {
    const key = layout(message, before, me);
    if (this.shown === message && this.key === key) return;
    const first = this.shown === null;
    this.shown = message;
    this.key = key;
    this.node.dataset.id = message.message_id;
    this.node.className = `msg ${key}${this.fresh ? " enter" : ""}`;
    if (message.deleted) {
      this.html = null;
      this.node.replaceChildren(...pause(message, key), h("p.notice", {}, t("recalled", nameOf(message.sender))));
      return;
    }
    this.fill(message);
    const held = this.node.contains(document.activeElement) && document.activeElement !== this.node ? document.activeElement.dataset.do : null;
    this.node.replaceChildren(
      ...pause(message, key),
      h("div.row", {},
        avatar(message.sender),
        h("div.col", {},
          this.head(message),
          h("div.box", {}, this.frame(message), this.tools(message)),
          this.reactions(message),
          foot(message, this.actions))),
    );
    if (held) this.node.querySelector(`[data-do="${held}"]`)?.focus();
    if (!first && message.card) this.node.querySelector(".card")?.classList.add("changed");
  }

  head({ sender, create_time }) {
    return h("header", {},
      h("b", {}, nameOf(sender)),
      sender.kind === "bot" && h("span.tag", {}, t("bot")),
      h("time", { datetime: new Date(create_time).toISOString() }, clock(create_time)));
  }

  /** The bubble or card around the body. */
  frame(message) {
    const quote = this.quote(message);
    if (!message.card) return h("div.bubble", {}, quote, this.body);
    const { title, subtitle, template, buttons, streaming } = message.card;
    return h("div.card", { "data-template": template, "data-streaming": streaming },
      quote && h("div.above", {}, quote),
      title && h("div.title", {}, h("b", {}, title), subtitle && h("small", {}, subtitle)),
      this.body,
      buttons.length > 0 && h("div.buttons", {}, buttons.map((button) =>
        h("button", { type: "button", "data-type": button.type, "data-do": `press${button.index}`, onclick: () => this.actions.press(message, button) }, button.text))));
  }

  quote({ parent_id }) {
    if (!parent_id) return null;
    const parent = this.actions.find(parent_id);
    return h("button.quote", { type: "button", "data-do": "quote", onclick: () => this.actions.jumpTo(parent_id) },
      parent ? t("quoted", nameOf(parent.sender), gist(parent)) : t("gone"));
  }

  /** The only place where HTML goes in: it comes rendered and escaped from the simulator. */
  fill(message) {
    const html = message.card ? message.card.html : message.local ? null : message.html;
    if (html === null) {
      this.body.textContent = message.text;
      this.body.classList.add("plain");
      return;
    }
    if (html === this.html) return;
    const open = [...this.body.querySelectorAll("details")].map((node) => node.open);
    const had = this.html !== null;
    this.html = html;
    this.body.classList.remove("plain");
    this.body.innerHTML = html;
    this.body.hidden = html.trim() === "";
    if (had) this.body.querySelectorAll("details").forEach((node, at) => { if (at in open) node.open = open[at]; });
    furnish(this.body, this.actions.chat());
  }

  reactions({ reactions, message_id }) {
    if (!reactions?.length) return null;
    return h("div.reactions", {}, reactions.map(({ emoji_type, emoji, operators, count }) => {
      const names = operators.map(nameOf).join(", ") || String(count);
      return h("button.reaction", {
        type: "button", "data-emoji": emoji_type, "data-do": `react${emoji_type}`, title: emoji_type,
        "aria-label": `${emoji_type}: ${names}`, onclick: () => this.actions.react(message_id, emoji_type),
      }, emoji_type === "Get" ? h("span.get", {}, "Get") : h("span", {}, emoji), h("small", {}, names));
    }));
  }

  tools(message) {
    if (message.local) return null;
    const tool = (name, act, on) => on && h("button.quiet.icon-button", {
      type: "button", title: t(name), "aria-label": t(name), "data-do": name, onclick: act }, icon(name));
    return h("div.tools", {},
      tool("reply", () => this.actions.reply(message), true),
      tool("like", () => this.actions.react(message.message_id, "THUMBSUP"), true),
      tool("recall", () => this.actions.recall(message), message.sender.kind === "user"));
  }
}

/** What of a message's looks depends on its neighbours. */
function layout(message, before, me) {
  const side = message.sender.open_id === me ? "mine" : "theirs";
  const gap = before ? message.create_time - before.create_time : Infinity;
  if (gap > PAUSE_MS || !sameDay(before.create_time, message.create_time)) return `${side} paused`;
  const close = gap < BREATH_MS && !before.deleted && before.sender.open_id === message.sender.open_id;
  return close ? `${side} close` : side;
}

const pause = ({ create_time }, key) => (key.endsWith("paused") ? [h("p.pause", {}, moment(create_time))] : []);

/** One line of a message: for quotes, the list of chats, and screen readers. */
export function gist({ card, text, deleted, sender }) {
  if (deleted) return t("recalled", nameOf(sender));
  return (card?.title ? `[${card.title}]` : text).replace(/\s+/g, " ").slice(0, 120);
}

/** Beneath the bubble: sending, what became of the event, how often it changed. */
function foot(message, actions) {
  const parts = [];
  if (message.local === "sending") parts.push(h("span.waiting", {}, icon("clock"), t("sending")));
  if (message.local === "failed") {
    parts.push(h("span.failed", { title: message.error }, icon("alert"), t("notSent")),
      h("button.link", { type: "button", "data-do": "again", onclick: () => actions.again(message) }, t("again")),
      h("button.link", { type: "button", "data-do": "drop", onclick: () => actions.drop(message) }, t("drop")));
  }
  if (message.delivery) parts.push(delivered(message.delivery));
  if (message.thread_id) parts.push(h("span", {}, t("thread")));
  if (message.card && message.version > 1) {
    parts.push(h("button.link", { type: "button", "data-do": "versions", onclick: () => actions.versions(message) }, t("versions", message.version - 1)));
  } else if (message.edited) parts.push(h("span", {}, t("edited")));
  return parts.length ? h("footer", {}, parts) : null;
}

function delivered({ state, attempts, latency_ms }) {
  const ms = span(latency_ms ?? 0);
  const looks = {
    waiting: ["clock", t("waiting")],
    acked: ["check", attempts > 1 ? t("ackedAfter", attempts, ms) : t("ackedIn", ms)],
    failed: ["clock", t("failed", attempts)],
    given_up: ["alert", t("givenUp")],
  };
  const [picture, text] = looks[state] ?? ["clock", state];
  return h(`span.${state}`, {}, icon(picture), text);
}

/** Names in the page's language, links that open elsewhere, code that can be copied. */
export function furnish(body, chat) {
  for (const at of body.querySelectorAll(".at[data-open-id]")) {
    const person = chat?.members.find(({ open_id }) => open_id === at.dataset.openId);
    if (at.classList.contains("at-all")) at.textContent = `@${t("all")}`;
    else if (person) at.textContent = `@${nameOf(person)}`;
  }
  for (const link of body.querySelectorAll("a")) {
    if (link.getAttribute("href") === "#") link.removeAttribute("href");
    else if (!link.hasAttribute("download")) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
  }
  for (const table of body.querySelectorAll("table")) {
    const wide = h("div.wide", { tabindex: "0", role: "group" });
    table.replaceWith(wide);
    wide.append(table);
  }
  for (const pre of body.querySelectorAll("pre")) {
    const code = pre.firstElementChild ?? pre;
    const language = /language-([\w+#-]+)/.exec(code.className)?.[1] ?? "";
    const copy = h("button.link", { type: "button", onclick: async () => { if (await copyText(code.textContent)) toast(t("copied")); } }, t("copy"));
    const block = h("div.code", {}, h("div.code-head", {}, h("span", {}, language), copy));
    pre.replaceWith(block);
    pre.tabIndex = 0;
    block.append(pre);
  }
}
