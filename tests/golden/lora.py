#!/usr/bin/env python3
"""Writes lora/NAME, adapters as PEFT saves them, and lora.json: what PEFT answers for
models with generated weights and them.

    lora.py

lora.json holds {seed, versions, models}; a model is {name, config, adapters, cases}, a
case as in generate.py. Adapters are merged one after the other with PEFT's
merge_and_unload, in float64 throughout, from the numbers that the files hold. Their
numbers are weights.values of the tensors' names, a quarter of them in lora_B, so that
they change the model's scores but not their scale.

Needs torch, transformers, numpy and peft.
"""

import pathlib
import platform
import shutil

import numpy as np
import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

import generate
import weights

FOLDER = pathlib.Path(__file__).parent / "lora"
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

# name: model, dtype of the file, PEFT's options
ADAPTERS = {
    "values": ("tiny", torch.float32, {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}),
    "all": ("tiny", torch.bfloat16, {
        "r": 6, "lora_alpha": 16, "use_rslora": True, "target_modules": "all-linear",
        "rank_pattern": {"down_proj": 2, r"model\.layers\.[01]\.self_attn\.k_proj": 3}, "alpha_pattern": {"layers.1.self_attn.o_proj": 5.5}}),
    "head": ("llama2", torch.float16, {
        "r": 5, "lora_alpha": 3, "target_modules": r".*\.1\.mlp\.(up|down)_proj|lm_head", "modules_to_save": ["embed_tokens", "norm"]}),
    "layer": ("qwen2", torch.float32, {
        "r": 1, "lora_alpha": 1, "target_modules": ALL, "exclude_modules": ["v_proj"], "layers_to_transform": [0, 2]}),
}  # fmt: skip
MODELS = [("tiny", ["values"]), ("tiny", ["all"]), ("tiny", ["all", "values"]), ("llama2", ["head"]), ("qwen2", ["layer"])]


def save(name: str, adapted: peft.PeftModel, dtype: torch.dtype, seed: int) -> None:
    """Saves an adapter with weights that are not 0."""
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    adapted.save_pretrained(FOLDER / name)
    (FOLDER / name / "README.md").unlink()
    file = FOLDER / name / "adapter_model.safetensors"
    tensors = load_file(file)
    for tensor, value in tensors.items():
        numbers = weights.values(seed, f"{name} {tensor}", tuple(value.shape)) / (4 if ".lora_B." in tensor else 1)
        tensors[tensor] = torch.from_numpy(numbers).view(value.shape).to(dtype)
    save_file(tensors, file, metadata={"format": "pt"})


def merged(model: transformers.PreTrainedModel, adapters: list[str]) -> transformers.PreTrainedModel:
    """A float64 model with adapters of lora/ merged into it, one after the other."""
    for adapter in adapters:
        # Wrapped in float32 and made float64 before anything is computed: the file's
        # numbers are exact in both.
        wrapped = peft.PeftModel.from_pretrained(model, FOLDER / adapter, torch_device="cpu").double()
        with weights.float64():
            model = wrapped.merge_and_unload(safe_merge=True)
    return model.eval()


class Adapted(generate.Reference):
    def __init__(self, name: str, seed: int, adapters: list[str]):
        super().__init__(name, seed)
        before = self.run(list(range(9)), list(range(9)))["logprobs"]
        self.model = merged(self.model, adapters)
        after = self.run(list(range(9)), list(range(9)))["logprobs"]
        assert np.abs(np.subtract(before, after)).max() > 0.05, f"{adapters} change nothing"


def main() -> None:
    seed = 1
    torch.set_num_threads(2)
    for name, (model, dtype, options) in ADAPTERS.items():
        save(name, peft.get_peft_model(weights.model(model, seed), peft.LoraConfig(task_type="CAUSAL_LM", **options)), dtype, seed)
    models = []
    for name, adapters in MODELS:
        r = Adapted(name, seed, adapters)
        cases = [r.case(f"length {n}", r.tokens(n)) for n in (1, 9, 64, 130)]
        models.append({"name": name, "config": r.config, "adapters": adapters, "cases": cases})
    versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
                "peft": peft.__version__, "numpy": np.__version__}  # fmt: skip
    generate.write("lora", {"seed": seed, "versions": versions, "models": models})


if __name__ == "__main__":
    main()
