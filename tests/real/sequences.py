#!/usr/bin/env python3
"""Writes sequences.json: how likely transformers takes labels of several tokens to be
behind a prompt, in float64.

    sequences.py FOLDER

FOLDER is the checkpoint that `make real` makes: see record.py, which proves it. The file
holds {versions, requests}. A request is {name, query, items, labels, label_tokens,
tokens, logprobs}: the ids of each label by itself and of each item's prompt, and for each
item and label the sum of the log-probabilities of the label's ids, each behind the prompt
and the ids before it.
"""

import json
import pathlib
import platform
import sys

import torch
import transformers
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "golden"))

import record  # noqa: E402
import weights  # noqa: E402

QUESTION = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\nThe answer is"

REQUESTS = [
    {"name": "four choices", "query": "", "items": [QUESTION.format("What is the capital of France?")],
     "labels": [" the city of Paris.", " the city of London.", " the city of Rome.", " a kind of cheese."]},
    {"name": "items on a query", "query": "Each of these sentences is about one thing. ",
     "items": ["The gulls follow the boats to the pier.\nTopic:", "A dough that rises slowly tastes better.\nTopic:",
               "The mirror of the telescope is eight metres wide.\nTopic:"],
     "labels": [" Food and drink", " Animals", " Astronomy", " Food and drink, baking"]},
    {"name": "paths of a taxonomy", "query": "Product: ", "items": ["a 27 inch monitor\nCategory:", "a cotton shirt\nCategory:"],
     "labels": [" Electronics > Displays > Monitors", " Electronics > Displays > Projectors", " Electronics > Audio", " Clothing > Shirts"]},
    {"name": "other scripts", "query": "Translate into French: ", "items": ["Good morning! ->", "Where is the library? ->"],
     "labels": [" Bonjour !", " Où est la bibliothèque ?", " 图书馆在哪里？", " 🙂"]},
]  # fmt: skip


@torch.no_grad()
def logprob(reference: record.Reference, prompt: list[int], label: list[int]) -> float:
    with weights.float64():
        logits = reference.double(torch.tensor([prompt + label]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        return torch.log_softmax(logits, -1).gather(1, torch.tensor([label]).T).sum().item()


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    reference, words = record.Reference(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    requests = []
    for r in REQUESTS:
        tokens = [words.encode(r["query"] + item).ids for item in r["items"]]
        labels = [words.encode(label).ids for label in r["labels"]]
        logprobs = [record.rounded(logprob(reference, prompt, label) for label in labels) for prompt in tokens]
        requests.append({**r, "label_tokens": labels, "tokens": tokens, "logprobs": logprobs})
    versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
    lines = ",\n".join(json.dumps(r, ensure_ascii=False) for r in requests)
    (HERE / "sequences.json").write_text('{"versions": ' + json.dumps(versions) + ', "requests": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
