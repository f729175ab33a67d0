// Each part of the page, drawn from what is known. Strings become text, never HTML.

import { ago, bytes, clock, count, moment, reason, span, t } from "./words.js";

export const $ = (selector) => document.querySelector(selector);

/** `h("p.empty", {title}, "text")`. Empty children are left out. */
function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) if (value != null && value !== false) node.setAttribute(key, value);
  node.append(...children.flat().filter((child) => child != null && child !== false && child !== ""));
  return node;
}

const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
const since = (ms) => h("span", { "data-since": ms });
const back = (ms) => (ms == null ? t("never") : h("span", { "data-ago": ms, title: moment(ms) }));
const fill = (id, ...nodes) => $(`#${id} > div`).replaceChildren(...nodes);

/** Which part is drawn from which sections. */
export const DRAW = [
  { on: ["ready"], draw: ready },
  { on: ["numbers", "turns", "store"], draw: tiles },
  { on: ["link"], draw: link },
  { on: ["turns"], draw: turns },
  { on: ["ends"], draw: ends },
  { on: ["events"], draw: events },
  { on: ["numbers"], draw: (known, bot) => chart("ack", known.numbers[bot].ack_time, 1000, 3000) },
  { on: ["numbers"], draw: (known, bot) => chart("model", known.numbers[bot].model_time) },
  { on: ["store"], draw: store },
  { on: ["hello"], draw: config },
];

function ready({ ready }) {
  const node = $("#ready");
  const word = ready.stopping ? "stopping" : ready.ready ? "ready" : "notReady";
  node.dataset.ready = ready.stopping ? "stopping" : ready.ready ? "yes" : "no";
  node.replaceChildren(h("b", {}, t(word)), ready.ready ? h("span", {}, t("readySub")) : h("ul", {}, ready.reasons.map((why) => h("li", {}, why))));
}

function tiles({ hello, numbers, turns, store }, bot, now) {
  const n = numbers[bot];
  const kept = store[bot];
  const { turns_max } = hello.bots.find(({ instance }) => instance === bot);
  const bad = n.failed + n.given_up;
  const tile = (key, value, small, below, tone) =>
    h("dl.tile", { "data-tile": key, "data-tone": tone }, h("dt", {}, t(key)), h("dd", {}, value, small && h("small", {}, small)), h("p", {}, below));
  const oldest = kept?.oldest_queued_ms;
  $("#tiles").replaceChildren(
    tile("answered", count(n.answered), null, n.stopped ? t("stoppedN", count(n.stopped)) : t("calls", count(n.openapi_calls))),
    tile("failedTile", count(bad), null, n.given_up ? t("givenUpN", count(n.given_up)) : "", bad ? "bad" : null),
    tile("running", count(turns[bot].length), t("ofMax", turns_max), ""),
    tile("waiting", kept ? count(kept.queued) : "–", null, oldest ? t("oldest", span(Math.max(0, now - oldest))) : ""),
    tile("received", count(n.received), null, t("ignoredN", count(n.ignored), count(n.duplicates))),
    tile("tokens", count(n.prompt_tokens + n.completion_tokens), null, t("readWritten", count(n.prompt_tokens), count(n.completion_tokens))),
  );
}

const LINK = { open: ["open", "good"], connecting: ["connectingLink", "warn"], waiting: ["waitingLink", "warn"], refused: ["refused", "bad"], closed: ["closed", "bad"] };
/** How far back the strip goes, ms. */
const STRIP_MS = 24 * 3_600_000;
/** Changes that are listed. */
const CHANGES_MAX = 6;

function link({ hello, link }, bot, now) {
  const l = link[bot];
  $("#link h2").textContent = t(l.webhook ? "webhook" : "link");
  const id = fact(t("botId"), l.bot_open_id ?? t("unknown"));
  if (l.webhook) {
    const { accepted, challenges, rejected, refused } = l.webhook;
    fill("link", h("dl.facts", {}, fact(t("accepted"), count(accepted)), fact(t("challenges"), count(challenges)),
      fact(t("rejected"), count(rejected)), fact(t("refusedPush"), count(refused)), id));
    return;
  }
  const [word, tone] = LINK[l.state];
  fill("link",
    h("p.state", { "data-tone": tone }, t(word)),
    h("dl.facts", {},
      fact(t("since"), since(l.since_ms)), fact(t("lastEvent"), back(l.last_event_ms)), fact(t("lastPong"), back(l.last_pong_ms)),
      fact(t("attempts"), count(l.attempts)), fact(t("acked"), count(l.acknowledged)), l.overdue > 0 && fact(t("overdue"), count(l.overdue)),
      id, l.last_error && fact(t("lastError"), reason(l.last_error))),
    ...strip(l, hello.started_ms, now),
    h("ul.rows", {}, l.history.slice(-CHANGES_MAX).toReversed().map(({ at_ms, to, why }) =>
      h("li", { "data-tone": LINK[to][1] }, h("time", { title: moment(at_ms) }, clock(at_ms)), h("span.mark", {}, t(to === "open" ? "up" : "down")),
        h("span.why", {}, reason(why ?? ""))))));
}

/** When the link was open, since the start or for a day. */
function strip({ history }, started, now) {
  const from = Math.max(started, now - STRIP_MS);
  const whole = Math.max(1, now - from);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "strip");
  svg.setAttribute("viewBox", "0 0 1000 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const changes = [{ at_ms: started, to: "waiting" }, ...history];
  changes.forEach(({ at_ms, to }, at) => {
    const begin = Math.max(from, at_ms);
    const end = changes[at + 1]?.at_ms ?? now;
    if (end <= begin) return;
    const part = document.createElementNS(svg.namespaceURI, "rect");
    part.setAttribute("class", to);
    part.setAttribute("x", String((1000 * (begin - from)) / whole));
    // Even a short outage is seen.
    part.setAttribute("width", String(Math.max(2, (1000 * (end - begin)) / whole)));
    part.setAttribute("height", "10");
    svg.append(part);
  });
  return [svg, h("p.scale", {}, h("span", {}, t("agoStrip", span(whole))), h("span", {}, t("now")))];
}

const STAGE = { thinking: "thinking", writing: "writing", retrying: "retrying", approval: "approval", answer: "waitsAnswer" };

function turns({ turns }, bot) {
  const list = turns[bot];
  if (!list.length) return fill("turns", h("p.empty", {}, t("noTurns")));
  fill("turns", ...list.map(({ conversation, began_ms, stage, detail, tools, model, turn }) =>
    h("div.turn", { "data-turn": turn },
      h("div.head", {}, h("i.pulse"), h("b", {}, t(STAGE[stage], detail)), h("time", {}, since(began_ms))),
      h("p", { title: conversation }, `${conversation} · ${model}`),
      tools.length > 0 && h("div.tools", {}, tools.map(({ name, ok }) =>
        h("span.mark", { "data-tone": ok === null ? null : ok ? "good" : "bad" }, `${ok === null ? "…" : ok ? "✓" : "✗"} ${name}`))))));
}

const END_TONE = { answered: "good", failed: "bad", given_up: "bad", refused: "warn" };

function ends({ ends }, bot) {
  const list = ends[bot];
  if (!list.length) return fill("ends", h("p.empty", {}, t("noEnds")));
  fill("ends", h("ul.rows", {}, list.toReversed().map(({ at_ms, end, conversation, kind, took_ms, tools, why }) =>
    h("li", { "data-end": end, "data-tone": END_TONE[end] },
      h("time", { title: moment(at_ms) }, clock(at_ms)), h("span.mark", {}, t("end")[end]),
      h("span.id", { title: conversation }, conversation),
      h("span.took", {}, [t("kinds")[kind], tools > 0 && t("toolsN", tools), took_ms != null && span(took_ms)].filter(Boolean).join(" · ")),
      why && h("span.why", {}, reason(why))))));
}

const FATE_TONE = { admitted: "good", not_understood: "bad", refused: "bad" };

function events({ events }, bot) {
  const list = events[bot];
  if (!list.length) return fill("events", h("p.empty", {}, t("noEvents")));
  fill("events", h("ul.rows", {}, list.toReversed().map(({ at_ms, fate, id, why }) =>
    h("li", { "data-fate": fate, "data-tone": FATE_TONE[fate] },
      h("time", { title: moment(at_ms) }, clock(at_ms)), h("span.mark", {}, t("fate")[fate]), h("span.id", { title: id }, id), h("span.took"),
      why && h("span.why", {}, reason(why))))));
}

/** A histogram; from `warn` and `bad` ms on its bars have those colours. */
function chart(id, { buckets, count: all, sum_ms }, warn = Infinity, bad = Infinity) {
  const title = $(`#${id} h2`);
  title.querySelector("small")?.remove();
  if (!all) return fill(id, h("p.empty", {}, t("noneYet")));
  title.append(h("small", {}, t("mean", span(sum_ms / all), count(all))));
  const most = Math.max(...buckets.map(([, n]) => n));
  const label = (bound) => (bound === null ? t("longer") : bound < 1000 ? `${bound}ms` : `${bound / 1000}s`);
  const tone = (bound) => (bound === null || bound > bad ? "bad" : bound > warn ? "warn" : null);
  fill(id,
    h("div.chart", { role: "img", "aria-label": buckets.filter(([, n]) => n).map(([bound, n]) => `≤ ${label(bound)}: ${n}`).join(", ") },
      buckets.map(([bound, n]) => {
        const bar = h("b");
        // The bar leaves room for its number.
        bar.style.height = `${(85 * n) / most}%`;
        return h("i", { "data-tone": warn === Infinity ? null : tone(bound), title: `≤ ${label(bound)}: ${n}` }, n > 0 && h("span", {}, count(n)), bar);
      })),
    h("div.axis", { "aria-hidden": "true" }, buckets.map(([bound]) => h("span", {}, label(bound)))));
}

function store({ store }, bot) {
  const s = store[bot];
  if (!s) return fill("store", h("p.state", { "data-tone": "bad" }, t("noStore")));
  fill("store", h("dl.facts", {},
    fact(t("size"), bytes(s.file_bytes)), s.wal_bytes > 0 && fact(t("wal"), bytes(s.wal_bytes)), fact(t("queued"), count(s.queued)),
    fact(t("outbox"), count(s.outbox)), fact(t("dead"), count(s.dead)), fact(t("commits"), count(s.commits)),
    s.commits > 0 && fact(t("perCommit"), (s.commands / s.commits).toFixed(1)),
    s.commits > 0 && fact(t("commitTime"), span(s.commit_micros / 1000 / s.commits))));
}

function config({ hello }) {
  const open = new Set([...document.querySelectorAll("#config details[open]")].map(({ dataset }) => dataset.section));
  $("#config h2").replaceChildren(t("config"), h("small", {}, t("noSecrets")));
  fill("config", ...hello.config.map(({ name, settings }) =>
    h("details", { "data-section": name, open: open.has(name) ? "" : null }, h("summary", {}, `[${name}]`),
      h("table", {}, h("tbody", {}, settings.map(({ key, value, is_default }) =>
        h("tr", { class: is_default ? "default" : null }, h("td", {}, key), h("td", {}, value, is_default && ` (${t("byDefault")})`))))))));
}
