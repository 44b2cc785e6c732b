"""What a careful user of transformers does on the same device: bfloat16 on a GPU, SDPA,
the query's keys and values computed once a request, items in batches. Prints one JSON
object; exit status 3 tells that it cannot run here.

    peer.py FOLDER [--seconds 3] [--limit 120] [--cpu]        FOLDER has config.json; weights are random
"""

import argparse
import copy
import json
import sys
import time

try:
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
except ImportError as fault:
    print(f"this Python lacks torch or transformers: {fault}", file=sys.stderr)
    sys.exit(3)

# (name, tokens of the query, of an item, items at once, whether the query was computed
# before): the loads of scored bench.
FIGURES = [("w2, one request at a time", 120, 180, 10, False), ("w2, four requests' items at once", 120, 180, 40, False),
           ("w1, one prompt at a time", 0, 300, 1, False), ("w1, batches of 16", 0, 300, 16, False), ("w3, items by hundreds", 2000, 20, 100, False),
           ("s1, one request at a time", 200, 30, 5, False), ("s4, the policy kept, 32 at once", 600, 60, 32, True),
           ("w4", 1000, 26, 80, False), ("s2, one request at a time", 120, 150, 20, False)]  # fmt: skip


class Peer:
    def __init__(self, folder: str, device: str):
        config = AutoConfig.from_pretrained(folder)
        torch.manual_seed(0)
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        self.model = model.to(torch.bfloat16 if device == "cuda" else torch.float32).eval()
        self.config, self.device = config, device
        self.labels = torch.tensor([1, 2], device=device)

    def tokens(self, items: int, length: int):
        return torch.randint(3, self.config.vocab_size, (items, length), device=self.device)

    def query(self, length: int):
        cache = DynamicCache(config=self.config)
        self.model.model(self.tokens(1, length), past_key_values=cache, use_cache=True)
        return cache

    def score(self, shared: int, own: int, items: int, kept):
        ids = self.tokens(items, own)
        if shared:
            cache = copy.deepcopy(kept) if kept else self.query(shared)
            cache.batch_repeat_interleave(items)
            hidden = self.model.model(ids, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
        else:
            hidden = self.model.model(ids, use_cache=False).last_hidden_state[:, -1]
        return torch.softmax((hidden @ self.model.lm_head.weight[self.labels].T).float(), -1).cpu()  # waits for the device

    def rate(self, seconds: float, shared: int, own: int, items: int, known: bool) -> dict:
        kept = self.query(shared) if known else None
        for _ in range(2):
            self.score(shared, own, items, kept)
        begun, runs = time.monotonic(), 0
        while runs < 2 or time.monotonic() - begun < seconds:
            self.score(shared, own, items, kept)
            runs += 1
        took = time.monotonic() - begun
        return {"items_per_s": round(runs * items / took, 1), "ms": round(1e3 * took / runs, 2), "runs": runs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--limit", type=float, default=120, help="seconds for all figures")
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
    begun = time.monotonic()
    if not args.cpu and not torch.cuda.is_available():
        print("torch sees no GPU here", file=sys.stderr)
        return 3
    device = "cpu" if args.cpu else "cuda"
    with torch.inference_mode():
        peer = Peer(args.folder, device)
        about = f"transformers {transformers.__version__}, torch {torch.__version__}, {str(peer.model.dtype).removeprefix('torch.')}, SDPA"
        figures = []
        for name, shared, own, items, known in FIGURES:
            if time.monotonic() - begun > args.limit - 2 * args.seconds:
                break
            figures.append({"name": name, **peer.rate(args.seconds, shared, own, items, known)})
    print(json.dumps({"about": about, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "figures": figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
