// Package app is the process as a library: it wires the model, the device, the tokenizer, the
// engines, the scorer and the server, runs them, and closes them in the reverse order.
//
// It knows every room of the house, and has no algorithm of its own. It must not know flags, the
// environment or the terminal: those are for cmd/scored, which turns them into Options. Faults of
// Options name them as the flags of scored serve do.
//
// Begin with Defaults, New and App.Run; Start.Load is the wiring.
package app
