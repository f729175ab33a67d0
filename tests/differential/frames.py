"""Frames: this core beside the frame class of the official Python client.

Frames are made by the official class or by hand, some are damaged, and both
sides read them. What both read must mean the same and be written the same; the
acknowledgement must be the received frame with one header and another payload.
"""

from lark_oapi.ws.pb.google.protobuf.message import DecodeError
from lark_oapi.ws.pb.pbbp2_pb2 import Frame

from common import Verdict, arguments, ask

TEXTS = ["", "type", "event", "card", "ping", "pong", "sum", "seq", "message_id", "1", "0", "trace_id",
         "日本", "\N{GRINNING FACE}", "\0", "a" * 127, "b" * 128, "ü" * 200]
NUMBERS = [0, 1, 2, 127, 128, 2**31 - 1, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, wire, content=b""):
    length = varint(len(content)) if wire == 2 else b""
    return varint(number << 3 | wire) + length + content


class Maker:
    def __init__(self, random):
        self.random = random

    def message(self):
        """The bytes of a frame, whole or not."""
        damage = self.random.choices(
            [self.whole, self.shuffled, self.patched, self.edited, self.noise], [40, 20, 20, 17, 3]
        )[0]
        return damage()

    def whole(self):
        frame, random = Frame(), self.random
        frame.SeqID, frame.LogID = random.choice(NUMBERS), random.getrandbits(64)
        frame.service = random.choice([0, 1, -1, 33554678, 2**31 - 1, -(2**31)])
        frame.method = random.choices([0, 1, 2, -1], [2, 12, 1, 1])[0]
        if random.random() < 0.8:
            frame.headers.add(key="type", value=random.choices(["event", "card", "pong", "x"], [8, 2, 1, 1])[0])
        for _ in range(random.choice([0, 1, 2, 6])):
            frame.headers.add(key=random.choice(TEXTS), value=random.choice(TEXTS))
        if random.random() < 0.7:
            frame.payload = random.randbytes(random.choice([0, 1, 127, 128, 1200]))
        if random.random() < 0.2:
            frame.payload_encoding = random.choice(["", "gzip", "br"])
        for name in ("payload_type", "LogIDNew"):
            if random.random() < 0.3:
                setattr(frame, name, random.choice(TEXTS))
        return frame.SerializeToString()

    def fields(self):
        """A whole frame, cut into its fields."""
        message, at, out = self.whole(), 0, []
        while at < len(message):
            start, tag = at, message[at]
            at += 1
            if tag & 7 == 0:
                while message[at] & 0x80:
                    at += 1
                at += 1
            else:
                length = shift = 0
                while True:
                    byte = message[at]
                    at += 1
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                at += length
            out.append(message[start:at])
        return out

    def shuffled(self):
        """Any order, fields twice, fields missing."""
        fields, random = self.fields(), self.random
        if random.random() < 0.5:
            random.shuffle(fields)
        if random.random() < 0.5:
            fields.insert(random.randrange(len(fields) + 1), random.choice(fields))
        if random.random() < 0.2:
            fields.pop(random.randrange(len(fields)))
        return b"".join(fields)

    def patched(self):
        """A field more, of a kind that clients do not send."""
        fields, random = self.fields(), self.random
        text, number = random.choice(TEXTS).encode(), random.choice([10, 15, 16, 2047, 2**29 - 1])
        header = field(1, 2, b"k") + field(2, 2, text)
        group = field(10, 0) + b"\1" + field(1, 2, text)
        more = random.choice([
            field(number, 2, text),
            field(number, 0) + varint(random.choice(NUMBERS)),
            field(number, 1) + random.randbytes(8),
            field(number, 5) + random.randbytes(4),
            field(number, 3) + group + field(number, 4),
            field(number, 3) + group + field(11, 4),
            field(number, 3) * 3 + field(number, 4) * random.choice([2, 3]),
            field(12, 3) * 20 + field(12, 4) * 20,
            field(number, 4),
            field(0, 2, text),
            field(2**29, 0) + b"\0",
            field(number, 6),
            field(5, 2, header + field(3, 2, text)),
            field(5, 2, field(2, 2, text) + field(1, 2, b"k") + field(1, 2, b"l")),
            field(5, 2, field(1, 2, b"k")),
            field(5, 2, field(1, 0) + b"\1" + header),
            field(5, 2, field(1, 2, b"\xff") + field(2, 2)),
            field(6, 2, b"\xed\xa0\x80"),
            field(1, 5) + bytes(4),
            field(8, 0) + b"\5",
            field(3, 0) + varint(random.choice(NUMBERS)),
            field(4, 0) + varint(2**64 - 1),
            field(2, 0) + b"\x81" + b"\x80" * random.choice([7, 8, 9, 10]) + b"\0",
            field(2, 0) + b"\xff" * 9 + bytes([random.choice([0, 1, 2, 0x7F])]),
            b"\x88\x00\x07",
            b"\xc2\x00" + varint(len(text)) + text,
            field(8, 2, b"x")[:-1],
        ])
        fields.insert(random.randrange(len(fields) + 1), more)
        if random.random() < 0.2:
            random.shuffle(fields)
        return b"".join(fields)

    def edited(self):
        """Bytes changed, taken out, put in, or cut off."""
        message, random = bytearray(self.whole()), self.random
        for _ in range(random.choice([1, 1, 2, 4])):
            at = random.randrange(len(message) + 1)
            how = random.randrange(4)
            if how == 0:
                message[at:at + 1] = random.randbytes(1)
            elif how == 1:
                message[at:at] = random.randbytes(random.choice([1, 2]))
            elif how == 2:
                del message[at:at + random.choice([1, 2, 8])]
            elif random.random() < 0.3:
                del message[at:]
        return bytes(message)

    def noise(self):
        return self.random.randbytes(self.random.choice([0, 1, 2, 8, 40]))


def top_fields(message):
    """(field number, length of its tag, content) of what stands side by side;
    ends where the message breaks."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    try:
        while at < len(message):
            start = at
            tag = number()
            tag_length, content = at - start, b""
            if tag & 7 == 0:
                number()
            elif tag & 7 == 1:
                at += 8
            elif tag & 7 == 2:
                length = number()
                content = message[at:at + length]
                at += length
            elif tag & 7 == 5:
                at += 4
            yield tag >> 3, tag_length, content
    except IndexError:
        return


def has_long_tag(message):
    """Whether a tag takes more bytes than it needs."""
    return any(
        tag_length > len(varint(number << 3)) or number == 5 and has_long_tag(content)
        for number, tag_length, content in top_fields(message)
    )


def theirs(message):
    """The frame as the official class reads it; None if it is none, or if it
    could not be written again because a required field is missing."""
    frame = Frame()
    try:
        frame.ParseFromString(message)
    except (DecodeError, UnicodeDecodeError):
        return None
    return frame if frame.IsInitialized() else None


def known(frame):
    """The bytes of a frame without the fields that its class does not know."""
    copy = Frame()
    copy.CopyFrom(frame)
    copy.DiscardUnknownFields()
    return copy.SerializeToString()


def fields_of(frame):
    def optional(name):
        return getattr(frame, name) if frame.HasField(name) else None

    payload = optional("payload")
    return {
        "seq_id": frame.SeqID,
        "log_id": frame.LogID,
        "service": frame.service,
        "method": frame.method,
        "headers": [[header.key, header.value] for header in frame.headers],
        "payload_encoding": optional("payload_encoding"),
        "payload_type": optional("payload_type"),
        "payload": None if payload is None else payload.hex(),
        "log_id_new": optional("LogIDNew"),
        "canonical": known(frame).hex(),
    }


def compare(verdict, message, ours):
    frame = theirs(message)
    shown = message.hex()
    if frame is None and "error" in ours:
        return verdict.agree()
    if "error" in ours:
        return verdict.differ("we-refuse-" + ours["error"].lower(), shown)
    if has_long_tag(message):
        same = frame is not None and fields_of(frame).items() <= ours.items()
        return verdict.agree() if same else verdict.differ("tag-longer-than-needed", shown)
    if frame is None:
        return verdict.differ("we-accept", shown)
    expected = fields_of(frame)
    for name, value in expected.items():
        if ours[name] != value:
            return verdict.differ("field-" + name, shown, value, ours[name])
    verdict.agree()
    compare_ack(verdict, message, frame, ours)


def compare_ack(verdict, message, frame, ours):
    headers, ack = {}, ours["ack"]
    for header in frame.headers:
        headers.setdefault(header.key, header.value)
    pushed = frame.method == 1 and headers.get("type") in ("event", "card")
    if ack is None:
        # Parts are acknowledged together; what nobody can read, with a failure.
        whole = "sum" not in headers and "seq" not in headers
        if pushed and whole and frame.payload_encoding in ("", "gzip"):
            verdict.differ("not-delivered", message.hex())
        return
    if not pushed or ack["payload"] != frame.payload.hex():
        return verdict.differ("delivery", message.hex(), ack)
    frame.headers.add(key="biz_rt", value="0")
    frame.payload = b'{"code":200}'
    bytes_of_ours = bytes.fromhex(ack["bytes"])
    read = theirs(bytes_of_ours)
    if read is None or known(read) != known(frame):
        return verdict.differ("ack", message.hex(), ack["bytes"])
    if message == bytes.fromhex(ours["canonical"]) and bytes_of_ours != frame.SerializeToString():
        return verdict.differ("ack-bytes", message.hex(), ack["bytes"])
    if read.SerializeToString() != frame.SerializeToString():
        return verdict.differ("ack-without-unknown-fields", message.hex(), ack["bytes"])
    verdict.agree()


def main():
    chosen = arguments(20_000)
    maker = Maker(chosen.random)
    messages = [maker.message() for _ in range(chosen.cases)]
    answers = ask(chosen.subject, "frames", [{"message": message.hex()} for message in messages])
    verdict = Verdict("frames", chosen.seed)
    for message, ours in zip(messages, answers):
        compare(verdict, message, ours)
    verdict.end()


if __name__ == "__main__":
    main()
