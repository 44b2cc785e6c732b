#!/usr/bin/env python3
"""Measures how fast transformers scores on this machine's CPU, to be run beside ours.
Prints one JSON line.

    speed.py [--threads 2] [--items 10] [--seconds 20] [--dtype float32] [--generated 1 | --model FOLDER]

forward: tokens per second of [1, 256] prompts. workloads: each scores --items items of
one query, one prompt at a time, as a straightforward use of transformers does, and one
prompt at a time with the query's keys and values computed once; rows per second of both.
The weights are Qwen3-0.6B's shape generated from a seed, or a checkpoint folder.
"""

import argparse
import copy
import json
import statistics
import time

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

import weights

WORKLOADS = {"120+180": (120, 180), "500+20": (500, 20)}  # tokens of the query, tokens of each item


def rate(amount: int, seconds: float, work) -> dict:
    """Amount per second of work, run for as long as allowed: three times at least, after
    one run that is not counted."""
    work()
    taken = []
    while len(taken) < 3 or sum(taken) < seconds:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return {"median": round(amount / statistics.median(taken), 3), "best": round(amount / min(taken), 3), "runs": len(taken)}


class Speed:
    def __init__(self, model, seconds: float):
        self.model = model.eval()
        self.seconds = seconds
        self.random = np.random.default_rng(1)

    def tokens(self, n: int) -> torch.Tensor:
        return torch.from_numpy(self.random.integers(0, self.model.config.vocab_size, (1, n)))

    def forward(self, length: int) -> dict:
        prompt = self.tokens(length)
        return rate(length, self.seconds, lambda: self.once(prompt))

    def once(self, prompt: torch.Tensor) -> None:
        self.model(prompt, use_cache=False, logits_to_keep=1)

    def workload(self, query: int, item: int, items: int) -> dict:
        head = self.tokens(query)
        tails = [self.tokens(item) for _ in range(items)]

        def alone():
            for tail in tails:
                self.model(torch.cat([head, tail], 1), use_cache=False, logits_to_keep=1).logits.log_softmax(-1)

        def shared():
            cache = DynamicCache(config=self.model.config)
            self.model(head, cache=cache, use_cache=True, logits_to_keep=1)
            for tail in tails:
                seen = copy.deepcopy(cache)  # a cache grows as it is used
                self.model(tail, cache=seen, use_cache=True, logits_to_keep=1).logits.log_softmax(-1)

        return {"query": query, "item": item, "items": items, "rows_per_s": rate(items, self.seconds, alone),
                "rows_per_s_query_once": rate(items, self.seconds, shared)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20, help="for each figure, at least")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--generated", type=int, default=1, metavar="SEED")
    where.add_argument("--model", metavar="FOLDER")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = getattr(torch, args.dtype)
    if args.model:
        model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, attn_implementation="sdpa", local_files_only=True)
    else:
        model = weights.model("full", args.generated, attention="sdpa").to(dtype)
    speed = Speed(model, args.seconds)
    with torch.inference_mode():
        result = {
            "peer": "transformers", "torch": torch.__version__, "transformers": transformers.__version__,
            "threads": args.threads, "dtype": args.dtype, "model": args.model or f"generated:{args.generated}",
            "forward_256_tokens_per_s": speed.forward(256),
            "workloads": {name: speed.workload(*WORKLOADS[name], args.items) for name in args.workloads},
        }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
