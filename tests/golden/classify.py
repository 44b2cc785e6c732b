#!/usr/bin/env python3
"""Writes classify.json: what transformers' models for sequence classification answer with
generated weights, one of them with an adapter of PEFT's, which it writes to lora/classes.

    classify.py [--seed 1]

The file holds {seed, versions, models}; a model is {name, config, adapters, cases}, a
case {name, tokens, logits}: the logit of each class after the last token, in float64
throughout as in generate.py. Models have no padding token, so that transformers reads the
last token, whatever it is. Adapters are merged as in lora.py; PEFT trains and saves the
head of classes with them.

Needs torch, transformers, numpy and peft.
"""

import argparse
import platform

import numpy as np
import peft
import torch
import transformers

import generate
import lora
import weights

# name of the shape: architecture, classes, what else config.json says, adapters
MODELS = [
    ("tiny", "Qwen3ForSequenceClassification", 1, {}, []),
    ("narrow", "Qwen3ForSequenceClassification", 5, {"problem_type": "multi_label_classification"}, []),
    ("qwen2", "Qwen2ForSequenceClassification", 2, {}, []),
    ("llama2", "LlamaForSequenceClassification", 3, {"problem_type": "regression"}, []),
    ("tiny", "Qwen3ForSequenceClassification", 3, {}, ["classes"]),
]


class Classifier(generate.Reference):
    def __init__(self, shape: str, architecture: str, classes: int, fields: dict, adapters: list[str], seed: int):
        self.config = {**weights.config(shape), "architectures": [architecture], "tie_word_embeddings": True, **fields}
        self.config["id2label"] = {str(i): f"class {i}" for i in range(classes)}
        with weights.float64():
            self.model = weights.built(self.with_labels(), seed, dtype=torch.float64)
        for name in adapters:
            options = {"r": 3, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj", "down_proj"]}
            plain = weights.built(self.with_labels(), seed)
            lora.save(name, peft.get_peft_model(plain, peft.LoraConfig(task_type="SEQ_CLS", **options)), torch.float32, seed)
        before = self.logits("", list(range(9)))["logits"]
        self.model = lora.merged(self.model, adapters)
        change = np.abs(np.subtract(before, self.logits("", list(range(9)))["logits"])).max()
        assert change > 0.05 or not adapters, f"{adapters} change nothing"
        self.random = np.random.default_rng(seed)

    def with_labels(self) -> dict:
        """The config with classes numbered as transformers wants them."""
        return {**self.config, "id2label": dict(enumerate(self.config["id2label"].values()))}

    @torch.no_grad()
    def logits(self, name: str, tokens: list[int]) -> dict:
        with weights.float64():
            logits = self.model(torch.tensor([tokens]), use_cache=False).logits[0]
        return {"name": name, "tokens": tokens, "logits": generate.rounded(logits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(2)
    models = []
    for shape, architecture, classes, fields, adapters in MODELS:
        c = Classifier(shape, architecture, classes, fields, adapters, args.seed)
        cases = [c.logits(f"length {n}", c.tokens(n)) for n in (1, 2, 17, 64, 65, 200)]
        with_adapters = {"adapters": adapters} if adapters else {}
        models.append({"name": " ".join([shape, str(classes), *adapters]), "config": c.config, **with_adapters, "cases": cases})
    versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
                "peft": peft.__version__, "numpy": np.__version__}  # fmt: skip
    generate.write("classify", {"seed": args.seed, "versions": versions, "models": models})


if __name__ == "__main__":
    main()
