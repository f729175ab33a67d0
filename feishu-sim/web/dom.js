// Small tools to build elements. Strings always become text, never HTML.

import { nameOf } from "./words.js";

/** `h("button.quiet", {type: "button", onclick}, "Send")`. Null children are left out. */
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

export const $ = (selector) => document.querySelector(selector);

const PATHS = {
  menu: "M4 6h16M4 12h16M4 18h16",
  close: "M6 6l12 12M18 6L6 18",
  send: "M4 12l16-8-6 16-2.5-6.5z",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  moon: "M20 14.5A8 8 0 119.5 4a6.5 6.5 0 0010.5 10.5z",
  reply: "M10 8L5 12.5 10 17M5 12.5h8a6 6 0 016 6",
  like: "M7 11v9H4v-9zM7 11l4-8a2.5 2.5 0 012.5 2.5V9h5a2 2 0 012 2.3l-1.2 7A2 2 0 0117.3 20H7",
  recall: "M5 5v5h5M5.5 10A7.5 7.5 0 1112 19.5",
  down: "M12 5v14M6 13l6 6 6-6",
  check: "M5 12.5l4.5 4.5L19 7.5",
  group: "M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 20c0-3.5 2.9-6 6.5-6s6.5 2.5 6.5 6M16 4.5a3.5 3.5 0 010 6.5M18 14.5c2.2.8 3.5 2.8 3.5 5.5",
  clock: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4.5l3 2",
  alert: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v5M12 16v.5",
  attach: "M8 12.5l6.5-6.5a3 3 0 014.2 4.2L10.5 18.4a5 5 0 01-7-7L11 4",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A person's face: the logo for the bot under test, else up to two letters on a colour of their own. */
export function avatar(person) {
  if (person?.self) return h("img.avatar", { src: "/favicon.svg", alt: "" });
  const name = nameOf(person) || "?";
  const wide = /[\u3400-\u9fff]/.test(name);
  const letters = wide ? [...name].slice(-2).join("") : name.split(/\s+/).map((word) => [...word][0]).slice(0, 2).join("").toUpperCase();
  const seed = [...(person?.open_id ?? name)].reduce((hash, character) => Math.imul(hash ^ character.codePointAt(0), 16777619), 2166136261);
  return h("span.avatar", { "data-tone": (seed >>> 16) % 6, "aria-hidden": "true" }, letters);
}

export const groupAvatar = () => h("span.avatar.group", { "aria-hidden": "true" }, icon("group"));

/** A short note that goes by itself. */
export function toast(text) {
  const note = h("div.toast", {}, text);
  $("#toasts").append(note);
  setTimeout(() => note.remove(), 3500);
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
