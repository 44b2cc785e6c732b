#!/usr/bin/env python3
"""Measures scored and transformers one after the other on this machine, on the same
weights, and prints the ratios.

    beside.py [--binary bin/scored] [--items 10] [--their-items 10] [--workloads 120+180 500+20] [--seconds 20]
    beside.py --prompts 8 16 64 256 512 [--dtypes float32 bfloat16] [--seconds 4]

The second form takes single prompts, in each dtype: both are asked in turn, so that they
share what else the machine does.

scored runs as a user runs it: the binary, asked over HTTP with token ids, softmax off (so
the whole vocabulary counts). Every prompt is new, so nothing is found in its prefix cache
but what a request shares within itself. Run `make setup` first; needs torch and
transformers. Let nothing else run meanwhile.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import numpy as np

import speed

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Server:
    """scored with the full-size shape's generated weights, on a free port."""

    def __init__(self, binary: str, cache: str, dtype: str = "float32"):
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [binary, "serve", "--model-path", "Qwen/Qwen3-0.6B", "--load-format", "dummy", "--random-seed", "1", "--port", "0", "--offline",
             "--dtype", dtype, "--tokenizer-path", f"{ROOT}/.cache/tokenizer/qwen3", "--plugin-dir", f"{ROOT}/.cache/plugins", "--compile-cache", cache],
            stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r'ready to roll!" address=(\S+)', line):
                self.url = f"http://{found[1]}/v1/score"
                break
        else:
            raise SystemExit("scored did not start; run `make setup` first")
        self.ready = time.perf_counter() - begin
        threading.Thread(target=self.process.stderr.read, daemon=True).start()  # or its log would fill the pipe

    def score(self, query: list[int], items: list[list[int]]) -> None:
        body = json.dumps({"model": "m", "query": query, "items": items, "label_token_ids": [9454, 2753]}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert len(json.load(answer)["scores"]) == len(items)

    def peak_memory(self) -> int:
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait() == 0


def measure(server: Server, seconds: float, items: int, workloads: list[str]) -> dict:
    random = np.random.default_rng(2)

    def tokens(n: int) -> list[int]:
        return random.integers(0, 151_000, n).tolist()

    result = {"forward_256_tokens_per_s": speed.rate(256, seconds, lambda: server.score([], [tokens(256)])), "workloads": {}}
    for name in workloads:
        query, item = speed.WORKLOADS[name]
        work = lambda: server.score(tokens(query), [tokens(item) for _ in range(items)])
        result["workloads"][name] = {"rows_per_s": speed.rate(items, seconds, work)}
    return result


def prompts(args) -> None:
    """A table of single prompts: milliseconds, the least and the median of rounds in
    which both take their turn."""
    import torch

    torch.set_num_threads(2)
    random = np.random.default_rng(2)
    print("| dtype | tokens | scored, ms | transformers, ms | ratio |\n|---|---|---|---|---|")
    for dtype in args.dtypes:
        with torch.inference_mode():
            server = Server(args.binary, f"{ROOT}/.cache/compile", dtype)
            theirs = speed.Speed(speed.weights.model("full", 1, attention="sdpa").to(getattr(torch, dtype)), args.seconds)
            for length in args.prompts:
                took = [[], []]
                begin = time.perf_counter()
                while len(took[0]) < 4 or time.perf_counter() - begin < args.seconds:
                    ids, prompt = random.integers(0, 151_000, length).tolist(), theirs.tokens(length)
                    for times, work in zip(took, (lambda: server.score([], [ids]), lambda: theirs.once(prompt))):
                        start = time.perf_counter()
                        work()
                        times.append(1e3 * (time.perf_counter() - start))
                median, least = [statistics.median(times[1:]) for times in took], [min(times[1:]) for times in took]
                print(f"| {dtype} | {length} | {median[0]:.0f} (least {least[0]:.0f}) | {median[1]:.0f} ({least[1]:.0f}) "
                      f"| {median[1] / median[0]:.2f} ({least[1] / least[0]:.2f}) |", flush=True)  # fmt: skip
            server.stop()


def transformers(args) -> dict:
    command = [sys.executable, f"{ROOT}/tests/golden/speed.py", "--items", str(args.their_items or args.items), "--seconds", str(args.seconds),
               "--workloads", *args.workloads]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=f"{ROOT}/bin/scored")
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--their-items", type=int, help="for transformers, whose rate item by item does not depend on it (default: --items)")
    parser.add_argument("--workloads", nargs="*", default=list(speed.WORKLOADS), choices=list(speed.WORKLOADS))
    parser.add_argument("--seconds", type=float, default=20, help="for each figure, at least")
    parser.add_argument("--prompts", nargs="+", type=int, help="tokens of single prompts")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    args = parser.parse_args()
    if args.prompts:
        prompts(args)
        return
    with tempfile.TemporaryDirectory() as cache:
        cold = Server(args.binary, cache)
        cold.stop()
        server = Server(args.binary, cache)
        ours = measure(server, args.seconds, args.items, args.workloads)
        memory = server.peak_memory()
        server.stop()
    theirs = transformers(args)

    def ratio(of) -> float:
        return round(of(ours)["median"] / of(theirs)["median"], 2)

    ratios = {"forward_256": ratio(lambda r: r["forward_256_tokens_per_s"])}
    for name in args.workloads:
        ratios[name] = ratio(lambda r: r["workloads"][name]["rows_per_s"])
    print(json.dumps({"ready_cold_s": round(cold.ready, 2), "ready_warm_s": round(server.ready, 2), "peak_memory_mib": memory >> 20,
                      "binary_mib": os.path.getsize(args.binary) >> 20, "scored": ours, "transformers": theirs,
                      "scored_to_transformers": ratios}, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
