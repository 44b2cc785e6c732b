package pjrt

/*
#include <stdlib.h>
#include "capi.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// traffic is what an executable moves to and from the device's main memory by its optimized program; 0 if the plugin does
// not show one. "Bytes accessed" of its cost analysis is more: that counts every operation's inputs and outputs alike,
// those that never leave the fast memory of a TPU among them.
func (l library) traffic(executable *C.PJRT_Executable) (float64, error) {
	var code *C.char
	var size C.size_t
	if err := l.err(C.scored_optimized_program(l.api, executable, &code, &size)); err != nil {
		return 0, fmt.Errorf("optimized program cannot be read: %w", err)
	}
	if code == nil {
		return 0, nil
	}
	defer C.free(unsafe.Pointer(code))
	module, err := parseHLO(unsafe.Slice((*byte)(unsafe.Pointer(code)), int(size)))
	if err != nil {
		return 0, fmt.Errorf("optimized program cannot be read: %w", err)
	}
	return float64(module.traffic(module.entry)), nil
}

// traffic adds up a computation's operations. A loop's body counts once.
func (m *hloModule) traffic(computation int64) (bytes int64) {
	c := m.computations[computation]
	for _, op := range c {
		switch op.opcode {
		case "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all",
			"async-update", "async-done", "copy-done", "send-done", "recv-done":
			continue
		case "copy-start": // (to, from, context)
			if len(op.shape.parts) > 1 {
				bytes += op.shape.parts[0].inMain() + op.shape.parts[1].inMain()
			}
			continue
		case "call", "while", "conditional":
			for _, called := range op.called {
				bytes += m.traffic(called)
			}
			continue
		}
		written := op.shape
		if op.opcode == "async-start" && len(op.shape.parts) > 1 { // ((operands), result, context)
			written = op.shape.parts[1]
		}
		bytes += written.inMain()
		for i, operand := range op.operands {
			shape := c[operand].shape
			if main := shape.inMain(); main > 0 {
				bytes += min(main, m.reads(op, i, shape))
			}
		}
	}
	return bytes
}

// reads is how much of its operand an operation reads: of what is only sliced or gathered from, no more than that yields.
func (m *hloModule) reads(op *hloInstruction, operand int, shape hloShape) int64 {
	switch op.opcode {
	case "slice", "dynamic-slice", "gather":
		if operand == 0 {
			return op.shape.bytes()
		}
	case "fusion", "async-start", "call", "custom-call":
		if len(op.called) == 1 {
			return m.readsParameter(op.called[0], int64(operand), shape)
		}
	}
	return shape.bytes()
}

func (m *hloModule) readsParameter(computation, number int64, shape hloShape) (bytes int64) {
	c := m.computations[computation]
	for id, op := range c {
		if op.opcode != "parameter" || op.parameter != number {
			continue
		}
		for _, user := range c {
			for i, operand := range user.operands {
				if operand == id {
					bytes += m.reads(user, i, shape)
				}
			}
		}
	}
	return min(bytes, shape.bytes())
}
