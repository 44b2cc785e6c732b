#!/usr/bin/env python3
"""Writes a model with generated weights as transformers saves it: config.json and
safetensors, in shards if large.

    checkpoint.py FOLDER [--model full] [--seed 1] [--dtype bfloat16] [--shard 5GB]

model/checkpoint/testdata/checkpoint is: checkpoint.py FOLDER --model mini --shard 12KB
"""

import argparse
import pathlib

import torch

import weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--model", default="full", choices=weights.names())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"], help="exact in all three")
    parser.add_argument("--shard", default="5GB", help="largest size of a file, e.g. 400MB")
    args = parser.parse_args()
    model = weights.model(args.model, args.seed).to(getattr(torch, args.dtype))
    model.save_pretrained(args.folder, max_shard_size=args.shard)


if __name__ == "__main__":
    main()
