// Package checkpoint reads what a model is on disk, in the formats of Hugging Face: its
// shape from config.json, its weights from safetensors files, and LoRA adapters, which
// it merges into the weights as they are read. Weights can also be generated from a
// seed, for tests and measurements without a checkpoint.
//
// It must not know graphs, devices or engines: package model imports it and decides
// where weights go. It opens no connection; package hub fetches files. What a file
// holds is checked before it is used, since anyone may have written it.
//
// Where to begin:
//
//   - config.go is Config, the shape that all else follows from. config_json.go reads
//     it; family.go has what the kinds of models differ in.
//   - tensors.go is the one table of a model's parameters.
//   - source.go is Source, by which package model reads weights. Files (open.go),
//     Generated (generate.go) and the result of Merge (lora_merge.go) implement it.
//   - safetensors.go reads the header of a file, and numbers.go converts its numbers.
package checkpoint
