# /// script
# requires-python = ">=3.10"
# dependencies = ["tokenizers==0.22.2"]
# ///
"""Writes the tokenizer vectors: hard texts and the ids that Hugging Face tokenizers gives
for them.

usage: uv run generate.py <Qwen3 tokenizer.json>      (or: pip install tokenizers==0.22.2;
python generate.py ...)

Output, beside this script: qwen3.jsonl.gz for Qwen3, and for what Qwen3 does not use
(tokens around the text, added tokens that take spaces, truncation, padding)
small/tokenizer.json with small/vectors.jsonl.

The first line of a vector file says what made it. Each other line is one text:
  category  its kind
  text      the text, or
  parts     [text, times] pairs: the text is all of them, each repeated, one after the other
  ids       tokenizer(text)["input_ids"]
  plain     the same with split_special_tokens=True; absent if equal to ids
Long lists of ids are given as {"count": n, "sha256": of the ids as little-endian int32}.
"""

import gzip
import hashlib
import json
import struct
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from texts import SEED, all_texts, small_texts

HERE = Path(__file__).parent
VERSION = "0.22.2"
LONGEST = 1000  # ids that are still written out


def ids_of(encoder, text):
    ids = encoder.encode(text).ids
    if len(ids) <= LONGEST:
        return ids
    return {"count": len(ids), "sha256": hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()}


def vectors(raw, named_texts):
    """The lines of a vector file for the tokenizer.json in raw."""
    ordinary, plain = Tokenizer.from_str(raw.decode()), Tokenizer.from_str(raw.decode())
    plain.encode_special_tokens = True
    for encoder in ordinary, plain:  # as transformers does for a call that asks for neither
        encoder.no_truncation()
        encoder.no_padding()
    yield {"tokenizers": tokenizers.__version__, "tokenizer_sha256": hashlib.sha256(raw).hexdigest(), "seed": SEED}
    for category, text in named_texts:
        parts = text if isinstance(text, list) else [[text, 1]]
        whole = "".join(part * times for part, times in parts)
        line = {"category": category}
        line |= {"parts": parts} if isinstance(text, list) else {"text": text}
        line["ids"] = ids_of(ordinary, whole)
        if (other := ids_of(plain, whole)) != line["ids"]:
            line["plain"] = other
        yield line


def written(lines):
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()


def small_tokenizer():
    """Byte-level BPE with a few merges, a BOS token, and every kind of added token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "hello"), ("Ā", "Ā"), ("Ā", "a")]
    words = alphabet + [a + b for a, b in merges]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.add_tokens([
        AddedToken("<left>", lstrip=True, normalized=False),
        AddedToken("<right>", rstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("<normal>", normalized=True),
    ])
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
    tokenizer.enable_truncation(max_length=4)
    tokenizer.enable_padding(length=16, pad_id=bos, pad_token="<s>")
    return (tokenizer.to_str(pretty=True) + "\n").encode()


def main():
    if tokenizers.__version__ != VERSION:
        sys.exit(f"generate.py: tokenizers {VERSION} is needed, this is {tokenizers.__version__}")
    qwen3 = Path(sys.argv[1]).read_bytes()
    with gzip.GzipFile(HERE / "qwen3.jsonl.gz", "wb", mtime=0) as out:
        out.write(written(vectors(qwen3, all_texts())))
    small = small_tokenizer()
    (HERE / "small/tokenizer.json").write_bytes(small)
    (HERE / "small/vectors.jsonl").write_bytes(written(vectors(small, small_texts())))


if __name__ == "__main__":
    main()
