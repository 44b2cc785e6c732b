#!/usr/bin/env python3
"""Writes validation.jsonl.gz and profile_body.jsonl.gz: request bodies, and what FastAPI
and pydantic make of them.

The two apps below have the schemas and the error handler of the peer's /v1/score and
/start_profile, written from the contract's description. Each line is {"body": base64,
"type": content type or null, "status": …, "answer": …}; of an accepted body the answer is
the fields as coerced. Each character of a content type stands for one byte.

Needs CPython 3.12 and
    pip install fastapi==0.116.1 pydantic==2.11.10 orjson==3.11.4
usage: validation.py [bodies of the random mix; the committed files have the default, a
hunt for faults takes 30000]
"""

import asyncio
import base64
import dataclasses
import gzip
import io
import itertools
import json
import math
import os
import random
import sys
import unicodedata

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import ORJSONResponse, Response
from pydantic import BaseModel, TypeAdapter, ValidationError

assert sys.version_info[:2] == (3, 12), "JSON error texts differ between Pythons"
random.seed(20261125)


class ScoreBody(BaseModel):
    query: str | list[int] | None = None
    items: str | list[str] | list[list[int]] | None = None
    label_token_ids: list[int] | None = None
    apply_softmax: bool = False
    item_first: bool = False
    model: str


@dataclasses.dataclass
class ProfileReqInput:
    output_dir: str | None = None
    start_step: int | None = None
    num_steps: int | None = None
    host_tracer_level: int | None = None
    python_tracer_level: int | None = None
    stage_id: int | None = None
    profile_by_stage: bool | None = False
    profile_stages: list[str] | None = None


app = FastAPI()


@app.exception_handler(RequestValidationError)
async def refuse(_: Request, exc: RequestValidationError):
    text, errors = str(exc), str(exc.errors())
    message = text if errors == text else f"{text} {errors}"
    return ORJSONResponse({"object": "error", "message": message, "type": "Bad Request", "param": None, "code": 400}, status_code=400)


async def only_json(request: Request):
    if request.headers.get("content-type", "").lower().split(";")[0] != "application/json":
        raise RequestValidationError(errors=[{"loc": ["header", "content-type"], "msg": "Unsupported Media Type: Only 'application/json' is allowed", "type": "value_error"}])


@app.post("/score", dependencies=[Depends(only_json)])
async def score(body: ScoreBody):
    return Response(json.dumps(body.__dict__))


@app.post("/profile")
async def profile(body: ProfileReqInput | None = None):
    return Response(json.dumps(dataclasses.asdict(body or ProfileReqInput())))


def ask(path: str, content_type: str | None, body: bytes) -> tuple[int, str]:
    """Calls the app as a server would, with no client in between that tidies headers
    up."""
    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": path, "raw_path": path.encode(),
             "query_string": b"", "root_path": "", "headers": headers, "client": ("c", 1), "server": ("s", 80)}
    sent, status = [], 0

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            sent.append(message.get("body", b""))

    asyncio.run(app(scope, receive, send))
    return status, b"".join(sent).decode("utf-8")


NUMBERS = ["0", "1", "-1", "7", "151643", "151669", "1.0", "0.0", "-0.0", "1e0", "1e3", "2.5", "1.5", "-1.5", "1e18", "9.3e18", "1e19", "-1e19", "1e30", "1e308", "1e309", "-1e309", "1e-400", "5e-324",
           "NaN", "Infinity", "-Infinity", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616", "1" * 40, "-" + "9" * 400,
           "1" * 4300, "9007199254740993", "9007199254740993.0", "9223372036854774784.0", "9223372036854775807.0", "-9223372036854775808.0", "0.1", "100000000000000000000.0"]
DIGITS = ["0", "1", "7", "9454", "-3", "+7", "007", "-0", "+0", "00", "1_000", "1__0", "_1", "1_", "1_0_0", "0_7", "-1_0", "1.0", "1.00", "1.", ".0", "1.0_0", "1_0.0", "-1.0", "+1.0", "1.5", "1e3", "1E3", "0x10", "0b1", "0o7", "", "-", "+",
          "--1", "+-1", "1 0", "- 1", "١", "1١", "²", "1²", "１", "٣.٠", "a", "1a", "inf", "nan", "1" * 4300, "1" * 4301, "-" + "1" * 4300, "0" * 5000 + "1", "9223372036854775808", "-9223372036854775809", "1,000", "1'000", "1.0.0", "1.0e0", "\x00", "1\x00", "True"]
TRUTHS = ["true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0", "TRUE", "False", "tRuE", "YES", "oN", "OFF", "", "2", "-1", "maybe", "truee", "tru", " true", "true ", "\ttrue", "1.0", "0.0", "01", "+1", "ｔrue", "ſ", "no\u0307", "ON\u00a0", "ｙ", "K", "yeſ", "oﬀ"]
TEXTS = ["", "a", "it's", 'say "hi"', "a'b\"c", "\n", "\x00", "é", "e\u0301", "\u200b", "😀", "\ud800", "x\udc00y", "<|im_end|>", "ñ" * 40, "\\", "{}"]
FOLDS = {"t": "ｔＴţ†", "r": "ｒ", "u": "ｕ", "e": "ｅé", "f": "ｆﬀ", "a": "ａ", "l": "ｌ", "s": "ſｓ", "n": "ｎⁿ", "o": "ｏοº", "y": "ｙÿ", "1": "¹１①١", "0": "０⁰٠O"}
# What some language somewhere takes for a blank.
BLANKS = [c for c in map(chr, range(0x110000)) if c.isspace() or c < "!" or unicodedata.category(c) in ("Zs", "Zl", "Zp")] + list("\x7f\u180e\u200b\u200c\u200d\u2060\ufeff")
FIELDS = ["query", "items", "label_token_ids", "apply_softmax", "item_first", "model"]
PROFILE = [f.name for f in dataclasses.fields(ProfileReqInput)]


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=random.random() < 0.7 or any(0xD800 <= ord(c) < 0xE000 for c in text))


def is_integer(text: str) -> bool:
    try:
        TypeAdapter(int).validate_python(text)
    except ValidationError:
        return False
    return True


def integer_text() -> str:
    return "".join(random.choice(["0", "00", "1", "7", "23", "_", "_", "__", "+", "-", ".", ".0", ".00", "e", " ", "\t", "\xa0", "٣", "9" * 19]) for _ in range(random.randrange(1, 7)))


def truth_text() -> str:
    letters = [c.upper() if random.random() < 0.5 else c for c in random.choice(["true", "t", "yes", "y", "on", "1", "false", "f", "no", "n", "off", "0"])]
    if random.random() < 0.5:
        at = random.randrange(len(letters))
        letters[at] = random.choice(FOLDS[letters[at].lower()])
    return "".join(letters)


def float_text() -> str:
    exact = math.ldexp(random.choice([1, -1]), random.choice([0, 1, 31, 32, 52, 53, 62, 63, 64, 1023, -1, -1074]))
    near = random.choice([exact, math.nextafter(exact, math.inf), math.nextafter(exact, -math.inf)])
    return random.choice([repr(near), "%.20e" % near, "%.3f" % near if abs(near) < 1e300 else repr(near)]).replace("inf", "1e999")


def mutated_type() -> str:
    text = random.choice([t for t in TYPES if t])
    for _ in range(random.randrange(1, 3)):
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(["", " ", "\t", "/", ";", ",", "+", "=", '"', "x", "J", "\xa0", "\x85", "\xc4\xb0", "\xc2\xa0", "+json", "\xff"]) + text[at + random.randrange(2):]
    return text


def scalar() -> str:
    kind = random.randrange(9)
    if kind == 6:
        return quoted(integer_text())
    if kind == 7:
        return quoted(truth_text())
    if kind == 8:
        return float_text()
    if kind == 0:
        return random.choice(["null", "true", "false", "[]", "{}"])
    if kind in (1, 2):
        return random.choice(NUMBERS)
    if kind == 3:
        return quoted(random.choice(TEXTS))
    if kind == 4:
        return quoted(random.choice(DIGITS + TRUTHS))
    b = random.choice(BLANKS)
    return quoted(random.choice([b + "7", "7" + b, b + "1.0" + b, b, b + "true"]))


def value(depth: int = 0) -> str:
    kind = random.randrange(10)
    if depth > 3 or kind < 4:
        return scalar()
    if kind < 9:
        same = [scalar() for _ in range(random.randrange(4))] if kind < 7 else [value(depth + 1) for _ in range(random.randrange(4))]
        return "[" + ",".join(same) + "]"
    return "{" + ",".join(quoted(random.choice(["a", "query", "it's", ""])) + ":" + value(depth + 1) for _ in range(random.randrange(3))) + "}"


def sound(field: str) -> str:
    ints = lambda: "[" + ",".join(random.choice(["1", "2.0", '"3"', "true", "9454", '" 7 "', "1e2"]) for _ in range(random.randrange(4))) + "]"
    strings = lambda: "[" + ",".join(quoted(random.choice(TEXTS)) for _ in range(random.randrange(4))) + "]"
    if field == "query":
        return random.choice([quoted(random.choice(TEXTS)), ints(), '["1","2"]', "null"])
    if field == "items":
        return random.choice([quoted("a"), strings(), "[" + ",".join(ints() for _ in range(random.randrange(3))) + "]", '[["1"],[2.0]]', "[]", "null", '["1","2"]'])
    if field in ("label_token_ids",):
        return random.choice([ints(), "null", "[]"])
    if field in ("apply_softmax", "item_first", "profile_by_stage"):
        return random.choice(["true", "false", "1", "0.0", '"yes"', '"OFF"'])
    if field in ("model", "output_dir"):
        return quoted(random.choice(TEXTS))
    if field == "profile_stages":
        return random.choice(['["prefill"]', '["prefill","decode"]', "[]", "null"])
    return random.choice(["1", '"5"', "null", "0", "2.0", "true"])


def document(fields: list[str]) -> str:
    parts = []
    for field in random.sample(fields, random.randrange(len(fields) + 1)) + [random.choice(fields)] * (random.random() < 0.1):
        parts.append(quoted(field) + ":" + (sound(field) if random.random() < 0.6 else value()))
    if random.random() < 0.2:
        parts.append('"unknown":' + value())
    if random.random() < 0.6 and "model" in fields:
        parts.append('"model":"m"')
    return "{" + random.choice(["", " "]) + random.choice([",", ", ", " ,\n"]).join(parts) + "}"


def damaged(text: str) -> str:
    at = random.randrange(len(text) + 1)
    return random.choice([text[:at], text[:at] + random.choice('{}[],:"\\x0-.e \n\x00') + text[at:], text[:at] + text[at + 1:]])


TYPES = [None, "", "application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=latin-1", "application/json ;x", " application/json", "application/json,", "application/vnd.api+json",
         "application/problem+json; a=b", "text/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/jsonx", "application", "application/", "/json", "json", "application/json/x",
         "APPLICATION/X+JSON", "application/+json", "text/x+json", "application/json;", "application /json", "application/json\t", "application/x+json ; q", ";application/json", "application/json; charset=\"utf", "\xe9/json", "*/*"]


def cases(fields: list[str], every: int, mixed: int):
    one = lambda field, v: "{" + quoted(field) + ":" + v + ('' if field == "model" or "model" not in fields else ',"model":"m"') + "}"
    for field in fields:
        for v in ["null", "true", "false", "[]", "{}", '[[]]', '[{}]', '[null]', '[[null]]', '["a",[1]]', '[[1],"a"]', '[1,"a"]', '[[1,"x"],[true]]', '[[["1"]]]', '{"a":1}'] + NUMBERS + [quoted(t) for t in TEXTS + TRUTHS + DIGITS]:
            yield one(field, v)
    for v in NUMBERS + [quoted(t) for t in DIGITS + TEXTS] + [quoted(b + "7" + b) for b in BLANKS] + [quoted("7" + b) for b in BLANKS] + ["true", "false", "null", "[]", "{}", "[1]"]:
        for field, shape in [("query", "[%s]"), ("items", "[[%s]]"), ("label_token_ids", "[1,%s]"), ("num_steps", "%s"), ("start_step", "%s")]:
            if field in fields and random.randrange(every) == 0:
                yield one(field, shape % v)
    for text in ["", " ", "null", "true", "false", "5", "-1.5", '"x"', "[]", "[1,2]", "{}", "nul", "{", "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "[" * 100000, "1" * 4301]:
        yield text
    if "label_token_ids" in fields:  # every short text of what a numeral may hold
        ones = ["1" * 4299, "1" * 4300, "1" * 4301]
        for before, after in itertools.product(["", "+", "-", "0", "-0", "-0_", "0-", "0_-", " "], ["", ".0", "_0", "_", ".", " ", "x"]):
            yield one("label_token_ids", json.dumps([before + digits + after for digits in ones]))
            yield one("label_token_ids", json.dumps([before + digits + after for digits in ones if is_integer(before + digits + after)]))
        for n in range(1, 6):
            texts = ["".join(t) for t in itertools.product("01_-+.", repeat=n)]
            for at in range(0, len(texts), 64):
                yield one("label_token_ids", json.dumps(texts[at:at + 64]))
                yield one("label_token_ids", json.dumps([t for t in texts[at:at + 64] if is_integer(t)]))
    for shape in ["[%s]", '{"a":%s}'] * 20:
        text = "1"
        for _ in range(random.randrange(400)):
            text = shape % text
        yield one("unknown", text)
    for _ in range(mixed):
        text = document(fields)
        yield text if random.random() < 0.85 else damaged(text)


def write(name: str, path: str, fields: list[str], every: int, mixed: int) -> None:
    lines, seen = [], set()
    for text in cases(fields, every, mixed):
        body = text.encode("utf-8", "surrogatepass")
        if random.random() < 0.02:
            body = text.encode(random.choice(["utf-8-sig", "utf-16", "utf-32-le", "utf-16-be", "latin-1"]), "replace")
        if random.random() < 0.01 and body:
            at = random.randrange(len(body))
            body = body[:at] + random.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00"]) + body[at:]
        content_type = "application/json" if random.random() < 0.85 else random.choice([random.choice(TYPES), mutated_type()])
        if (body, content_type) in seen:
            continue
        seen.add((body, content_type))
        status, answer = ask(path, content_type, body)
        lines.append(json.dumps({"body": base64.b64encode(body).decode(), "type": content_type, "status": status, "answer": answer}))
    data = ("\n".join(lines) + "\n").encode()
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as f:
        f.write(data)
    with open(name, "wb") as f:
        f.write(out.getvalue())
    print(name, len(lines), "lines", len(out.getvalue()), "bytes")


if __name__ == "__main__":
    mixed = int(sys.argv[1]) if len(sys.argv) > 1 else 4200
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    write("validation.jsonl.gz", "/score", FIELDS, 1, mixed)
    write("profile_body.jsonl.gz", "/profile", PROFILE, 2, mixed // 6)
