// Package app is the process as a library: it wires the model, the device, the
// tokenizer, the engines, the scorer and the server, runs them, and closes them in the
// reverse order.
//
// It may import every package that serving needs, and has no algorithm of its own. It
// must not read flags, the environment or the terminal: cmd/scored does, and turns them
// into Options. Errors about Options name the flags of scored serve.
//
// Begin with Defaults, New and App.Run; Start.Load is the wiring.
package app
