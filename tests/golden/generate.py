#!/usr/bin/env python3
"""Writes the golden files: what transformers answers for models with generated weights.

    generate.py [--seed 1] [tiny untied narrow qwen2 llama llama2 full readouts weights]

Each NAME.json holds {name, seed, config, versions, cases, requests}. A case is one
prompt:
    {name, tokens, labels, logprobs, softmax, norms}
with the labels' natural-log probabilities over the whole vocabulary after the last token,
the softmax over the labels alone, and the L2 norm of the last token's hidden state after
each layer. A request is a query and its items:
    {name, query, items, item_first, labels, logprobs, softmax}
with one row of numbers per item, of the prompt query + item or, with item_first, item +
query. Every prompt is run alone and unpadded, in float64 throughout: see weights.float64.
So the numbers are right to all twelve digits, and whatever differs from them is the
rounding of who computed it. weights.json has samples of the generated weights.

readouts.json has prompts of the tiny model that are read at several places. Its positions
are requests with {..., positions, logprobs by item, position and label}, each of the
prompt that ends at the position, run alone. Its sequences are requests whose labels are
lists of ids, with the sum of the log-probabilities of a label's tokens, each behind the
prompt and the label's tokens before it.

Needs torch, transformers and numpy; "full" needs 7 GB of memory and about a minute.
"""

import argparse
import json
import pathlib
import platform

import numpy as np
import torch
import transformers

import weights

FOLDER = pathlib.Path(__file__).parent


class Reference:
    """One model, and the random choices of prompts and labels for it."""

    def __init__(self, name: str, seed: int):
        self.config = weights.config(name)
        with weights.float64():
            self.model = weights.model(name, seed, dtype=torch.float64)
        self.random = np.random.default_rng(seed)
        self.norms = []
        for layer in self.model.model.layers:
            layer.register_forward_hook(lambda _module, _inputs, output: self.norms.append(torch.linalg.norm(output[0, -1])))

    def tokens(self, n: int) -> list[int]:
        return self.random.integers(0, self.config["vocab_size"], n).tolist()

    def labels(self, n: int) -> list[int]:
        """Distinct ids, unsorted, the first and the last of the vocabulary among them."""
        last = self.config["vocab_size"] - 1
        inner = self.random.choice(np.arange(1, last), n - 2, replace=False).tolist()
        return [*inner[: n // 2], last, *inner[n // 2 :], 0]

    @torch.no_grad()
    def run(self, tokens: list[int], labels: list[int]) -> dict:
        self.norms.clear()
        with weights.float64():
            logits = self.model(torch.tensor([tokens]), use_cache=False, logits_to_keep=1).logits[0, -1]
            chosen = torch.log_softmax(logits, -1)[labels]
        return {"logprobs": rounded(chosen), "softmax": rounded(torch.softmax(chosen, -1)), "norms": rounded(self.norms)}

    def case(self, name: str, tokens: list[int], labels: int = 6) -> dict:
        ids = self.labels(labels)
        return {"name": name, "tokens": tokens, "labels": ids, **self.run(tokens, ids)}

    def request(self, name: str, query: list[int], items: list[list[int]], item_first: bool = False) -> dict:
        ids = self.labels(4)
        answers = [self.run(item + query if item_first else query + item, ids) for item in items]
        return {
            "name": name, "query": query, "items": items, "item_first": item_first, "labels": ids,
            "logprobs": [a["logprobs"] for a in answers], "softmax": [a["softmax"] for a in answers],
        }  # fmt: skip


    def positions(self, name: str, query: list[int], items: list[list[int]], positions: list[int], item_first: bool = False) -> dict:
        ids = self.labels(4)
        prompts = [[(item if item_first else query + item)[: (0 if item_first else len(query)) + p % len(item) + 1] for p in positions] for item in items]
        return {
            "name": name, "query": query, "items": items, "item_first": item_first, "labels": ids, "positions": positions,
            "logprobs": [[self.run(prompt, ids)["logprobs"] for prompt in of_item] for of_item in prompts],
        }  # fmt: skip

    @torch.no_grad()
    def sequence(self, prompt: list[int], label: list[int]) -> float:
        with weights.float64():
            logits = self.model(torch.tensor([prompt + label]), use_cache=False).logits[0, len(prompt) - 1 : -1]
            return torch.log_softmax(logits, -1).gather(1, torch.tensor([label]).T).sum().item()

    def sequences(self, name: str, query: list[int], items: list[list[int]], labels: list[list[int]], item_first: bool = False) -> dict:
        prompts = [item + query if item_first else query + item for item in items]
        return {
            "name": name, "query": query, "items": items, "item_first": item_first, "labels": labels,
            "logprobs": [rounded(self.sequence(prompt, label) for label in labels) for prompt in prompts],
        }  # fmt: skip


def rounded(numbers) -> list[float]:
    return [float(f"{x:.12g}") for x in numbers]


def small(r: Reference) -> dict:
    """Lengths on both sides of every power of two, and each way in which items can share
    tokens."""
    lengths = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 60, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 300, 511, 512, 513, 1500]
    cases = [r.case(f"length {n}", r.tokens(n)) for n in lengths]
    cases += [r.case("one token, 40 times", r.tokens(1) * 40), r.case("first and last token", [0, r.config["vocab_size"] - 1])]
    cases.append(r.case("100 labels", r.tokens(20), labels=100))

    run = r.tokens(30)
    requests = [
        r.request("query of 120, 10 items of about 30", r.tokens(120), [r.tokens(n) for n in range(21, 41, 2)]),
        r.request("query of 500, 12 items of 20", r.tokens(500), [r.tokens(20) for _ in range(12)]),
        r.request("query of 700, 2 items", r.tokens(700), [r.tokens(3), r.tokens(150)]),
        r.request("one token and one token", r.tokens(1), [r.tokens(1) for _ in range(5)]),
        r.request("empty query", [], [r.tokens(n) for n in (1, 2, 5, 12, 40)]),
        r.request("an empty item among others", r.tokens(50), [r.tokens(4), [], r.tokens(9)]),
        r.request("items that begin alike", r.tokens(40), [run, run[:20], run[:20] + r.tokens(5), run[:1], run]),
        r.request("items that only their last token tells apart", r.tokens(5), [run + [i] for i in range(4)]),
        r.request("one item", r.tokens(64), [r.tokens(64)]),
        r.request("items first", r.tokens(40), [r.tokens(n) for n in (25, 1, 60, 33, 8)], item_first=True),
        r.request("items first, alike", r.tokens(12), [run, run[:29], run], item_first=True),
    ]
    return {"cases": cases, "requests": requests}


def full(r: Reference) -> dict:
    cases = [r.case(f"length {n}", r.tokens(n)) for n in (1, 2, 17, 60, 128, 300)]
    requests = [r.request("query of 120, 4 items of about 30", r.tokens(120), [r.tokens(n) for n in (30, 24, 37, 1)])]
    return {"cases": cases, "requests": requests}


def readouts(r: Reference) -> dict:
    """Places near and far apart, few and more than a step reads; labels that begin alike,
    and of many lengths."""
    positions = [
        r.positions("every token", r.tokens(5), [r.tokens(20)], list(range(20))),
        r.positions("items of several lengths", r.tokens(130), [r.tokens(n) for n in (30, 24, 50)], [0, -1, 23, -2, 7, -24]),
        r.positions("far apart", r.tokens(40), [r.tokens(700)], [3, 350, 351, 699, 100]),
        r.positions("items first", r.tokens(33), [r.tokens(n) for n in (12, 40)], [0, 11, -1, 5], item_first=True),
    ]
    same = r.tokens(3)
    choices = [r.tokens(5) for _ in range(4)]
    sequences = [
        r.sequences("four choices of five tokens", r.tokens(80), [r.tokens(20)], choices),
        r.sequences("items on a query", r.tokens(300), [r.tokens(n) for n in (20, 1, 35)], choices),
        r.sequences("labels that begin alike", r.tokens(10), [r.tokens(9), []], [same, same[:2], [*same, 7], [*same[:1], 9, 8], [11], same]),
        r.sequences("items first, a long label", r.tokens(30), [r.tokens(4)], [r.tokens(150), r.tokens(2)], item_first=True),
    ]
    return {"positions": positions, "sequences": sequences}


def samples(seed: int) -> list[dict]:
    """Pieces of generated tensors: of every kind, from the middle of a word, across a
    chunk, at the end."""
    chosen = []
    for model, name, shape, begin, end in [
        ("full", "model.embed_tokens.weight", (151936, 1024), 0, 24),
        ("full", "model.embed_tokens.weight", (151936, 1024), 8 * weights.CHUNK - 5, 8 * weights.CHUNK + 6),
        ("full", "model.embed_tokens.weight", (151936, 1024), 151936 * 1024 - 3, 151936 * 1024),
        ("full", "model.layers.27.self_attn.o_proj.weight", (1024, 2048), 1003, 1006),
        ("full", "model.layers.0.mlp.down_proj.weight", (1024, 3072), 7, 41),
        ("full", "model.layers.13.self_attn.k_norm.weight", (128,), 0, 128),
        ("full", "model.norm.weight", (1024,), 500, 540),
        ("untied", "lm_head.weight", (777, 96), 0, 16),
        ("untied", "model.layers.1.self_attn.k_proj.weight", (32, 96), 31 * 96, 32 * 96),
        ("narrow", "model.layers.0.self_attn.q_norm.weight", (16,), 0, 16),
        ("qwen2", "model.layers.1.self_attn.k_proj.bias", (32,), 3, 30),
    ]:
        numbers = weights.values(seed, name, shape, begin, end)
        chosen.append({"model": model, "seed": seed, "name": name, "shape": shape, "begin": begin, "values": numbers.tolist()})
    return chosen


def write(name: str, content: dict) -> None:
    """JSON with one case or request a line."""
    lines = []
    for key, value in content.items():
        if isinstance(value, list):
            body = ",\n".join("  " + json.dumps(v, separators=(",", ":")) for v in value)
            lines.append(f"{json.dumps(key)}: [\n{body}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["tiny", "untied", "narrow", "qwen2", "llama", "llama2", "full", "readouts", "weights"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
                "numpy": np.__version__}  # fmt: skip
    for name in args.names:
        if name == "weights":
            write(name, {"versions": versions, "samples": samples(args.seed) + samples((1 << 64) - 1)})
            continue
        shape = "tiny" if name == "readouts" else name
        reference = Reference(shape, args.seed)
        answers = {"full": full, "readouts": readouts}.get(name, small)(reference)
        write(name, {"name": shape, "seed": args.seed, "config": reference.config, "versions": versions, **answers})


if __name__ == "__main__":
    main()
