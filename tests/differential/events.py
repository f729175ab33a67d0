"""Messages: this core beside the channel layer of the official Python client."""

import asyncio
import json
import logging

from lark_oapi.channel.normalize.pipeline import InboundPipeline, PipelineConfig, PipelineDeps
from lark_oapi.core.json import JSON
from lark_oapi.core.log import logger
from lark_oapi.event.dispatcher_handler import P2ImMessageReceiveV1

from common import Verdict, arguments, ask
from event_maker import BOT, EventMaker
from event_reasons import Reasons


class Official:
    """The official layer, without a network to look anything up in."""

    def __init__(self):
        logger.setLevel(logging.CRITICAL)
        self.loop = asyncio.new_event_loop()
        self.pipeline = InboundPipeline(cfg=PipelineConfig(), deps=PipelineDeps())

    def read(self, event):
        """The message as its bots get it; None where it raises."""
        try:
            data = JSON.unmarshal(json.dumps(event), P2ImMessageReceiveV1)
            work = self.pipeline.process(data.header.event_id, data.event.message, data.event.sender)
            return self.loop.run_until_complete(work)
        except Exception:
            return None


def text_or_none(value):
    return value if isinstance(value, str) and value else None


def fields_of(message, event):
    """What the official layer says, in our words."""
    raw = event["event"]["message"]
    return {
        "message_id": text_or_none(message.id) or "",
        "chat_id": text_or_none(message.conversation.chat_id) or "",
        "is_direct": message.conversation.chat_type == "p2p",
        "root_id": text_or_none(raw.get("root_id")),
        "parent_id": text_or_none(raw.get("parent_id")),
        "thread_id": text_or_none(message.conversation.thread_id),
        "create_time": message.create_time,
        "sender": text_or_none(message.sender.open_id) or "",
        "sender_is_bot": message.sender.is_bot,
        "self_sent": message.sender.open_id == BOT,
        "text": message.content_text,
        "mentions_bot": any(mention.open_id == BOT for mention in message.mentions),
        "mentions_all": message.mentioned_all,
        "mentions": [[mention.key, mention.open_id or "", mention.name or ""] for mention in message.mentions],
        "resources": [
            [what.type, what.file_key, what.file_name, what.duration_ms, what.cover_image_key]
            for what in message.resources
        ],
    }


def compare(verdict, official, event, ours):
    message = official.read(event)
    if message is None:
        return verdict.differ("official-fails", event, ours)
    if "text" not in ours:
        return verdict.differ("no-message", event, ours)
    reasons = Reasons(event)
    translated = official.read(reasons.before())
    expected = reasons.fields(fields_of(message, event))
    expected["text"] = reasons.after(translated.content_text)
    masked = set(reasons.masks())
    for name, value in expected.items():
        if ours[name] == value:
            verdict.agree()
        elif name in ("text", "mentions_all") and masked:
            reasons.used |= masked
        else:
            kind = event["event"]["message"].get("message_type")
            verdict.differ(f"{name}-of-{kind}" if name == "text" else name, event, repr(value), repr(ours[name]))
    for name in reasons.used:
        verdict.differ(name)


def main():
    chosen = arguments(10_000)
    verdict = Verdict("events", chosen.seed)
    maker, official = EventMaker(chosen.random), Official()
    events = [maker.event() for _ in range(chosen.cases)]
    questions = [{"event": event, "bot_open_id": BOT} for event in events]
    for event, ours in zip(events, ask(chosen.subject, "events", questions)):
        compare(verdict, official, event, ours)
    verdict.end()


if __name__ == "__main__":
    main()
