"""Where our messages differ on purpose from the official layer's.

A reason is a change to the event before the official layer reads it, or to
what it says: after it both sides must agree to the letter. So a reason hides
nothing but what it names. The few that cannot be told like that are in `masks`.
"""

import copy
import json
import re

from event_maker import BOT, TYPES

# Keeps the official layer from seeing what ours does not look for, and is taken
# out of its text again.
SHIELD = "\u2060"
NO_TITLE = SHIELD + "T"
PLACEHOLDER = re.compile("(@_user_[0-9]+|@_all(?![A-Za-z0-9_]))")
ATTRIBUTES = {
    "file": ["file_name"],
    "media": ["file_name"],
    "video": ["file_name"],
    "folder": ["file_name"],
    "share_chat": ["chat_id"],
    "share_user": ["user_id"],
    "hongbao": ["text"],
    "location": ["name"],
}
BLOCKS = {
    "calendar": ["summary"],
    "general_calendar": ["summary"],
    "share_calendar_event": ["summary"],
    "video_chat": ["topic"],
    "vote": ["topic"],
}
KINDS = set(TYPES) - {"new_type"}
TIMES = ("start_time", "end_time", "due_time")
STRINGS = {"text", "title", "image_key", "file_key", "file_name", "topic", "template", "name", "chat_id", "user_id",
           "longitude", "latitude", "summary"}


def shielded(text):
    return text.replace("@_", "@" + SHIELD + "_")


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Reasons:
    """One event, changed step by step; `used` names what was changed."""

    def __init__(self, event):
        self.event = copy.deepcopy(event)
        self.message = self.event["event"]["message"]
        self.kind = self.message.get("message_type")
        self.used = set()
        self.everyone = False
        try:
            self.content = json.loads(self.message.get("content"))
        except (TypeError, ValueError):
            self.content = None
        if not isinstance(self.content, dict):
            self.content = {}
        mentions = self.message.get("mentions")
        self.mentions = mentions if isinstance(mentions, list) else []
        self.bot_keys = {who["key"] for who in self.mentions if who["id"].get("open_id") == BOT}
        self.names = {who["key"]: who["name"] for who in self.mentions}

    def change(self, name, old, new):
        if new != old:
            self.used.add(name)
        return new

    def each(self, name, keys, change):
        for key in keys:
            if isinstance(self.content.get(key), str):
                self.content[key] = self.change(name, self.content[key], change(self.content[key]))

    def before(self):
        """The event as the official layer should read it."""
        self.drop_wrong_types()
        self.each("placeholders-only-in-words", ATTRIBUTES.get(self.kind, []) + BLOCKS.get(self.kind, []), shielded)
        self.each("nobody-forges-tags", BLOCKS.get(self.kind, []), escaped)
        self.each("nobody-forges-tags", ATTRIBUTES.get(self.kind, []),
                  lambda text: escaped(text).replace('"', "&quot;"))
        special = {"text": self.text, "post": self.post, "todo": self.todo, "vote": self.vote, "system": self.system,
                   "interactive": self.card}
        special.get(self.kind, lambda: None)()
        if self.kind not in KINDS:
            self.each("the-bot-is-not-named", ["text"], self.without_bot)
        self.message["content"] = json.dumps(self.content)
        return self.event

    def after(self, text):
        """What the official layer should say."""
        text = text.replace(SHIELD, "") if self.kind != "post" else self.post_after(text)
        if self.kind == "text":
            text = self.change("texts-are-trimmed", text, text.strip())
        if self.kind == "location":
            lng, lat = (escaped(self.content.get(key) or "") for key in ("longitude", "latitude"))
            text = self.change("coordinates-as-sent", text,
                               re.sub('lng="[^"]*" lat="[^"]*"/>$', f'lng="{lng}" lat="{lat}"/>', text))
        if self.kind in ("file", "media", "video") and not self.content.get("file_name"):
            text = self.change("unknown-is-left-out", text, text.replace(' name=""', ""))
        if self.kind in ("audio", "media", "video"):
            known = self.content.get("duration")
            shown = "" if known is None else f' duration="{known / 1000:g}s"'
            text = self.change("durations-as-sent", text, re.sub(' duration="[^"]*"', shown, text))
        return text

    def drop_wrong_types(self):
        """What is not of its type counts as absent."""
        for key, value in list(self.content.items()):
            wrong = key in STRINGS and not isinstance(value, str)
            if self.kind == "todo" and key == "summary":
                wrong = not isinstance(value, dict)
            if key == "duration":
                wrong = not isinstance(value, int) or isinstance(value, bool)
            if key == "options":
                wrong = not isinstance(value, list)
            if key in TIMES:
                wrong = isinstance(value, (bool, list, dict))
            if wrong and value is not None:
                self.used.add("wrong-types-count-as-absent")
            if wrong:
                del self.content[key]

    def without_bot(self, text):
        """People's words without the bot's mention and one blank beside it."""
        self.everyone |= "@_all" in PLACEHOLDER.findall(text)
        out, bot_was_here = "", False
        for part in PLACEHOLDER.split(text):
            if part in self.bot_keys:
                out = out.removesuffix(" ") if bot_was_here else out
                bot_was_here = True
            elif part:
                if bot_was_here and part.startswith(" "):
                    part = part[1:]
                elif bot_was_here:
                    out = out.removesuffix(" ")
                # What stood apart stays apart.
                out += SHIELD + part if bot_was_here and out.endswith("@_all") else part
                bot_was_here = False
        return out.removesuffix(" ") if bot_was_here else out

    def text(self):
        self.each("the-bot-is-not-named", ["text"], self.without_bot)

    def vote(self):
        options = self.content.get("options")
        if isinstance(options, list):
            changed = [escaped(shielded(option)) for option in options]
            self.content["options"] = self.change("nobody-forges-tags", options, changed)

    def system(self):
        for name in re.findall(r"\{([a-z_]+)\}", self.content.get("template") or ""):
            value = self.content.get(name)
            if name not in self.content:
                shown = "{" + name + "}"
            elif isinstance(value, list):
                shown = ["" if item is None else item for item in value]
            elif isinstance(value, dict):
                shown = value.get("name") or value.get("open_id") or value.get("id") or ""
            elif isinstance(value, int):
                shown = json.dumps(value)
            else:
                continue
            self.content[name] = self.change("places-of-system-messages", value, shown)
        self.each("blanks-of-system-messages", ["template"], lambda text: text and SHIELD + text + SHIELD)

    def card(self):
        def walk(node):
            if isinstance(node, dict) and isinstance(node.get("content"), str):
                words = node["content"]
                node["content"] = self.change("the-bot-is-not-named", words, self.without_bot(words))
            for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
                walk(child)

        walk([self.content.get("header"), self.content.get("body")])

    def todo(self):
        summary = self.content.get("summary")
        if not isinstance(summary, dict):
            return
        for who in self.mentions:
            who["name"] = self.change("nobody-forges-tags", who["name"], escaped(who["name"]))
        title = summary.get("title") or ""
        summary["title"] = self.change("nobody-forges-tags", title, escaped(shielded(title)))
        for at, row in enumerate(summary.get("content") or []):
            words = "".join(element.get("text") or "" for element in row if element["tag"] in ("text", "a"))
            words = self.change("the-bot-is-not-named", words, self.without_bot(words))
            summary["content"][at] = [{"tag": "text", "text": self.change("nobody-forges-tags", words, escaped(words))}]

    def post(self):
        inner = self.content
        if "content" not in inner and "title" not in inner:
            inner = next((value for value in inner.values() if isinstance(value, dict)), inner)
        if not isinstance(inner.get("content"), list):
            inner["content"] = []
        # With a title, the official layer leaves blanks before the first row.
        title = inner.get("title")
        title = title if isinstance(title, str) else ""
        shown = self.change("the-bot-is-not-named", title, self.without_bot(title))
        inner["title"] = shown or NO_TITLE
        for at, row in enumerate(inner["content"]):
            inner["content"][at] = [changed for element in row if (changed := self.element(element))]

    def element(self, element):
        tag, text = element["tag"], element.get("text") or ""
        if tag in ("new", "file", "audio"):
            self.used.add("unknown-tags-keep-their-words")
            tag = element["tag"] = "text"
        if tag in ("text", "md"):
            shown = self.change("the-bot-is-not-named", text, self.without_bot(text))
            element["text"] = self.change("placeholders-end-with-their-element", shown, self.closed(shown))
        if tag == "text":
            renamed = {"lineThrough": "strikethrough", "codeInline": "code"}
            styles = [renamed.get(style, style) for style in element.get("style", [])]
            element["style"] = self.change("names-of-styles", element.get("style", []), styles)
            if element["text"] and "underline" in styles:
                for style, mark in (("bold", "**"), ("italic", "*")):
                    if style in styles:
                        styles.remove(style)
                        element["text"] = mark + element["text"] + mark
                element["text"] = f"<u>{element['text']}</u>"
                element["style"] = self.change("underlined-words", None, styles)
            if not element["text"]:
                if set(styles) & {"bold", "italic", "code", "strikethrough"}:
                    self.used.add("no-empty-styles")
                return None
        if tag == "a":
            shown = self.change("links-without-text", text, text or element["href"])
            element["text"] = self.change("placeholders-only-in-words", shown, shielded(shown))
        if tag == "code_block":
            element["text"] = self.change("placeholders-only-in-words", text, shielded(text))
        if tag == "img" and not element["image_key"]:
            self.used.add("no-empty-images")
            return None
        if tag == "at" and element["user_id"] in ("all", "@_all"):
            self.everyone = True
        if tag == "at" and not element["user_name"]:
            id_ = element["user_id"]
            name = self.names.get(id_) or ("all" if id_ in ("all", "@_all") else id_.lstrip("@"))
            element["user_name"] = shielded(self.change("at-elements-by-name", id_, name))
        return element

    def closed(self, text):
        """The text, such that what follows cannot be read as part of its last placeholder."""
        *before, last, rest = ["", *PLACEHOLDER.split(text)] if PLACEHOLDER.search(text) else ["", text, ""]
        if rest or not last.startswith("@_"):
            return text
        name = "all" if last == "@_all" else self.names.get(last)
        return "".join(before) + ("@" + name if name else shielded(last))

    def post_after(self, text):
        if text.startswith("# " + NO_TITLE):
            text = text.removeprefix("# " + NO_TITLE).removeprefix("\n\n")
        text = text.replace(SHIELD, "").rstrip()
        return self.change("empty-posts", text, text or "[rich text message]")

    def fields(self, fields):
        """The other fields, as they should be."""
        message = self.event["event"]["message"]
        stated = message.get("create_time")
        if not isinstance(stated, (int, str)) or isinstance(stated, bool):
            fields["create_time"] = self.change("wrong-types-count-as-absent", fields["create_time"], 0)
        if message.get("chat_type") == "private":
            fields["is_direct"] = self.change("private-is-not-direct", fields["is_direct"], False)
        everyone = self.everyone or any(who["key"] == "@_all" for who in self.mentions)
        fields["mentions_all"] = self.change("everyone-wherever-mentioned", fields["mentions_all"], everyone)
        kinds = ("image", "video") if self.kind == "post" else ("image", "video", "audio", "file", "sticker")
        fields["resources"] = [self.resource(*resource) for resource in fields["resources"]
                               if isinstance(resource[1], str) and resource[0] in kinds]
        return fields

    def resource(self, kind, key, name, duration, cover):
        if self.kind == "post" and kind == "video":
            cover = self.change("videos-of-posts-have-covers", cover, "img_c")
        duration = self.content.get("duration") if duration is not None else None
        cover = cover if isinstance(cover, str) and cover else None
        name = name if isinstance(name, str) and name else None
        return [kind, key, name, duration, cover]

    def masks(self):
        """Why the text cannot be compared, if it cannot."""
        if self.kind == "interactive" and not {"header", "body"} & set(self.content):
            yield "cards-of-version-1"
