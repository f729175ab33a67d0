// The dashboard: what the daemon says, kept by section, drawn when it changes.

import { DRAW, $ } from "./draw.js";
import { follow } from "./stream.js";
import { ago, languageNow, remember, remembered, span, speak, t } from "./words.js";

const known = {};
let bot = null;
/** What the daemon's clock shows when this one shows 0. */
let ahead = 0;
let denied = null;
let stream = "connecting";

const now = () => Date.now() + ahead;

function take(name, data) {
  if (name === "hello") {
    ahead = data.now_ms - Date.now();
    const instances = data.bots.map(({ instance }) => instance);
    if (!instances.includes(bot)) bot = instances[0];
  }
  known[name] = data;
  draw(name);
  if (name === "store") document.documentElement.dataset.ready = "yes";
}

/** Draws what depends on a section; everything without one. */
function draw(section) {
  if (!known.hello) return;
  $("main").hidden = false;
  for (const { on, draw } of DRAW) {
    if (section && section !== "hello" && !on.includes(section)) continue;
    // A section that has not been told yet is not drawn.
    if (on.every((name) => known[name] !== undefined)) draw(known, bot, now());
  }
  if (!section || section === "hello") frame();
  tick();
}

function frame() {
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  const other = $("#language");
  other.textContent = t("otherLanguage");
  other.title = t("otherLanguageHint");
  const theme = $("#theme");
  theme.textContent = isDark() ? "☀" : "☾";
  theme.title = t("theme");
  theme.setAttribute("aria-label", t("theme"));
  document.documentElement.lang = languageNow() === "zh" ? "zh-CN" : "en";
  document.title = t("brand");
  $("#stream").textContent = t(stream);
  if (denied) $("#ask-why").textContent = t(denied);
  const bots = known.hello?.bots ?? [];
  $("#bot").hidden = bots.length < 2;
  const select = $("#bot select");
  select.replaceChildren(...bots.map(({ instance }) => new Option(instance, instance, false, instance === bot)));
}

/** Ages and the clock: all that moves by itself. */
function tick() {
  const at = now();
  if (known.hello) $("#about").textContent = t("about", known.hello.version, span(Math.max(1000, at - known.hello.started_ms)));
  for (const node of document.querySelectorAll("[data-since]")) node.textContent = span(Math.max(0, at - Number(node.dataset.since)));
  for (const node of document.querySelectorAll("[data-ago]")) node.textContent = ago(Math.max(0, at - Number(node.dataset.ago)));
}

function start() {
  follow("/api/v1/dashboard", () => remembered("token", "sessionStorage"), {
    event: take,
    state(word) {
      stream = word;
      document.documentElement.dataset.stream = word === "full" ? "lost" : word;
      if (word === "live") { denied = null; $("#ask").hidden = true; }
      frame();
    },
    denied(status) {
      const tried = remembered("token", "sessionStorage");
      denied = status === 403 ? "notHere" : tried ? "wrongToken" : "needToken";
      $("main").hidden = true;
      $("#ask").hidden = false;
      for (const node of document.querySelectorAll("#ask label, #ask button")) node.hidden = status === 403;
      document.documentElement.dataset.ready = "denied";
      stream = "closed";
      document.documentElement.dataset.stream = "lost";
      frame();
      $("#ask input").focus();
    },
  });
}

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function wire() {
  $("#language").onclick = () => {
    speak(languageNow() === "zh" ? "en" : "zh");
    remember("language", languageNow());
    frame();
    draw();
  };
  $("#theme").onclick = () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    remember("theme", document.documentElement.dataset.theme);
    frame();
  };
  $("#bot select").onchange = ({ target }) => { bot = target.value; draw(); };
  $("#ask").onsubmit = (event) => {
    event.preventDefault();
    remember("token", $("#ask input").value.trim(), "sessionStorage");
    $("#ask input").value = "";
    start();
  };
}

const asked = new URLSearchParams(location.search);
speak(asked.get("lang") ?? remembered("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en"));
const theme = asked.get("theme") ?? remembered("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
wire();
frame();
start();
setInterval(tick, 1000);
