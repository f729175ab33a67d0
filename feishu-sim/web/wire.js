// The side panel: what happens between the platform and the bot, and how to disturb it.

import { $, h, icon, toast } from "./dom.js";
import { clock, span, t } from "./words.js";

/** Lines kept in the story. */
const STORY_MAX = 80;
/** Acknowledgements in the little chart. */
const CHART_MAX = 32;

/** What a person can break: at once on the open connections, or once, when there is an occasion. */
const BREAKABLE = {
  drop: { action: "drop" },
  lose: { kind: "api_lost_answer", target: "POST /open-apis/im/v1/messages/:message_id/reply", count: 1 },
  twice: { kind: "duplicate_push", count: 1 },
  silence: { action: "silence" },
};
/** The simulator does not say when a fault struck: it is asked, this long after something happened, ms. */
const ASK_AFTER_MS = 250;

/** Documented calls, most specific first, by the word for them. */
const CALLS = [
  ["reactOn", /^POST .*\/reactions/], ["reactOff", /^DELETE .*\/reactions/], ["reply", /^POST .*\/reply$/],
  ["token", /tenant_access_token/], ["members", /\/members$/], ["upload", /^POST .*\/im\/v1\/(images|files)/],
  ["stream", /^(PUT|PATCH) .*\/cardkit\//], ["card", /^POST .*\/cardkit\//],
  ["patch", /^PATCH .*\/im\/v1\/messages/], ["edit", /^PUT .*\/im\/v1\/messages/],
  ["send", /^POST .*\/im\/v1\/messages$/], ["read", /^GET .*\/im\/v1\/messages/],
];

export class Wire {
  /** `call(method, path, body)` asks the simulator. */
  constructor({ call }) {
    this.call = call;
    this.link = null;
    this.faults = [];
    this.downSince = null;
    this.clear();
    // Only a link that is down has a clock running.
    setInterval(() => { if (this.downSince) this.drawLink(); }, 1000);
  }

  clear() {
    this.counts = { pushed: 0, acked: 0, redelivered: 0, calls: 0, missed: 0, violations: 0 };
    this.latencies = [];
    this.story = [];
  }

  /** What the simulator counted so far, and the faults in force. */
  load(stats, faults) {
    const { pushes, acked, redeliveries, missed, violation_count } = stats;
    const calls = Object.values(stats.api_calls).reduce((sum, count) => sum + count, 0);
    this.counts = { pushed: pushes, acked, redelivered: redeliveries, calls, missed, violations: violation_count };
    this.latencies = stats.acks.filter(({ code }) => code === 200).map(({ latency_ms }) => latency_ms).slice(-CHART_MAX);
    if (pushes === 0) this.story = [];
    this.on_faults(faults);
    this.later();
  }

  setLink(link) {
    this.link = link;
    this.downSince = link.up ? null : this.downSince ?? Date.now();
    this.silent &&= link.up;
    this.later();
  }

  /** One event of the stream. Kinds that are not of the wire change nothing. */
  take(kind, data) {
    const act = this[`on_${kind}`];
    if (!act) return;
    act.call(this, data);
    if (this.faults.length) this.ask();
    this.later();
  }

  ask() {
    this.asking ??= setTimeout(async () => {
      this.asking = null;
      this.on_faults(await this.call("GET", "/sim/faults").catch(() => ({ faults: this.faults })));
      this.later();
    }, ASK_AFTER_MS);
  }

  on_link_up({ connections }) {
    this.silent = false;
    const away = this.downSince ? Date.now() - this.downSince : null;
    this.setLink({ ...this.link, up: true, connections });
    this.tell("good", () => (away === null ? t("sUp") : t("sBack", span(away))));
  }

  on_link_down({ connections, reason }) {
    this.setLink({ ...this.link, up: connections > 0 || this.link?.transport === "webhook", connections });
    this.tell("bad", () => t("sDown"), reason);
  }

  on_push({ event_type, attempt }) {
    this.counts.pushed += 1;
    if (attempt > 1) this.counts.redelivered += 1;
    this.tell(attempt > 1 ? "warn" : "out", () => (attempt > 1 ? t("sPushAgain", attempt) : t("sPush")), event_type);
  }

  on_ack({ code, latency_ms }) {
    if (code !== 200) return this.tell("bad", () => t("sAckBad", code), span(latency_ms));
    this.counts.acked += 1;
    this.latencies = [...this.latencies, latency_ms].slice(-CHART_MAX);
    this.tell("good", () => t("sAck"), span(latency_ms));
  }

  on_ack_missed({ next_in_ms }) {
    this.counts.missed += 1;
    this.tell("bad", () => `${t("sMissed")} · ${next_in_ms === null ? t("sLast") : t("sNext", span(next_in_ms))}`);
  }

  on_violation({ rule, detail }) {
    this.counts.violations += 1;
    this.tell("bad", () => `${t("sViolation")}: ${rule}`, detail);
  }

  on_api_call({ method, path, status, code, ms }) {
    this.counts.calls += 1;
    const call = `${method} ${path}`;
    const word = CALLS.find(([, pattern]) => pattern.test(call))?.[0];
    const bad = status === 0 || status >= 400 || code !== 0;
    const outcome = () => bad ? ` → ${code > 0 ? code : status || t("unanswered")}` : "";
    this.tell(bad ? "bad" : "call", () => (word ? t("call")[word] : call.replace("/open-apis", "")) + outcome(), span(ms), call);
  }

  on_faults({ faults }) {
    this.faults = faults;
  }

  /** Adds a line, whose text can be said in another language later; a call that repeats the last only counts up. */
  tell(tone, text, detail = "", hint = "") {
    const last = this.story.at(-1);
    if (tone === "call" && last?.tone === tone && last.hint === hint) {
      Object.assign(last, { times: last.times + 1, detail, at: Date.now() });
      return;
    }
    this.story.push({ tone, text, detail, hint, at: Date.now(), times: 1 });
    if (this.story.length > STORY_MAX) this.story.shift();
  }

  /** Draws once per frame, however much arrives. */
  later() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    this.drawLink();
    this.drawAcks();
    $("#counts").replaceChildren(...Object.entries(this.counts).map(([key, count]) =>
      h("div", { "data-count": key, "data-bad": key === "violations" && count > 0 }, h("dt", {}, t(key)), h("dd", {}, String(count)))));
    this.drawFaults();
    this.drawStory();
  }

  drawLink() {
    const { up, connections, transport } = this.link ?? { up: false, connections: 0 };
    const away = Math.round((Date.now() - this.downSince) / 1000);
    const state = this.silent ? t("silent") : up ? t("up") : this.downSince && away > 0 ? t("downFor", away) : t("down");
    const way = transport === "webhook" ? t("webhook") : connections > 1 ? t("longN", connections) : t("long");
    document.documentElement.dataset.link = this.silent ? "silent" : up ? "up" : "down";
    const text = `${state} ${way}`;
    if ($("#link").dataset.text === text) return;
    $("#link").dataset.text = text;
    $("#link").replaceChildren(h("i.dot"), h("b", {}, state), h("span", {}, way));
    $("#open-wire").title = `${t("wire")} · ${state}`;
  }

  drawAcks() {
    const last = this.latencies.at(-1);
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const most = Math.max(10, ...this.latencies);
    $("#acks").replaceChildren(
      h("h3", {}, t("ackTitle")),
      last === undefined ? h("p.empty", {}, t("noAck")) : h("p.big", {}, h("b", {}, span(last)), h("small", {},
        this.latencies.length > 2 ? t("ackMiddle", span(sorted[sorted.length >> 1])) : t("ackLast"))),
      h("div.chart", { "aria-hidden": "true" }, this.latencies.map((ms) => {
        const bar = h("i", { title: span(ms) });
        bar.style.height = `${8 + 92 * Math.log1p(ms) / Math.log1p(most)}%`;
        return bar;
      })));
  }

  drawFaults() {
    const known = Object.entries(BREAKABLE);
    const strange = this.faults.filter((fault) => !known.some(([, { kind }]) => kind === fault.kind));
    const connected = this.link?.connections > 0;
    // Only when it would look different: a button that is being pressed must stay.
    const key = JSON.stringify([this.faults, connected, t("faults")]);
    if ($("#faults").dataset.key === key) return;
    $("#faults").dataset.key = key;
    const held = document.activeElement?.dataset?.fault;
    $("#faults .list").replaceChildren(
      ...known.map(([key, fault]) => {
        const [name, what] = t("fault")[key];
        const armed = this.faults.some(({ kind }) => kind === fault.kind);
        const act = fault.action
          ? { onclick: () => this.disturb(fault), disabled: !connected }
          : { onclick: () => this.toggle(fault, armed), "aria-pressed": String(armed) };
        return h("button.fault", { type: "button", "data-fault": key, ...act }, h("b", {}, name), h("small", {}, armed ? t("faultArmed") : what));
      }),
      ...strange.map(({ kind, count }) => h("p.strange", {}, icon("alert"), `${t("faultNow")}: ${kind}${count ? ` ×${count}` : ""}`)),
      ...(this.faults.length ? [h("button.link", { type: "button", "data-fault": "none", onclick: () => this.put([]) }, t("calm"))] : []));
    if (held) $(`[data-fault="${held}"]`)?.focus();
  }

  toggle(fault, armed) {
    this.put(armed ? this.faults.filter(({ kind }) => kind !== fault.kind) : [...this.faults, fault]);
  }

  async put(faults) {
    await this.attempt("PUT", "/sim/faults", { faults });
  }

  async disturb({ action }) {
    this.silent = action === "silence";
    if (this.silent) this.tell("warn", () => t("sSilent"));
    await this.attempt("POST", "/sim/link", { action });
  }

  async attempt(method, path, body) {
    try {
      const answer = await this.call(method, path, body);
      if (answer.faults) this.on_faults(answer);
    } catch (error) {
      toast(error.message);
    }
    this.later();
  }

  drawStory() {
    if (!this.story.length) return $("#story").replaceChildren(h("li.empty", {}, t("storyEmpty")));
    $("#story").replaceChildren(...this.story.toReversed().map(({ tone, text, detail, hint, at, times }) =>
      h("li", { "data-tone": tone, title: hint || detail },
        h("i"), h("span", {}, text(), times > 1 && ` ×${times}`, h("small", {}, detail)), h("time", {}, clock(at, true)))));
  }
}
