"""Random message events: every type, with fields that are odd or missing."""

import json

BOT = "ou_bot"
NAMES = ["Ann", "李雷", "Bob Smith", "", "A<b>", "\N{GRINNING FACE}"]
WORDS = ["hello", " ", "  ", "\n", "\t", "你好", "<b>", "a&b", '"q"', "\\", "/", "`", "*x*", "\N{GRINNING FACE}",
         "@_user_1", "@_user_2", "@_user_3", "@_user_12", "@_user_", "@_all", "@_allow", "@", "x@y.z", "é", "{a}"]
KEYS = ["img_v3_1", "file_v3_1", "file_v3_2", "k"]
STYLES = ["bold", "italic", "code", "strikethrough", "underline", "lineThrough", "codeInline", "x"]
TIMES = ["1772446123707", "1772446123", 1772446123707, "0", "", 0, None, "soon"]
TYPES = ["text", "post", "image", "file", "audio", "media", "video", "sticker", "folder", "share_chat", "share_user",
         "location", "hongbao", "system", "calendar", "general_calendar", "share_calendar_event", "video_chat",
         "todo", "vote", "merge_forward", "interactive", "new_type"]


class EventMaker:
    def __init__(self, random):
        self.random = random

    def event(self):
        """One event as Feishu pushes it, or nearly so."""
        random = self.random
        kind = random.choices(TYPES, [20, 20] + [2] * (len(TYPES) - 3) + [5])[0]
        content = json.dumps(self.content(kind), ensure_ascii=random.random() < 0.5)
        if random.random() < 0.02:
            content = random.choice(["", "x", "[]", "null", '{"text":', content[:-1], content + " ", None])
        number = random.randrange(10**6)
        message = {
            "message_id": f"om_{number}",
            "root_id": self.sometimes(f"om_r{number}"),
            "parent_id": self.sometimes(f"om_p{number}"),
            "thread_id": self.sometimes(f"omt_{number}"),
            "create_time": random.choices([str(1772446000000 + number), number, "", "soon", None], [9, 1, 1, 1, 1])[0],
            "update_time": "1772446123707",
            "chat_id": f"oc_{number}",
            "chat_type": random.choices(["group", "p2p", "topic_group", "private", "", None], [8, 4, 1, 1, 1, 1])[0],
            "message_type": kind,
            "content": content,
            "mentions": self.mentions(),
        }
        sender = {
            "sender_id": {"open_id": random.choice(["ou_1", "ou_2", BOT]), "union_id": "on_1", "user_id": None},
            "sender_type": random.choice(["user", "user", "user", "bot", "app", None]),
            "tenant_key": "tk",
        }
        for part in (message, sender, sender["sender_id"]):
            if random.random() < 0.05:
                name = random.choice([name for name in part if name not in ("content", "message_type", "sender_id")])
                part[name] = random.choice([1, True, [], {}, None, 1.5])
            if random.random() < 0.05:
                del part[random.choice(list(part))]
        header = {
            "event_id": f"e{number}",
            "event_type": "im.message.receive_v1",
            "create_time": "1772446123707",
            "token": "",
            "app_id": "cli_1",
            "tenant_key": "tk",
        }
        event = {"sender": sender, "message": message}
        return {"schema": "2.0", "header": header, "event": self.in_any_order(event)}

    def in_any_order(self, members):
        if self.random.random() < 0.8:
            return members
        return dict(self.random.sample(list(members.items()), len(members)))

    def sometimes(self, value):
        return self.random.choices([value, "", None], [3, 5, 2])[0]

    def words(self, at_most=6):
        return "".join(self.random.choices(WORDS, k=self.random.randint(0, at_most)))

    def mentions(self):
        random = self.random
        if random.random() < 0.3:
            return random.choice([None, []])
        mentions = []
        for place in range(1, random.randint(1, 4)):
            mention = {
                "key": f"@_user_{place}",
                "id": {"open_id": f"ou_{place}", "union_id": "on", "user_id": None},
                "name": random.choice(NAMES),
                "tenant_key": "tk",
            }
            if random.random() < 0.25 and not any(other["id"]["open_id"] == BOT for other in mentions):
                mention["id"]["open_id"], mention["name"] = BOT, "Robot"
            if random.random() < 0.1:
                mention.update(key="@_all", id={"open_id": "", "user_id": "all"}, name="everyone")
            mentions.append(mention)
        return mentions

    def content(self, kind):
        random = self.random
        words, key, time = self.words, random.choice(KEYS), random.choice
        makers = {
            "text": lambda: {"text": words(10)},
            "post": self.post,
            "image": lambda: {"image_key": key},
            "file": lambda: {"file_key": key, "file_name": words() + ".pdf"},
            "audio": lambda: {"file_key": key, "duration": random.choice([2500, 61000, 100, 1234, 0])},
            "sticker": lambda: {"file_key": key},
            "folder": lambda: {"file_key": key, "file_name": words()},
            "share_chat": lambda: {"chat_id": "oc_" + words(1)},
            "share_user": lambda: {"user_id": "ou_" + words(1)},
            "hongbao": lambda: {"text": words()},
            "location": lambda: {
                "name": words(),
                "longitude": random.choice(["116.397428", "0.5", "116.300"]),
                "latitude": random.choice(["39.90923", "-1.25"]),
            },
            "system": self.system,
            "calendar": lambda: {"summary": words(), "start_time": time(TIMES), "end_time": time(TIMES)},
            "video_chat": lambda: {"topic": words(), "start_time": time(TIMES)},
            "todo": lambda: {
                "summary": {"title": words(), "content": [self.row() for _ in range(random.randint(0, 2))]},
                "due_time": time(TIMES),
            },
            "vote": lambda: {"topic": words(), "options": [words(2) for _ in range(random.randint(0, 3))]},
            "merge_forward": lambda: {"content": "Merged and Forwarded Message"},
            "interactive": self.card,
            "new_type": lambda: {"text": words()},
        }
        makers["media"] = makers["video"] = lambda: {
            "file_key": key,
            "file_name": words(),
            "image_key": random.choice(["img_c", "", None]),
            "duration": random.choice([61000, 500, 0]),
        }
        makers["general_calendar"] = makers["share_calendar_event"] = makers["calendar"]
        content = makers[kind]()
        if content and random.random() < 0.07:
            del content[random.choice(list(content))]
        if content and random.random() < 0.03:
            content[random.choice(list(content))] = random.choice([None, "", 7, True, {}, []])
        return content

    def post(self):
        rows = [self.row() for _ in range(self.random.randint(0, 4))]
        post = {"title": self.random.choice([self.words(3), self.words(3), "@_user_1"]), "content": rows}
        return self.random.choice([post, post, post, {"zh_cn": post}])

    def row(self):
        return [self.element() for _ in range(self.random.randint(0, 4))]

    def element(self):
        random = self.random
        styles = random.sample(STYLES, random.randint(1, 2)) if random.random() < 0.3 else []
        return random.choice([
            lambda: {"tag": "text", "text": self.words(), "style": styles},
            lambda: {"tag": "text", "text": self.words()},
            lambda: {"tag": "a", "text": random.choice(["link", "", self.words()]), "href": "https://a.b/?c=d&e"},
            lambda: {"tag": "at", "user_id": random.choice(["@_user_1", "@_user_2", "all", "@_all", "ou_9", ""]),
                     "user_name": random.choice(["Ann", "Robot", ""])},
            lambda: {"tag": "emotion", "emoji_type": "SMILE"},
            lambda: {"tag": "img", "image_key": random.choice(KEYS + [""])},
            lambda: {"tag": "media", "file_key": random.choice(KEYS), "image_key": "img_c"},
            lambda: {"tag": "code_block", "language": random.choice(["GO", "c++", ""]), "text": self.words()},
            lambda: {"tag": "hr"},
            lambda: {"tag": "md", "text": self.words()},
            lambda: {"tag": random.choice(["new", "file", "audio"]), "text": self.words(2), "file_key": "file_e"},
        ])()

    def system(self):
        random = self.random
        template = "".join(random.choices(["{from_user}", "{to_chatters}", "{none}", "{X}", "{", "}", " joined ", "{a_b}"],
                                          k=random.randint(0, 5)))
        people = [{"name": "Ann"}, {"open_id": "ou_1"}, {"id": "i"}, {}, "Bob", 5, None]
        return {
            "template": template,
            "from_user": random.choices(people, k=random.randint(0, 2)),
            "to_chatters": random.choices(people, k=random.randint(0, 3)),
            "a_b": random.choice(["text", None, "", 7]),
        }

    def card(self):
        random = self.random
        text = lambda: {"tag": "plain_text", "content": self.words(3)}
        elements = [
            random.choice([
                lambda: {"tag": "markdown", "content": self.words(3)},
                lambda: {"tag": "div", "text": text()},
                lambda: {"tag": "column_set", "columns": [{"tag": "column", "elements": [text()]}]},
                lambda: {"tag": "hr"},
            ])()
            for _ in range(random.randint(0, 3))
        ]
        if random.random() < 0.2:
            return {"title": self.words(2), "elements": [[{"tag": "text", "text": self.words(3)}]]}
        header = {"title": text(), "subtitle": text()}
        return {"schema": "2.0", "header": header, "body": {"elements": elements}}
