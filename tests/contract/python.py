#!/usr/bin/env python3
"""Writes python.jsonl.gz: JSON texts, and what CPython's json.loads and repr make of
them. Standard library only.

Each line is {"body": base64 of a request body, "repr": …} or {"body": …, "error": text,
"pos": character} or {"body": …, "refused": true} where json.loads raises anything but
JSONDecodeError. Strings in "repr" with lone surrogates cannot occur: repr escapes them.
Characters that Unicode 14 and 15 disagree on are left out, so that any CPython from 3.11
to 3.12 writes the same file.
"""

import base64
import gzip
import io
import json
import random
import unicodedata

random.seed(20261125)

NUMBERS = ["0", "-0", "1", "-1", "00", "01", "-", "-a", "1.", "1.0", "-0.0", ".5", "1e5", "1E+5", "1e-5", "1e", "1e+", "1.5e300", "1e309", "-1e309", "1e-400",
           "123456789012345678901234567890", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "0.1", "0.0001", "0.00001", "1e16",
           "1e15", "123456789012345680.0", "9007199254740993", "5e-324", "1.7976931348623157e308", "NaN", "Infinity", "-Infinity", "nan", "Inf", "-NaN",
           "1" * 4300, "1" * 4301, "+1", "0x10", "1_000", "1e1_0", "١"]
SYNTAX = ["", " ", "\t\n\r ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[1 2]", "[,1]", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{'a':1}", '{a:1}',
          '{"a" 1}', '{"a":1 "b":2}', '{"a":1}}', "[1]]", "[1] x", "nul", "null", "nullx", "tru", "true", "false", "True", "None", '"', '"a', '"a\n"', '"\t"', '"\x00"',
          '"\x1f"', '"\x7f"', '"\\', '"\\"', '"\\x"', '"\\u"', '"\\u12"', '"\\u12g4"', '"\\uD83D\\uDE00"', '"\\ud83d"', '"\\ude00"', '"\\ud83dx"', '"\\ud83d\\u0041"',
          '"\\ud83d\\ud83d\\ude00"', '"\\u00e9"', '"\\/\\b\\f\\n\\r\\t\\\\"', '{"a":1,"a":2,"b":3,"a":4}', '{"":{}}', "[[[[]]]]", "{}", "[]", "é", '"é', '["é" x', '\u00a01',
          '1\u00a0', "//", "/* */1", "{\"a\":1,,}", "[1,,2]", "\u2028", '"\u2028"', "[" * 100 + "]" * 100, "[" * 100, '{"a":' * 50 + "1" + "}" * 50]
STRINGS = ["", "a", "'", '"', "'\"", "it's", 'say "hi"', "a'b\"c", "\\", "\\n", "\n", "\r\n", "\t", "\0", "\x07", "\x1b[0m", "\x7f", "\x80", "\xa0", "\xad", "é", "e\u0301",
           "\u200b", "\u200d", "\u2028", "\u3000", "\ufeff", "\ufffd", "\uffff", "\ue000", "\U0001f600", "\U000e0001", "\U0010ffff", "ก็", "한글", "ﷺ", "👩‍👩‍👧"]


def character() -> str:
    while True:
        c = chr(random.choice([random.randrange(0x80), random.randrange(0x800), random.randrange(0x10000), random.randrange(0x110000)]))
        # Unassigned in this Python may be assigned in the next; surrogates are written as
        # escapes.
        if unicodedata.category(c) not in ("Cn", "Cs"):
            return c


def value(depth: int):
    kind = random.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return random.choice([None, True, False])
    if kind == 1:
        return random.choice([random.randrange(-1000, 1000), random.randrange(-(10**random.randrange(1, 40)), 10**random.randrange(1, 40))])
    if kind == 2:
        return random.choice([random.uniform(-10, 10), random.uniform(0, 1) * 10.0 ** random.randrange(-320, 300), float(random.randrange(10**17))])
    if kind in (3, 4):
        return "".join(character() for _ in range(random.randrange(12)))
    if kind == 5:
        return random.choice(STRINGS)
    if kind in (6, 7):
        return [value(depth + 1) for _ in range(random.randrange(5))]
    return {random.choice(["a", "b", "it's", "".join(character() for _ in range(3))]): value(depth + 1) for _ in range(random.randrange(5))}


def damaged(text: str) -> str:
    at = random.randrange(len(text) + 1)
    return random.choice([text[:at], text[:at] + random.choice('{}[],:"\\x0-.e \n') + text[at:], text[:at] + text[at + 1:]])


def bodies():
    for text in NUMBERS + SYNTAX:
        yield text.encode("utf-8")
    for text in STRINGS:
        yield json.dumps(text).encode()
        yield json.dumps(text, ensure_ascii=False).encode()
    for _ in range(2000):
        text = json.dumps(value(0), ensure_ascii=random.random() < 0.3, indent=random.choice([None, None, 1]))
        yield text.encode("utf-8", "surrogatepass")
        yield damaged(text).encode("utf-8", "surrogatepass")
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        for text in ['{"a":"é😀"}', "1", "[1,2", '"\\ud800"']:
            yield text.encode(encoding)
    for raw in (b"\xff", b'"\xc3\x28"', b'"\xff"', b'"\xed\xa0\xbd"', b'"\xf8\x88\x80\x80\x80"', b'"\xc0\x80"', b"\xff\xfe1", b"\xfe\xff1", b"\x00\x00\xfe\xff1", b"1\x00", b"\x001", b"\x00", b"1\x00\x00"):
        yield raw


def expected(body: bytes) -> dict:
    try:
        return {"repr": repr(json.loads(body))}
    except json.JSONDecodeError as e:
        return {"error": e.msg, "pos": e.pos}
    except Exception:
        return {"refused": True}


lines = [json.dumps({"body": base64.b64encode(body).decode(), **expected(body)}) for body in bodies()]
buffer = io.BytesIO()
with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as out:
    out.write("\n".join(lines).encode())
with open("python.jsonl.gz", "wb") as out:
    out.write(buffer.getvalue())
print(len(lines), "bodies")
