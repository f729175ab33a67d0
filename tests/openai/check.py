"""Talks to model-sim as a program that uses OpenAI's client would.

usage: check.py MODEL_SIM

The client builds its answers without looking at them closely, so each is held
against its own types once more.
"""

import asyncio
import json
import re
import subprocess
import sys

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk

KEY = "right"
WINDOW = 20_000
MODEL = "scripted-stand-in"
# A red dot.
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
CLOCK = {
    "type": "function",
    "function": {
        "name": "current_time",
        "description": "The time.",
        "parameters": {"type": "object", "properties": {}},
    },
}


def user(content):
    return {"role": "user", "content": content}


def sound(answer, kind):
    """The answer, if it is one by the client's own types."""
    return kind.model_validate(answer.model_dump(exclude_unset=True), strict=True)


def models(client):
    listed = list(client.models.list())
    assert [model.id for model in listed] == [MODEL], listed
    assert client.models.retrieve(MODEL).object == "model"


def whole(client):
    answer = client.chat.completions.create(model="m", messages=[user("hello")])
    sound(answer, ChatCompletion)
    assert answer.model == "m"
    assert "hello" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def streamed(client):
    text, usage, finish = "", [], []
    with client.chat.completions.create(
        model="m",
        messages=[user("你好")],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            sound(chunk, ChatCompletionChunk)
            usage += [chunk.usage] if chunk.usage else []
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish += [choice.finish_reason] if choice.finish_reason else []
    assert "你好" in text and finish == ["stop"], (text, finish)
    assert len(usage) == 1 and usage[0].total_tokens > 0


def helper(client):
    """The client's own accumulator comes to the same as the whole answer."""
    with client.chat.completions.stream(model="m", messages=[user("hello")]) as stream:
        for _ in stream:
            pass
        last = stream.get_final_completion()
    answer = client.chat.completions.create(model="m", messages=[user("hello")])
    assert last.choices[0].message.content == answer.choices[0].message.content


def tools(client):
    asked = [user("What time is it?")]
    with client.chat.completions.stream(
        model="m", messages=asked, tools=[CLOCK]
    ) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion().choices[0]
    whole = client.chat.completions.create(model="m", messages=asked, tools=[CLOCK])
    sound(whole, ChatCompletion)
    for choice in (streamed, whole.choices[0]):
        assert choice.finish_reason == "tool_calls", choice
        (call,) = choice.message.tool_calls
        assert call.function.name == "current_time"
        assert json.loads(call.function.arguments) == {}
    message = whole.choices[0].message
    told = {"local": "2026-09-21T22:13:20+08:00", "weekday": "Monday"}
    result = {
        "role": "tool",
        "tool_call_id": message.tool_calls[0].id,
        "content": json.dumps(told),
    }
    conversation = asked + [message.model_dump(exclude_unset=True), result]
    answer = client.chat.completions.create(
        model="m", messages=conversation, tools=[CLOCK]
    )
    assert "2026-09-21" in answer.choices[0].message.content
    # And what a server refuses: a call that is not answered.
    refused(client, openai.BadRequestError, conversation[:-1])


def images(client):
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    text = {"type": "text", "text": "What is this?"}
    answer = client.chat.completions.create(
        model="m", messages=[user([text, picture])]
    )
    assert "What is this?" in answer.choices[0].message.content
    broken = {"type": "image_url", "image_url": {"url": "dot.png"}}
    refused(client, openai.BadRequestError, [user([text, broken])])


def errors(client):
    kinds = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
        503: openai.InternalServerError,
    }
    for status, kind in kinds.items():
        for stream in (False, True):
            error = refused(client, kind, [user(f"demo failure {status}")], stream)
            assert error.status_code == status
            assert error.body["type"] == "scripted_error", error.body
    too_long = refused(client, openai.BadRequestError, [user("x" * 4 * WINDOW)])
    assert too_long.code == "context_length_exceeded", too_long.body
    stranger = client.with_options(api_key="wrong")
    refused(stranger, openai.AuthenticationError, [user("hello")])
    try:
        client.models.retrieve("no-such-model")
        raise AssertionError("a model that is not there was found")
    except openai.NotFoundError as error:
        assert error.body["message"], error.body


def refused(client, kind, messages, stream=False):
    try:
        client.chat.completions.create(model="m", messages=messages, stream=stream)
    except openai.APIStatusError as error:
        assert isinstance(error, kind), error
        return error
    raise AssertionError(f"not refused: {messages}")


def at_once(client):
    """Several conversations at a time, each with its own answer."""

    async def ask(client, n):
        answer = await client.chat.completions.create(
            model="m", messages=[user(f"number {n}")]
        )
        assert f"number {n}" in answer.choices[0].message.content

    async def ask_all():
        async with openai.AsyncOpenAI(
            base_url=client.base_url, api_key=KEY, max_retries=0
        ) as asynchronous:
            await asyncio.gather(*(ask(asynchronous, n) for n in range(8)))

    asyncio.run(ask_all())


CHECKS = [models, whole, streamed, helper, tools, images, errors, at_once]


def main():
    arguments = ["127.0.0.1:0", "--api-key", KEY, "--context-window", str(WINDOW)]
    sim = subprocess.Popen(
        [sys.argv[1], *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        base_url = re.search(r'api_base = "(.*)"', sim.stdout.readline())[1]
        client = openai.OpenAI(
            base_url=base_url, api_key=KEY, max_retries=0, timeout=20
        )
        for check in CHECKS:
            check(client)
            print(f"ok: {check.__name__}")
    finally:
        sim.terminate()
        sim.wait()


main()
