#!/usr/bin/env python3
"""Writes config.json files as transformers 5 saves them:
model/checkpoint/testdata/config/transformers5-*, small shapes without weights.

    configs.py model/checkpoint/testdata/config
"""

import pathlib
import sys

from transformers import LlamaConfig, Qwen2Config, Qwen3Config

SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    for name, config in {
        "qwen2": Qwen2Config(**SMALL, architectures=["Qwen2ForCausalLM"], rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
        "qwen3": Qwen3Config(**SMALL, architectures=["Qwen3ForCausalLM"], rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
        "llama": LlamaConfig(**SMALL, architectures=["LlamaForCausalLM"], tie_word_embeddings=True, dtype="bfloat16"),
        "llama3": LlamaConfig(**SMALL, architectures=["LlamaForCausalLM"], max_position_embeddings=131072, rope_parameters=LLAMA3),
    }.items():
        config.save_pretrained(folder / f"transformers5-{name}")


if __name__ == "__main__":
    main()
