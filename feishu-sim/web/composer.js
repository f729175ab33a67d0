// Where a person writes: text, speaker, mention, reply. Enter sends, but not while an input method composes.

import { $, avatar, h, icon, toast } from "./dom.js";
import { nameOf, t } from "./words.js";
import { gist } from "./message.js";

/** What the platform takes of one file, bytes. */
const FILE_BYTES_MAX = 30 * 1024 * 1024;
/** Height at which the text field starts to scroll, px. */
const TEXT_HEIGHT_MAX = 180;

export class Composer {
  /** `onSend({chat, sender, text, mentionBot, replyTo})`, `onSpeaker(openId)`. */
  constructor({ onSend, onSpeaker }) {
    this.onSend = onSend;
    this.onSpeaker = onSpeaker;
    this.drafts = new Map();
    /** Files that go with the next message. */
    this.files = [];
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
    $("#attach").append(icon("attach"));
    $("#attach").addEventListener("click", () => $("#files").click());
    $("#files").addEventListener("change", () => { this.attach($("#files").files); $("#files").value = ""; });
    this.text.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length === 0) return;
      event.preventDefault();
      this.attach(event.clipboardData.files);
    });
    const main = $("main");
    main.addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) event.preventDefault(); });
    main.addEventListener("drop", (event) => {
      if (event.dataTransfer.files.length === 0) return;
      event.preventDefault();
      this.attach(event.dataTransfer.files);
    });
    this.text.addEventListener("keydown", (event) => this.press(event));
  }

  /** Shows the composer of `chat`, spoken by `me`. */
  show(chat, me, bot) {
    if (this.chat?.chat_id !== chat.chat_id) {
      if (this.chat) this.drafts.set(this.chat.chat_id, this.text.value);
      this.text.value = this.drafts.get(chat.chat_id) ?? "";
      this.replyTo = null;
      this.files = [];
      this.drawFiles();
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

  /** Takes files along; each is an image, voice, video or file by its type. */
  attach(files) {
    for (const file of files) {
      if (file.size > FILE_BYTES_MAX) toast(t("tooLarge", file.name));
      else this.files.push(file);
    }
    this.drawFiles();
    this.text.focus();
  }

  drawFiles() {
    const list = $("#attached");
    list.hidden = this.files.length === 0;
    list.replaceChildren(...this.files.map((file) => h("li", {}, file.name,
      h("button.quiet.icon-button", {
        type: "button", "aria-label": t("detach", file.name),
        onclick: () => { this.files = this.files.filter((one) => one !== file); this.drawFiles(); },
      }, icon("close")))));
    this.drawSend();
  }

  drawSend() {
    $("#send").disabled = this.text.value.trim() === "" && this.files.length === 0;
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
    if ((!said && this.files.length === 0) || !this.chat) return;
    this.onSend({ ...this.mentions(said), files: this.files, replyTo: this.replyTo?.message_id ?? null });
    this.text.value = "";
    this.files = [];
    this.drawFiles();
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
