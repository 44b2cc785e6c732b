#!/usr/bin/env python3
"""Turns a GGUF file of a Llama into a checkpoint folder: config.json, model.safetensors
and the tokenizer's files.

    gguf-checkpoint.py FILE.gguf FOLDER

Weights are dequantized to float32: the very numbers that the file stands for, and that
transformers computes of it. tokenizer.json is made of the file's own tokens, merges and
kind of pre-tokenizer. Only dense Llamas with a byte-level tokenizer are known; anything
else is refused by name. Needs gguf, numpy and safetensors: scripts/gguf-requirements.txt.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file

BLOCK = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip
OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}

# tokenizer.ggml.pre names how text is split before merges; these are llama.cpp's names.
# "smollm": every digit by itself, and GPT-2's pieces between them.
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PRE_TOKENIZERS = {
    "gpt-2": GPT2,
    "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, GPT2]},
}
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # tokenizer.ggml.token_type


class File:
    """The fields and tensors of a GGUF file."""

    def __init__(self, path: pathlib.Path):
        self.reader = GGUFReader(path)

    def get(self, name: str, default=None):
        field = self.reader.get_field(name)
        if field is None and default is None:
            sys.exit(f"gguf-checkpoint: the file has no field {name}")
        return default if field is None else field.contents()

    def only(self, name: str, *allowed) -> None:
        if (value := self.get(name)) not in allowed:
            sys.exit(f"gguf-checkpoint: field {name} is {value!r}; only {', '.join(map(repr, allowed))} can be converted")


def short(x: float) -> float:
    """The shortest decimal that is the same float32: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(x)))


def config(file: File) -> dict:
    file.only("general.architecture", "llama")
    heads, head_dim = file.get("llama.attention.head_count"), file.get("llama.rope.dimension_count")
    if (kind := file.get("llama.rope.scaling.type", "none")) != "none":
        sys.exit(f"gguf-checkpoint: field llama.rope.scaling.type is {kind!r}; only unscaled positions can be converted")
    names = {t.name for t in file.reader.tensors}
    if "rope_freqs.weight" in names:  # how llama.cpp writes rope_type llama3
        sys.exit("gguf-checkpoint: tensor rope_freqs.weight scales positions; only unscaled ones can be converted")
    return {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "bos_token_id": file.get("tokenizer.ggml.bos_token_id"), "dtype": "float32",
        "eos_token_id": file.get("tokenizer.ggml.eos_token_id"), "head_dim": head_dim, "hidden_act": "silu",
        "hidden_size": file.get("llama.embedding_length"), "intermediate_size": file.get("llama.feed_forward_length"),
        "max_position_embeddings": file.get("llama.context_length"), "mlp_bias": False, "model_type": "llama", "num_attention_heads": heads,
        "num_hidden_layers": file.get("llama.block_count"), "num_key_value_heads": file.get("llama.attention.head_count_kv", heads),
        "rms_norm_eps": short(file.get("llama.attention.layer_norm_rms_epsilon")),
        "rope_parameters": {"rope_theta": short(file.get("llama.rope.freq_base", 10000.0)), "rope_type": "default"},
        "tie_word_embeddings": "output.weight" not in names, "vocab_size": len(file.get("tokenizer.ggml.tokens")),
    }  # fmt: skip


def halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys: llama.cpp turns neighbours, (0, 1), (2, 3), …;
    transformers turns a head's two halves."""
    return weight.reshape(heads, -1, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def weights(file: File, shape: dict) -> dict[str, np.ndarray]:
    heads = {"attn_q": shape["num_attention_heads"], "attn_k": shape["num_key_value_heads"]}
    tensors = {}
    for tensor in file.reader.tensors:
        numbers = dequantize(tensor.data, tensor.tensor_type)
        name = OUTSIDE.get(tensor.name)
        if name is None:
            prefix, _, rest = tensor.name.partition(".")
            block, _, rest = rest.partition(".")
            kind, _, suffix = rest.partition(".")
            if prefix != "blk" or suffix != "weight" or kind not in BLOCK:
                sys.exit(f"gguf-checkpoint: tensor {tensor.name} is not one of a dense Llama")
            name = f"model.layers.{block}.{BLOCK[kind]}.weight"
            if kind in heads:
                numbers = halves(numbers, heads[kind])
        tensors[name] = np.ascontiguousarray(numbers)
    return tensors


def tokenizer(file: File) -> dict:
    """tokenizer.json, as transformers makes it of the file, but for the pre-tokenizer:
    transformers takes GPT-2's for all."""
    file.only("tokenizer.ggml.model", "gpt2")
    file.only("tokenizer.ggml.pre", *PRE_TOKENIZERS)
    file.only("tokenizer.ggml.add_bos_token", False)
    tokens, types = file.get("tokenizer.ggml.tokens"), file.get("tokenizer.ggml.token_type")
    if unknown := set(types) - {NORMAL, CONTROL, USER_DEFINED}:
        sys.exit(f"gguf-checkpoint: field tokenizer.ggml.token_type holds {unknown}; only normal, control and user-defined tokens can be converted")
    added = [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": kind == CONTROL}
        for i, (token, kind) in enumerate(zip(tokens, types)) if kind != NORMAL
    ]  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": PRE_TOKENIZERS[file.get("tokenizer.ggml.pre")], "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False, "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in file.get("tokenizer.ggml.merges")],
        },
    }  # fmt: skip


def tokenizer_config(file: File, shape: dict) -> dict:
    tokens = file.get("tokenizer.ggml.tokens")
    return {
        "bos_token": tokens[shape["bos_token_id"]], "eos_token": tokens[shape["eos_token_id"]],
        "chat_template": file.get("tokenizer.chat_template", ""), "clean_up_tokenization_spaces": False,
        "model_max_length": shape["max_position_embeddings"], "tokenizer_class": "PreTrainedTokenizerFast",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args()
    file = File(args.file)
    shape = config(file)
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "config.json": shape, "tokenizer.json": tokenizer(file), "tokenizer_config.json": tokenizer_config(file, shape),
    }.items():  # fmt: skip
        (args.folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file(weights(file, shape), args.folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
