"""The generated weights of model/checkpoint/generate.go, number for number, and models of
transformers that hold them.

Element i of a tensor is byte i % 8 of word i // 8 of a SplitMix64 sequence keyed by seed
and tensor name, looked up in a table of 256 numbers that depends on the tensor's kind.
All numbers are exact in bfloat16.
"""

import contextlib

import numpy as np
import torch
import transformers
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
CHUNK = 1 << 18  # words; eight elements each

# The published shape of Qwen3-0.6B, and small ones that differ wherever a forward pass
# can go wrong: groups of 2, 4 and 1 query heads, queries narrower and wider than the
# hidden state, tied and untied heads.
_COMMON = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "attention_bias": False,
    "rope_theta": 1000000.0, "rms_norm_eps": 1e-06, "max_position_embeddings": 40960, "torch_dtype": "float32",
}  # fmt: skip
_SIZES = {
    # name: hidden, layers, heads, key-value heads, head size, MLP size, vocabulary, tied
    "full": (1024, 28, 16, 8, 128, 3072, 151936, True),
    "tiny": (64, 3, 4, 2, 16, 128, 512, True),
    "untied": (96, 2, 4, 1, 32, 160, 777, False),
    "narrow": (80, 2, 3, 3, 16, 112, 300, True),
    "wide": (64, 3, 4, 2, 16, 128, 151936, True),  # tiny with Qwen3's vocabulary, for rerank.py
    "qwen2": (64, 3, 4, 2, 16, 128, 512, True),  # biases instead of norms of queries and keys
    "llama": (128, 2, 4, 2, 64, 192, 512, True),  # heads of 64, positions scaled as in Llama 3
    "llama2": (128, 2, 2, 2, 128, 192, 300, False),  # heads of 128
    "mini": (32, 2, 2, 1, 16, 48, 64, False),  # for model/checkpoint/testdata/checkpoint
}
_LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "rms_norm_eps": 1e-05, "mlp_bias": False}
_OTHER = {
    "llama": {**_LLAMA, "rope_theta": 500000.0, "rope_scaling": {
        # waves of 2 pi to 32 tokens stay, those beyond 128 are stretched: pairs of all
        # three kinds within 1,500 tokens
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 128}},
    "llama2": {**_LLAMA, "rope_theta": 10000.0},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"},
    "untied": {"rope_theta": 10000.0, "rms_norm_eps": 1e-05}}


def names() -> list[str]:
    return list(_SIZES)


def config(name: str) -> dict:
    """The model's config.json."""
    hidden, layers, heads, kv, head_dim, mlp, vocab, tied = _SIZES[name]
    return {
        **_COMMON, "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
        "head_dim": head_dim, "intermediate_size": mlp, "vocab_size": vocab, "tie_word_embeddings": tied, **_OTHER.get(name, {}),
    }  # fmt: skip


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def key(seed: int, name: str) -> int:
    h = 0xCBF29CE484222325  # FNV-1a
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return mix(h ^ mix(seed))


def table(name: str, shape) -> np.ndarray:
    byte = np.arange(256)
    if name.endswith(".bias"):
        return ((2 * byte - 255) / 512).astype(np.float32)
    if len(shape) == 1:
        lowest = 128 if name.endswith((".q_norm.weight", ".k_norm.weight")) else 96
        return ((lowest + byte % 64) / 128).astype(np.float32)
    exponent = 7 + (int(shape[1] - 1).bit_length() + 1) // 2
    if name in ("model.embed_tokens.weight", "lm_head.weight"):
        exponent -= 1
    return np.ldexp(2.0 * byte - 255, -exponent).astype(np.float32)


def values(seed: int, name: str, shape, begin: int = 0, end: int | None = None) -> np.ndarray:
    """Elements [begin, end) of the tensor, flat, float32."""
    end = int(np.prod(shape)) if end is None else end
    start, lookup = key(seed, name), table(name, shape)
    out = np.empty(end - begin, np.float32)
    first, last = begin // 8, -(-end // 8)
    for word in range(first, last, CHUNK):
        n = np.arange(word, min(word + CHUNK, last), dtype=np.uint64)
        z = np.uint64(start) + (n + np.uint64(1)) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        numbers = lookup[z.astype("<u8", copy=False).view(np.uint8)]
        low, high = max(begin, 8 * word), min(end, 8 * (word + len(n)))
        out[low - begin : high - begin] = numbers[low - 8 * word : high - 8 * word]
    return out


class _Widened(TorchFunctionMode):
    """Whoever asks for float32 gets float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def wide(x):
            return torch.float64 if x is torch.float32 else x

        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*map(wide, args), **{k: wide(v) for k, v in (kwargs or {}).items()})


class _NoFloat32(TorchDispatchMode):
    """Fails where an operation gives float32 after all."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            assert not isinstance(x, torch.Tensor) or x.dtype is not torch.float32, f"{func} gives float32"
        return result


@contextlib.contextmanager
def float64():
    """Makes and runs a model in float64 throughout.

    A model that is float64 is not enough: transformers casts to float32 in RMSNorm, in
    the softmax of attention and for rotary angles, whatever the model's type. Here each
    of these casts is to float64. So are the frequencies of rotary positions: a checkpoint
    says rope_theta and no more, so theta^(-2i/E) itself is right, and its float32
    rounding, as everybody computes it, is an error of the implementation like any other.
    Weights are float32 numbers, cast up.
    """
    with _Widened(), _NoFloat32():
        yield


def model(name: str, seed: int, attention: str = "eager", dtype: torch.dtype = torch.float32) -> transformers.PreTrainedModel:
    """transformers' own Qwen3, Qwen2 or Llama, with the generated weights; unless told
    otherwise with its plainest attention."""
    return built(config(name), seed, attention, dtype)


def built(config: dict, seed: int, attention: str = "eager", dtype: torch.dtype = torch.float32) -> transformers.PreTrainedModel:
    """The same of any config.json."""
    fields = dict(config)
    del fields["torch_dtype"]
    architecture = getattr(transformers, fields.pop("architectures")[0])
    fields["rope_parameters"] = {**fields.pop("rope_scaling", {"rope_type": "default"}), "rope_theta": fields.pop("rope_theta")}
    model = architecture._from_config(AutoConfig.for_model(**fields, attn_implementation=attention), dtype=dtype)
    filled = set()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():  # tied parameters come once
            numbers = values(seed, parameter_name, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(numbers.astype(np.float64) if dtype is torch.float64 else numbers).view(parameter.shape))
            filled.add(parameter_name)
    assert fields["tie_word_embeddings"] == ("lm_head.weight" not in filled)
    return model.eval()
