// One message as a person in Feishu sees it: quote, bubble or card, reactions, delivery.

import { avatar, copyText, h, icon, toast } from "./dom.js";
import { clock, moment, nameOf, sameDay, span, t } from "./words.js";

/** A gap after which the time is written between two messages. */
const PAUSE_MS = 10 * 60_000;
/** Messages of one person this close together share one face. */
const BREATH_MS = 3 * 60_000;

/**
 * The element of a message, and what changes it. `actions` are the page's:
 * reply, react, recall, press, versions, jumpTo, again, drop, find, chat.
 *
 * An element stays while its own data does, so that a click or the focus
 * survives a card that is being rewritten under it.
 */
export class MessageView {
  constructor(actions) {
    this.actions = actions;
    this.node = h("article.msg", { tabindex: "-1" });
    this.parts = new Map();
  }

  /** Draws `message` after `before`, as `me` sees it. Cheap when nothing changed. */
  draw(message, before, me) {
    const looks = layout(message, before, me);
    if (this.message === message && this.looks === looks) return;
    Object.assign(this, { message, looks });
    this.node.dataset.id = message.message_id;
    this.node.className = `msg ${looks}${this.fresh ? " enter" : ""}`;
    const shape = message.deleted ? "deleted" : message.card ? "card" : "bubble";
    if (this.shape !== shape) this.build(shape);
    const { sender, create_time, parent_id, reactions, local, delivery, thread_id, edited, version, card } = message;
    this.part("pause", looks.endsWith("paused"), () => h("p.pause", {}, moment(create_time)));
    if (shape === "deleted") return this.part("notice", true, () => h("p.notice", {}, t("recalled", nameOf(sender))));
    this.part("tools", !local, () => this.tools());
    this.part("quote", parent_id && this.quoted(parent_id), (text) => this.quote(parent_id, text));
    this.part("reactions", reactions.length > 0 && reactions, () => this.reactions(reactions));
    this.part("foot", [local, delivery, thread_id, edited, version], () => foot(message, this.actions));
    if (card) {
      Object.assign(this.frame.dataset, { template: card.template, streaming: card.streaming });
      this.part("title", card.title && [card.title, card.subtitle], () =>
        h("div.title", {}, h("b", {}, card.title), card.subtitle && h("small", {}, card.subtitle)));
      this.part("buttons", card.controls.length > 0 && card.controls, () => this.controls(card.controls));
    }
    this.fill(message);
  }

  build(shape) {
    this.shape = shape;
    this.parts.clear();
    if (shape === "deleted") return this.node.replaceChildren(this.slot("pause"), this.slot("notice"));
    this.body = h("div.md");
    this.html = undefined;
    this.frame = h(`div.${shape}`, {}, this.slot("quote"), this.slot("title"), this.body, this.slot("buttons"));
    this.node.replaceChildren(this.slot("pause"),
      h("div.row", {}, avatar(this.message.sender),
        h("div.col", {}, head(this.message), h("div.box", {}, this.frame, this.slot("tools")), this.slot("reactions"), this.slot("foot"))));
  }

  slot(name) {
    const node = document.createComment(name);
    this.parts.set(name, { key: "", node });
    return node;
  }

  /** Builds the part anew if its data differ from what it shows; nothing is shown of what is falsy. */
  part(name, data, build) {
    const key = data ? JSON.stringify(data) : "";
    const part = this.parts.get(name);
    if (part.key === key) return;
    const node = (data && build(data)) || document.createComment(name);
    part.node.replaceWith(node);
    this.parts.set(name, { key, node });
  }

  quoted(parentId) {
    const parent = this.actions.find(parentId);
    return parent ? t("quoted", nameOf(parent.sender), gist(parent)) : t("gone");
  }

  quote(parentId, text) {
    const quote = h("button.quote", { type: "button", onclick: () => this.actions.jumpTo(parentId) }, text);
    return this.shape === "card" ? h("div.above", {}, quote) : quote;
  }

  /** What of a card can be used, in its order; what belongs to a form stands in one. */
  controls(controls) {
    const box = h("div.buttons", {});
    const forms = new Map();
    let buttons = 0;
    for (const control of controls) {
      const place = control.kind === "button" ? buttons++ : null;
      let target = box;
      if (control.form !== null) {
        if (!forms.has(control.form)) {
          const form = h("form.fields", { onsubmit: (event) => event.preventDefault() });
          forms.set(control.form, form);
          box.append(form);
        }
        target = forms.get(control.form);
      }
      target.append(this.control(control, place, target));
    }
    return box;
  }

  control(control, place, form) {
    const { kind, name, label, style, options, submits, disabled, required, multiline } = control;
    const press = (what) => this.actions.press(this.message, what);
    const choices = (first) => [h("option", { value: "" }, first), ...options.map(({ text, value }) => h("option", { value }, text))];
    if (kind === "input") {
      const field = { name, required, disabled, placeholder: label, "aria-label": label || name, maxlength: 1000 };
      const node = multiline ? h("textarea", { rows: 2, ...field }) : h("input", { type: "text", ...field });
      node.value = control.default;
      if (control.form === null) node.addEventListener("change", () => press({ control: name, input_value: node.value }));
      return node;
    }
    if (kind === "select" || kind === "overflow") {
      const title = label || t(kind === "select" ? "choose" : "more");
      const node = h("select", { name, required, disabled, "aria-label": title }, choices(title));
      if (control.form === null) {
        node.addEventListener("change", () => {
          if (node.value) press({ control: name, option: node.value });
          node.value = "";
        });
      } else node.value = control.default;
      return node;
    }
    const send = () => {
      if (!submits || control.form === null) return press({ button: place });
      if (!form.reportValidity()) return undefined;
      return press({ button: place, form_value: Object.fromEntries(new FormData(form)) });
    };
    return h("button", { type: "button", "data-type": style, disabled, onclick: send }, label);
  }

  fill({ card, local, html: bubble, text }) {
    const html = card ? card.html : local ? null : bubble;
    if (html === this.html) return;
    const first = this.html === undefined;
    this.html = html;
    this.body.classList.toggle("plain", html === null);
    this.body.hidden = html?.trim() === "";
    if (html === null) {
      this.body.textContent = text;
      return;
    }
    const open = [...this.body.querySelectorAll("details")].map((node) => node.open);
    insert(this.body, html, this.actions.chat());
    if (first) return;
    this.body.querySelectorAll("details").forEach((node, at) => { if (at in open) node.open = open[at]; });
    if (card && !card.streaming) this.body.animate([{ opacity: 0.7 }, { opacity: 1 }], 250);
  }

  reactions(reactions) {
    return h("div.reactions", {}, reactions.map(({ emoji_type, emoji, operators, count }) => {
      const names = operators.map(nameOf).join(", ") || String(count);
      return h("button.reaction", {
        type: "button", "data-emoji": emoji_type, title: emoji_type, "aria-label": `${emoji_type}: ${names}`,
        onclick: () => this.actions.react(this.message.message_id, emoji_type),
      }, emoji_type === "Get" ? h("span.get", {}, "Get") : h("span", {}, emoji), h("small", {}, names));
    }));
  }

  tools() {
    const tool = (name, act) => h("button.quiet.icon-button", { type: "button", title: t(name), "aria-label": t(name), "data-do": name, onclick: act }, icon(name));
    return h("div.tools", {},
      tool("reply", () => this.actions.reply(this.message)),
      tool("like", () => this.actions.react(this.message.message_id, "THUMBSUP")),
      this.message.sender.kind === "user" && tool("recall", () => this.actions.recall(this.message)));
  }
}

const head = ({ sender, create_time }) =>
  h("header", {},
    h("b", {}, nameOf(sender)),
    sender.kind === "bot" && h("span.tag", {}, t("bot")),
    h("time", { datetime: new Date(create_time).toISOString() }, clock(create_time)));

/** What of a message's looks depends on its neighbours. */
function layout(message, before, me) {
  const side = message.sender.open_id === me ? "mine" : "theirs";
  const gap = before ? message.create_time - before.create_time : Infinity;
  if (gap > PAUSE_MS || !sameDay(before.create_time, message.create_time)) return `${side} paused`;
  const close = gap < BREATH_MS && !before.deleted && before.sender.open_id === message.sender.open_id;
  return close ? `${side} close` : side;
}

/** One line of a message: for quotes, the list of chats, and screen readers. */
export function gist({ card, msg_type, text, deleted, sender }) {
  if (deleted) return t("recalled", nameOf(sender));
  const plain = card?.title ? `[${card.title}]` : msg_type === "post" ? text.replace(/[*`#>|~]+|^- /gm, "") : text;
  return plain.replace(/\s+/g, " ").trim().slice(0, 120);
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

/**
 * Puts in what the simulator rendered and escaped: the only HTML of the page.
 * Then: names in the page's language, links that open elsewhere, code that can be copied.
 */
export function insert(body, html, chat) {
  // The page's policy forbids styles in attributes; columns of a table have no other.
  body.innerHTML = html.replaceAll(/ style="text-align: (left|center|right)"/g, ' align="$1"');
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
