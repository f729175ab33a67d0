// Where a person writes: text, speaker, mention, reply. Enter sends, but not while an input method composes.

import { $, avatar, h, icon } from "./dom.js";
import { nameOf, t } from "./words.js";
import { gist } from "./message.js";

/** Height at which the text field starts to scroll, px. */
const TEXT_HEIGHT_MAX = 180;

export class Composer {
  /** `onSend({chat, sender, text, mentionBot, replyTo})`, `onSpeaker(openId)`. */
  constructor({ onSend, onSpeaker }) {
    this.onSend = onSend;
    this.onSpeaker = onSpeaker;
    this.drafts = new Map();
    this.mentioning = true;
    this.replyTo = null;
    this.text = $("#text");
    this.select = $("#as select");
    $("#send").append(icon("send"));
    $("#composer").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    $("#composer").addEventListener("click", (event) => { if (event.target.id === "composer") this.text.focus(); });
    $("#at").addEventListener("click", () => { this.mentioning = !this.mentioning; this.draw(); this.text.focus(); });
    this.select.addEventListener("change", () => { this.onSpeaker(this.select.value); this.text.focus(); });
    this.text.addEventListener("input", () => this.grow());
    this.text.addEventListener("keydown", (event) => this.press(event));
  }

  /** Shows the composer of `chat`, spoken by `me`. */
  show(chat, me, bot) {
    if (this.chat?.chat_id !== chat.chat_id) {
      if (this.chat) this.drafts.set(this.chat.chat_id, this.text.value);
      this.text.value = this.drafts.get(chat.chat_id) ?? "";
      this.replyTo = null;
    }
    Object.assign(this, { chat, me, bot });
    // An open list of speakers would close if it were built anew.
    const key = JSON.stringify([chat.chat_id, chat.members, me, t("send")]);
    if (key === this.key) return;
    this.key = key;
    this.draw();
    this.grow();
  }

  draw() {
    const group = this.chat.chat_type === "group";
    const users = this.chat.members.filter(({ kind }) => kind === "user");
    const target = group ? this.chat.name : nameOf(this.bot);
    this.text.placeholder = t("write", target);
    this.text.setAttribute("aria-label", t("write", target));
    $("#as").hidden = !group || users.length < 2;
    this.select.replaceChildren(...users.map((user) => h("option", { value: user.open_id, selected: user.open_id === this.me }, nameOf(user))));
    $("#as .face").replaceChildren(avatar(users.find(({ open_id }) => open_id === this.me)));
    const at = $("#at");
    at.hidden = !group;
    at.textContent = `@${nameOf(this.bot)}`;
    at.setAttribute("aria-pressed", String(this.mentioning));
    at.title = t(this.mentioning ? "atOn" : "atOff");
    const deaf = group && !this.mentioning;
    $("#hint").textContent = t(deaf ? "atOff" : "sendHint");
    $("#hint").classList.toggle("warn", deaf);
    this.drawReply();
    this.drawSend();
  }

  drawReply() {
    const strip = $("#replying");
    strip.hidden = !this.replyTo;
    if (!this.replyTo) return;
    strip.replaceChildren(
      h("span", {}, h("b", {}, t("replyTo", nameOf(this.replyTo.sender))), ` ${gist(this.replyTo)}`),
      h("button.quiet.icon-button", { type: "button", "aria-label": t("cancelReply"), onclick: () => this.reply(null) }, icon("close")));
  }

  drawSend() {
    $("#send").disabled = this.text.value.trim() === "";
  }

  reply(message) {
    this.replyTo = message;
    this.drawReply();
    this.text.focus();
  }

  grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, TEXT_HEIGHT_MAX)}px`;
    this.drawSend();
  }

  send(text = this.text.value) {
    const said = text.trim();
    if (!said || !this.chat) return;
    this.onSend({ ...this.mentions(said), replyTo: this.replyTo?.message_id ?? null });
    this.text.value = "";
    this.reply(null);
    this.grow();
  }

  /** Names as the simulator knows them, and whether the bot is to be mentioned besides. */
  mentions(said) {
    const group = this.chat.chat_type === "group";
    let text = said;
    for (const { name, en_name } of group ? this.chat.members : []) {
      if (en_name && en_name !== name) text = text.replaceAll(`@${en_name}`, `@${name}`);
    }
    return { text, mentionBot: group && this.mentioning && !text.includes(`@${this.bot.name}`) };
  }

  press(event) {
    // 229 is a key that an input method took: Safari sends the Enter that ends a composition so.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" && this.replyTo) this.reply(null);
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.send();
  }
}
