// Package model runs dense decoders with grouped-query attention, such as Qwen3, Qwen2
// and Llama, on a GoMLX backend. It builds the forward pass as programs of a few step
// shapes, puts a checkpoint's weights on one device, and runs steps there. Engine
// implements score.Engine.
//
// It must not know HTTP, queues, requests, tokenizers, plugins or the formats of files:
// a step comes in, log-probabilities go out, and a device is whatever backend it is
// given. No package below it uses C.
//
// Where to begin:
//
//   - forward.go is the model, as formulas: embedding, layers, last norm, labels.
//   - layer.go ties the arrays of package checkpoint, which lists a model's parameters,
//     to the formulas; weights.go loads them.
//   - attention.go is the seam of attention. banded.go implements it for any device,
//     packed.go by kernels for a TPU or a GPU.
//   - run.go is a step on the device, layout.go has its arrays, and kvcache.go is the KV
//     cache.
//   - costs.go, memory.go and runs.go say of an engine that need not exist how long its
//     steps take, how much memory it has, and which programs it runs.
package model
