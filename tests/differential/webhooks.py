"""Webhooks: this core beside OpenSSL (`cryptography`, `hashlib`) and a plain
reading of the platform's pages.

First what is encrypted, alone: whole, damaged, or padded wrongly. Then whole
requests: who signed what with which secret, and when.
"""

import base64
import hashlib
import json
import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from common import Verdict, arguments, ask

BLOCK = 16
NOW_MS = 1_772_445_600_000
OLDEST, AHEAD = 12 * 3600, 5 * 60
# Around a block, and around the piece that is decoded at once.
LENGTHS = [0, 1, 14, 15, 16, 17, 31, 32, 33, 735, 736, 751, 752, 753, 767, 768, 769, 1503, 1504, 3000]
SECRETS = ["k", "test key", "密钥", "a" * 64, "\N{GRINNING FACE}" * 64, " ", "x" * 256]


def cbc(key, iv):
    return Cipher(algorithms.AES(hashlib.sha256(key.encode()).digest()), modes.CBC(iv))


def encrypt(random, key, padded):
    iv = random.randbytes(BLOCK)
    worker = cbc(key, iv).encryptor()
    return iv + worker.update(padded) + worker.finalize()


def pad(plain):
    padder = PKCS7(8 * BLOCK).padder()
    return padder.update(plain) + padder.finalize()


def is_base64(text):
    """By RFC 4648, with padding."""
    return len(text) % 4 == 0 and bool(re.fullmatch("[A-Za-z0-9+/]*={0,2}", text))


def decrypt(key, text):
    """The plaintext, or None."""
    if not is_base64(text):
        return None
    sealed = base64.b64decode(text)
    if len(sealed) < 2 * BLOCK or len(sealed) % BLOCK:
        return None
    worker = cbc(key, sealed[:BLOCK]).decryptor()
    unpadder = PKCS7(8 * BLOCK).unpadder()
    try:
        plain = worker.update(sealed[BLOCK:]) + worker.finalize()
        return unpadder.update(plain) + unpadder.finalize()
    except ValueError:
        return None


def has_stray_bits(text):
    """Whether nothing but bits that belong to no byte is wrong with the base64."""
    return is_base64(text) and base64.b64encode(base64.b64decode(text)).decode() != text


def badly_padded(random):
    """Blocks that end in anything but padding, or in a strange one."""
    blocks = random.randbytes(BLOCK * random.choice([1, 2, 48]))
    last = random.choice([0, 1, 2, 15, 16, 17, 32, 255])
    end = bytes([last]) * random.choice([1, 2, max(last - 1, 1), last, last + 1])
    return (blocks + end)[-len(blocks):]


def spoiled(random, text):
    """Base64 that somebody got wrong."""
    at = random.randrange(len(text) + 1)
    return random.choice([
        text[:at],
        text[at:],
        text.rstrip("="),
        text + "=",
        text + "====",
        text[:at] + random.choice("\n =-_*é\0\\\"") + text[at:],
        text.replace("+", "-").replace("/", "_"),
        re.sub(".(=*)$", lambda end: random.choice("ABQgwz") + end[1], text),
        text + text,
        "",
        base64.b64encode(random.randbytes(random.choice([1, 15, 16, 31, 33]))).decode(),
    ])


def sealed(random):
    """A question about decryption alone."""
    key = random.choice(SECRETS)
    padded = badly_padded(random) if random.random() < 0.2 else pad(random.randbytes(random.choice(LENGTHS)))
    bytes_ = bytearray(encrypt(random, key, padded))
    if random.random() < 0.2:
        bytes_[random.randrange(len(bytes_))] ^= 1 << random.randrange(8)
    if random.random() < 0.1:
        del bytes_[-random.choice([1, 15, 16]):]
    text = base64.b64encode(bytes_).decode()
    if random.random() < 0.3:
        text = spoiled(random, text)
    if random.random() < 0.1:
        key = random.choice(SECRETS)
    body = json.dumps({"encrypt": text}, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.2:
        body = body.replace("/", "\\/")
    if random.random() < 0.1:
        body = body.replace("A", "\\u0041")
    return {"key": key, "body": body, "text": text}


def compare_decryption(verdict, question, ours):
    plain = decrypt(question["key"], question["text"])
    expected = {"error": "Malformed"} if plain is None else {"plain": plain.hex()}
    if ours == expected:
        verdict.agree()
    elif plain is not None and has_stray_bits(question["text"]):
        verdict.differ("base64-with-stray-bits", question, ours)
    else:
        verdict.differ("decryption", question, expected, ours)


def document(random, token):
    """What a request says, as JSON or as something else."""
    given = token if random.random() < 0.8 else random.choice(["", "other", None, 1, token and token.upper()])
    card = {"open_id": "ou_1", "token": "c-1", "action": random.choice([{}, {"value": {"k": 1}}, "x"])}
    event = {"schema": "2.0", "header": {"event_id": "e", "token": given, "event_type": "x"}, "event": {}}
    check = {"type": "url_verification", "token": given, "challenge": random.choice(["c", "\"\\ 换\n", 1])}
    said = random.choice([
        event,
        event,
        {"uuid": "u", "token": given, "type": "event_callback", "event": {"type": "message"}},
        check,
        check,
        card,
        {**card, "event": {}},
        {**check, **card, "token": given},
        {**event, **check},
        {"token": given},
        [1],
        {},
    ])
    text = json.dumps(said, indent=random.choice([None, None, 1]), ensure_ascii=random.random() < 0.5)
    text = random.choice([text] * 12 + [text[:-1], "hello", " " + text + "\n", ""])
    return text.encode()


def request(random):
    token = random.choice([None, "t", "密", "x" * 256])
    key = random.choice([None, *SECRETS])
    body = document(random, token)
    if random.random() < (0.85 if key else 0.1):
        used = key if key and random.random() < 0.95 else random.choice(SECRETS)
        text = base64.b64encode(encrypt(random, used, pad(body))).decode()
        if random.random() < 0.1:
            text = spoiled(random, text)
        body = json.dumps({"encrypt": text}, indent=random.choice([None, 4])).encode()
        if random.random() < 0.02:
            body = random.choice([b'{"encrypt":1}', b'{"encrypt":null}', b'{"encrypt":', b'{"encrypt":""}'])
    age = random.choice([0, 1, OLDEST - 1, OLDEST, OLDEST + 1, -AHEAD, -AHEAD - 1, 10**6])
    timestamp = str(NOW_MS // 1000 - age)
    if random.random() < 0.05:
        timestamp = random.choice(["", "x", "1e9", " 1772445600", "+1772445600", "-1", "9" * 18, "9" * 19, "9" * 30])
    nonce = random.choice(["n", "", "随机", "0" * 40])
    digest, secret = random.choice([("sha256", key), ("sha256", key), ("sha1", token), ("sha256", token), ("md5", key)])
    signature = hashlib.new(digest, (timestamp + nonce + (secret or "")).encode() + body).hexdigest()
    if random.random() < 0.2:
        signature = random.choice([signature.upper(), signature[:-1], signature[:-2], signature + "00", "", "zz" * 32,
                                   "0" + signature[1:], "é" * 32])
    asked = {
        "token": token,
        "key": key,
        "now_ms": NOW_MS,
        "timestamp": timestamp,
        "nonce": nonce,
        "signature": signature,
    }
    if random.random() < 0.15:
        asked[random.choice(["timestamp", "nonce", "signature"])] = None
    if random.random() < 0.05:
        body += random.choice([b" ", b"\n"])
    return {**asked, "body": body.hex()}


class Plainly:
    """The order of checks of the platform's pages, without any cleverness."""

    def __init__(self, asked):
        self.asked = asked
        self.token, self.key = asked["token"], asked["key"]
        self.body = bytes.fromhex(asked["body"])
        self.has_stray_bits = False

    def verdict(self):
        outer = self.read(self.body)
        if outer is None:
            return {"error": "NotJson"}
        text = outer[0].get("encrypt") if isinstance(outer[0], dict) else None
        text = text if isinstance(text, str) else None
        self.has_stray_bits = text is not None and has_stray_bits(text)
        if not self.key:
            return {"error": "KeyMissing"} if text is not None else self.plain(outer[0])
        if text is None:
            if self.token and self.is_old_card(outer[0]):
                return self.plain(outer[0])
            return {"error": "NotEncrypted"}
        unsigned = self.unsigned("sha256", self.key)
        inner_bytes = decrypt(self.key, text)
        inner = None if inner_bytes is None else self.read(inner_bytes)
        if inner and (not unsigned or self.challenge(inner[0]) is not None):
            return self.judge(inner[0], inner_bytes)
        return {"error": unsigned or ("Undecryptable" if inner_bytes is None else "NotJson")}

    def plain(self, said):
        if not self.is_old_card(said):
            return self.judge(said, self.body)
        unsigned = self.token and self.unsigned("sha1", self.token)
        return {"error": unsigned} if unsigned else {"event": self.body.strip().hex()}

    def judge(self, said, text):
        members = said if isinstance(said, dict) else {}
        header = members.get("header")
        token = (header if isinstance(header, dict) else members).get("token")
        if self.token and token != self.token:
            return {"error": "InvalidToken"}
        challenge = self.challenge(said)
        if challenge is None:
            return {"event": text.strip().hex()}
        return {"challenge": challenge}

    def unsigned(self, digest, secret):
        """Why the signature is none, or None."""
        timestamp, nonce, given = (self.asked[name] for name in ("timestamp", "nonce", "signature"))
        if timestamp is None or nonce is None or given is None:
            return "MissingSignature"
        expected = hashlib.new(digest, (timestamp + nonce + secret).encode() + self.body).hexdigest()
        if given.lower() != expected:
            return "BadSignature"
        if not re.fullmatch("[+-]?[0-9]{1,18}", timestamp):
            return "Stale"
        age_ms = NOW_MS - int(timestamp) * 1000
        return None if -AHEAD * 1000 <= age_ms <= OLDEST * 1000 else "Stale"

    @staticmethod
    def read(text):
        """The document in a tuple, so that JSON's null is one."""
        try:
            return (json.loads(text.decode()),)
        except ValueError:
            return None

    @staticmethod
    def is_old_card(said):
        return (isinstance(said, dict) and isinstance(said.get("action"), dict)
                and "header" not in said and "event" not in said)

    @staticmethod
    def challenge(said):
        if not isinstance(said, dict) or isinstance(said.get("header"), dict):
            return None
        challenge = said.get("challenge")
        return challenge if said.get("type") == "url_verification" and isinstance(challenge, str) else None


def compare_request(verdict, asked, ours):
    plainly = Plainly(asked)
    expected = plainly.verdict()
    if "challenge" in ours:
        answer = json.loads(bytes.fromhex(ours["challenge"]))
        ours = {"challenge": answer.get("challenge")} if len(answer) == 1 else answer
    if ours == expected:
        verdict.agree()
    elif plainly.has_stray_bits:
        verdict.differ("base64-with-stray-bits", asked, ours)
    else:
        verdict.differ("request", asked, expected, ours)


def main():
    chosen = arguments(40_000)
    verdict = Verdict("webhooks", chosen.seed)
    for mode, make, compare in (("decrypt", sealed, compare_decryption), ("requests", request, compare_request)):
        questions = [make(chosen.random) for _ in range(chosen.cases)]
        for question, ours in zip(questions, ask(chosen.subject, mode, questions)):
            compare(verdict, question, ours)
    verdict.end()


if __name__ == "__main__":
    main()
