package hlo

import "strings"

// Program is the cost of one execution of an optimized program. A loop's body counts
// once.
type Program struct {
	// Traffic is the bytes moved to and from the device's main memory. PJRT's figure
	// "bytes accessed" is larger: it has the inputs and outputs of every operation, also
	// those that never leave a TPU's fast memory.
	Traffic float64
	// Cycles is the sum of the compiler's estimates for its operations, by which it
	// chooses their tiles. Gathers and copies between memories have no estimate.
	Cycles  float64
	Kernels Kernels
}

// Kernels counts the operations that a GPU launches one by one.
type Kernels struct {
	All, Products int     // Products are those of All that multiply matrices
	OtherBytes    float64 // bytes that the others move to and from main memory
}

// Read reads an HloModuleProtoWithConfig. It returns an error for bytes that are no such
// message.
func Read(message []byte) (Program, error) {
	m, err := parse(message)
	if err != nil {
		return Program{}, err
	}
	return Program{float64(m.traffic(m.entry)), float64(m.cycles(m.entry)), m.kernels(m.entry)}, nil
}

// cycles adds up the estimates of a computation's operations.
func (m *module) cycles(computation int64) (cycles int64) {
	for _, op := range m.computations[computation] {
		cycles += op.cycles
		if op.isControl() {
			for _, called := range op.called {
				cycles += m.cycles(called)
			}
		}
	}
	return cycles
}

// traffic adds up the bytes that a computation's operations move.
func (m *module) traffic(computation int64) (bytes int64) {
	c := m.computations[computation]
	for _, op := range c {
		bytes += m.moved(c, op)
	}
	return bytes
}

// moved is the traffic of one operation of the computation c.
func (m *module) moved(c map[int64]*instruction, op *instruction) (bytes int64) {
	switch {
	case op.movesNothing():
		return 0
	case op.opcode == "copy-start": // (to, from, context)
		if len(op.shape.parts) > 1 {
			bytes = op.shape.parts[0].inMain() + op.shape.parts[1].inMain()
		}
		return bytes
	case op.isControl():
		for _, called := range op.called {
			bytes += m.traffic(called)
		}
		return bytes
	}
	bytes = m.written(c, op)
	for i, operand := range op.operands {
		shape := c[operand].shape
		if main := shape.inMain(); main > 0 {
			bytes += min(main, m.reads(op, i, shape))
		}
	}
	return bytes
}

// movesNothing reports whether an operation only names what others compute, or waits for
// it: an asynchronous operation counts where it starts.
func (op *instruction) movesNothing() bool {
	switch op.opcode {
	case "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all",
		"async-update", "async-done", "copy-done", "send-done", "recv-done":
		return true
	}
	return false
}

// isControl reports whether an operation's work is that of the computations it calls.
func (op *instruction) isControl() bool {
	return op.opcode == "call" || op.opcode == "while" || op.opcode == "conditional"
}

// kernels counts a computation's operations.
func (m *module) kernels(computation int64) (k Kernels) {
	c := m.computations[computation]
	for _, op := range c {
		switch {
		case op.movesNothing():
		case op.isControl():
			for _, called := range op.called {
				inner := m.kernels(called)
				k.All += inner.All
				k.Products += inner.Products
				k.OtherBytes += inner.OtherBytes
			}
		case m.multiplies(op):
			k.All++
			k.Products++
		default:
			k.All++
			k.OtherBytes += float64(m.moved(c, op))
		}
	}
	return k
}

// multiplies reports whether an operation is a matrix product: XLA's own, cuBLAS's, or
// one that is fused with other operations.
func (m *module) multiplies(op *instruction) bool {
	if op.opcode == "dot" || op.opcode == "custom-call" && strings.HasPrefix(op.target, "__cublas") {
		return true
	}
	if op.opcode != "fusion" {
		return false
	}
	for _, called := range op.called {
		for _, inner := range m.computations[called] {
			if m.multiplies(inner) {
				return true
			}
		}
	}
	return false
}

// written is the bytes that an operation writes to main memory.
func (m *module) written(c map[int64]*instruction, op *instruction) int64 {
	switch op.opcode {
	case "async-start":
		if len(op.shape.parts) > 1 { // ((operands), result, context)
			return op.shape.parts[1].inMain()
		}
	case "fusion":
		if len(op.called) == 1 {
			return m.writtenBy(op.called[0], op.shape)
		}
	}
	return updated(c, op, op.shape.inMain())
}

// updated is the part of an operation's result, in bytes, that is written. It is all of
// it, except that of an array that is updated in place only the update is written. op is
// nil if a message lacks it.
func updated(c map[int64]*instruction, op *instruction, result int64) int64 {
	switch {
	case op == nil:
	case op.opcode == "dynamic-update-slice" && len(op.operands) > 1:
		return min(result, c[op.operands[1]].shape.bytes())
	case op.opcode == "scatter" && len(op.operands) > 2: // array, indices, updates
		return min(result, c[op.operands[2]].shape.bytes())
	}
	return result
}

// writtenBy is the part of its result, in bytes, that a fused computation writes. It
// looks through bitcasts and tuples for the operations that compute the result.
func (m *module) writtenBy(computation int64, result shape) int64 {
	c := m.computations[computation]
	results, parts := []*instruction{c[m.roots[computation]]}, []shape{result}
	if root := results[0]; root != nil && root.opcode == "tuple" &&
		len(root.operands) == len(result.parts) {
		results, parts = nil, result.parts
		for _, id := range root.operands {
			results = append(results, c[id])
		}
	}
	var bytes int64
	for i, op := range results {
		for op != nil && op.opcode == "bitcast" && len(op.operands) == 1 {
			op = c[op.operands[0]]
		}
		bytes += updated(c, op, parts[i].inMain())
	}
	return bytes
}

// reads is the part of an operand, in bytes, that an operation reads. Of an array that it
// slices or gathers from, that is the size of its result; of one that it updates in
// place, nothing; of one that it hands to a computation, what that reads.
func (m *module) reads(op *instruction, operand int, shape shape) int64 {
	switch op.opcode {
	case "slice", "dynamic-slice", "gather":
		if operand == 0 {
			return op.shape.bytes()
		}
	case "dynamic-update-slice", "scatter":
		if operand == 0 {
			return 0
		}
	case "fusion", "async-start", "call", "custom-call":
		if len(op.called) == 1 {
			return m.readsParameter(op.called[0], int64(operand), shape)
		}
	}
	return shape.bytes()
}

// readsParameter is the part of its parameter that a computation reads, and no more than
// the whole: several operations may read the same bytes.
func (m *module) readsParameter(computation, number int64, shape shape) (bytes int64) {
	for id, op := range m.computations[computation] {
		if op.opcode == "parameter" && op.parameter == number {
			bytes += m.readsValue(computation, id, shape)
		}
	}
	return min(bytes, shape.bytes())
}

// readsValue is the sum of what the operations of a computation read of one value. A
// result is read in full.
func (m *module) readsValue(computation, id int64, shape shape) (bytes int64) {
	if id == m.roots[computation] {
		return shape.bytes()
	}
	for userID, user := range m.computations[computation] {
		for i, operand := range user.operands {
			switch {
			case operand != id:
			case user.opcode == "bitcast":
				bytes += m.readsValue(computation, userID, user.shape)
			default:
				bytes += m.reads(user, i, shape)
			}
		}
	}
	return bytes
}
