// Package model runs dense decoders with grouped-query attention, such as Qwen3, Qwen2
// and Llama, on a GoMLX backend: it reads checkpoints, builds the forward pass as
// programs of a few step shapes, and runs steps on one device. Engine implements
// score.Engine.
//
// It must not know HTTP, queues, requests, tokenizers or plugins: a step comes in,
// log-probabilities go out, and a device is whatever backend it is given. No package
// below it uses C.
//
// Where to begin:
//
//   - forward.go is the model, as formulas: embed, layer, last norm, labels.
//   - layer.go is the one table of a layer's parameters, from which loading and
//     programs follow.
//   - attention.go is the seam of attention: banded.go is it for any device, packed.go
//     by kernels for a TPU or a GPU.
//   - run.go is a step on the device; kvcache.go is the KV cache and layout.go what a
//     step's arrays hold.
//   - checkpoint_open.go reads safetensors; family.go has what the models differ in.
package model
