"""The official Python client under load: its long connection, or its webhook
handler behind Flask, with a handler that does nothing.

usage: python python_subject.py link
       gunicorn … python_subject:application   (WSGI; BENCH_KEY for encrypted)

BENCH_PORT: the platform's port for link.
"""

import os
import sys

import lark_oapi as lark

TOKEN = "v1c5t0k3n0f32characters000000000"


def handler(key):
    return (
        lark.EventDispatcherHandler.builder(key, TOKEN, lark.LogLevel.ERROR)
        .register_p2_im_message_receive_v1(lambda event: None)
        .build()
    )


def flask_application():
    from flask import Flask
    from lark_oapi.adapter.flask import parse_req, parse_resp

    app, events = Flask(__name__), handler(os.environ.get("BENCH_KEY", ""))

    @app.post("/webhook/event")
    def event():
        return parse_resp(events.do(parse_req()))

    return app


if __name__ == "__main__":
    assert sys.argv[1:] == ["link"], __doc__
    lark.ws.Client(
        "cli_a1b2c3d4e5f60718",
        "secret",
        event_handler=handler(""),
        domain=f"http://127.0.0.1:{os.environ['BENCH_PORT']}",
        log_level=lark.LogLevel.ERROR,
    ).start()
else:
    application = flask_application()
