"""A bot on the official Python client (lark-oapi), pointed at a simulator.

usage: python_client.py BASE_URL APP_ID APP_SECRET

It reacts to each message and answers it with the length and the end of its
text; to "card" it answers with a card that it changes afterwards; a pressed
button gets a toast.
"""

import json
import sys

import lark_oapi as lark
from lark_oapi.api.im.v1 import (
    CreateMessageReactionRequest,
    CreateMessageReactionRequestBody,
    CreateMessageRequest,
    CreateMessageRequestBody,
    Emoji,
    PatchMessageRequest,
    PatchMessageRequestBody,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
)
from lark_oapi.event.callback.model.p2_card_action_trigger import (
    P2CardActionTriggerResponse,
)

BASE_URL, APP_ID, APP_SECRET = sys.argv[1:4]

api = (
    lark.Client.builder()
    .app_id(APP_ID)
    .app_secret(APP_SECRET)
    .domain(BASE_URL)
    .build()
)


def card(title, template):
    return json.dumps(
        {
            "schema": "2.0",
            "config": {"update_multi": True},
            "header": {
                "title": {"tag": "plain_text", "content": title},
                "template": template,
            },
            "body": {
                "elements": [
                    {"tag": "markdown", "content": "**python**"},
                    {
                        "tag": "button",
                        "text": {"tag": "plain_text", "content": "Stop"},
                        "behaviors": [{"type": "callback", "value": {"press": "stop"}}],
                    },
                ]
            },
        }
    )


def must(response):
    if not response.success():
        raise RuntimeError(f"{response.code} {response.msg} {response.get_log_id()}")
    # Answers without data, such as that of a patch, have no such attribute.
    return getattr(response, "data", None)


def on_message(event):
    message = event.event.message
    text = json.loads(message.content)["text"]
    if text == "card":
        sent = must(
            api.im.v1.message.create(
                CreateMessageRequest.builder()
                .receive_id_type("chat_id")
                .request_body(
                    CreateMessageRequestBody.builder()
                    .receive_id(message.chat_id)
                    .msg_type("interactive")
                    .content(card("working", "blue"))
                    .uuid("card-" + message.message_id[:40])
                    .build()
                )
                .build()
            )
        )
        must(
            api.im.v1.message.patch(
                PatchMessageRequest.builder()
                .message_id(sent.message_id)
                .request_body(
                    PatchMessageRequestBody.builder()
                    .content(card("done", "green"))
                    .build()
                )
                .build()
            )
        )
        return
    must(
        api.im.v1.message_reaction.create(
            CreateMessageReactionRequest.builder()
            .message_id(message.message_id)
            .request_body(
                CreateMessageReactionRequestBody.builder()
                .reaction_type(Emoji.builder().emoji_type("Get").build())
                .build()
            )
            .build()
        )
    )
    must(
        api.im.v1.message.reply(
            ReplyMessageRequest.builder()
            .message_id(message.message_id)
            .request_body(
                ReplyMessageRequestBody.builder()
                .msg_type("text")
                .content(json.dumps({"text": f"{len(text)}:{text[-8:]}"}))
                .build()
            )
            .build()
        )
    )


def on_press(event):
    return P2CardActionTriggerResponse(
        {"toast": {"type": "success", "content": event.event.action.value["press"]}}
    )


handler = (
    lark.EventDispatcherHandler.builder("", "")
    .register_p2_im_message_receive_v1(on_message)
    .register_p2_card_action_trigger(on_press)
    .build()
)

lark.ws.Client(APP_ID, APP_SECRET, event_handler=handler, domain=BASE_URL).start()
