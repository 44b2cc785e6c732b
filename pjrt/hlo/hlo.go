// Package hlo reads optimized programs as XLA's compilers return them, and adds up their
// cost: bytes moved to and from main memory, the compiler's estimate of cycles, and the
// kernels that a GPU launches.
//
// A program is a module of computations, and a computation is a graph of instructions.
// XLA's own messages are not imported, because they would bring in all of XLA: the few
// fields that matter are read by their numbers. The package must not know who compiled a
// program. Begin with Read.
package hlo

import (
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// module is the part of an optimized program that its cost depends on: fields of
// HloModuleProto, xla/service/hlo.proto, and ShapeProto, xla/xla_data.proto. It is made
// of bytes that nobody checked, so an id in it may lead nowhere.
type module struct {
	entry        int64                            // the id of the computation that is the program
	computations map[int64]map[int64]*instruction // by the ids of computation and instruction
	roots        map[int64]int64                  // the id of each computation's result
}

// instruction is one operation of a computation.
type instruction struct {
	id        int64 // within its computation
	parameter int64 // of a parameter, its position
	cycles    int64 // the compiler's estimate; 0 if it has none
	opcode    string
	target    string // of a custom call, the function
	shape     shape  // of the result
	operands  []int64
	called    []int64 // ids of computations: of a fusion, a call, a loop or a branch
}

// shape is an array, or a tuple of parts.
type shape struct {
	element    int64 // PrimitiveType
	dimensions []int64
	space      int64 // memory space; 0 is main memory
	parts      []shape
}

// bytes is the size of the array, or of all parts.
func (s shape) bytes() int64 { return s.sum(func(shape) bool { return true }) }

// inMain is the size of what is in main memory.
func (s shape) inMain() int64 { return s.sum(func(s shape) bool { return s.space == 0 }) }

// sum adds up the sizes of the arrays that count.
func (s shape) sum(counts func(shape) bool) (bytes int64) {
	for _, part := range s.parts {
		bytes += part.sum(counts)
	}
	if len(s.parts) > 0 || !counts(s) {
		return bytes
	}
	bytes = elementBytes(s.element)
	for _, n := range s.dimensions {
		bytes *= n
	}
	return bytes
}

// elementBytes is the size of a PrimitiveType; 0 of one that holds no numbers, such as a
// tuple or a token.
func elementBytes(element int64) int64 {
	switch element {
	case 1, 2, 6, 19, 20, 23, 24, 25: // PRED, S8, U8, the eight-bit floats
		return 1
	case 3, 7, 10, 16: // S16, U16, F16, BF16
		return 2
	case 4, 8, 11: // S32, U32, F32
		return 4
	case 5, 9, 12, 15: // S64, U64, F64, C64
		return 8
	}
	return 0
}

// parse reads an HloModuleProtoWithConfig, whose field 1 is the module.
func parse(message []byte) (*module, error) {
	m := &module{computations: map[int64]map[int64]*instruction{}, roots: map[int64]int64{}}
	err := eachField(message, func(number protowire.Number, _ int64, value []byte) error {
		if number != 1 {
			return nil
		}
		return eachField(value, func(number protowire.Number, n int64, value []byte) error {
			switch number {
			case 3: // computations
				return m.addComputation(value)
			case 6: // entry_computation_id
				m.entry = n
			}
			return nil
		})
	})
	if err == nil && m.computations[m.entry] == nil {
		err = errors.New("module has no entry computation")
	}
	return m, err
}

// addComputation reads an HloComputationProto.
func (m *module) addComputation(message []byte) error {
	var id, root int64
	instructions := map[int64]*instruction{}
	err := eachField(message, func(number protowire.Number, n int64, value []byte) error {
		switch number {
		case 2: // instructions
			op, err := parseInstruction(value)
			instructions[op.id] = op
			return err
		case 5: // id
			id = n
		case 6: // root_id
			root = n
		}
		return nil
	})
	m.computations[id], m.roots[id] = instructions, root
	return err
}

// parseInstruction reads an HloInstructionProto.
func parseInstruction(message []byte) (*instruction, error) {
	op := &instruction{}
	err := eachField(message, func(number protowire.Number, n int64, value []byte) (err error) {
		switch number {
		case 2: // opcode
			op.opcode = string(value)
		case 3: // shape
			op.shape, err = parseShape(value)
		case 9: // parameter_number
			op.parameter = n
		case 28: // custom_call_target
			op.target = string(value)
		case 35: // id
			op.id = n
		case 36: // operand_ids
			op.operands, err = appendNumbers(op.operands, n, value)
		case 38: // called_computation_ids
			op.called, err = appendNumbers(op.called, n, value)
		case 43: // backend_config
			op.cycles = estimatedCycles(value)
		}
		return err
	})
	return op, err
}

// estimatedCycles reads the estimate that libtpu writes into an instruction's
// backend_config, "estimated_cycles":"123" within its "window_config"; 0 if there is
// none.
func estimatedCycles(config []byte) int64 {
	var read struct {
		Window struct {
			Cycles int64 `json:"estimated_cycles,string"`
		} `json:"window_config"`
	}
	if json.Unmarshal(config, &read) != nil {
		return 0 // another backend's
	}
	return read.Window.Cycles
}

// parseShape reads a ShapeProto.
func parseShape(message []byte) (s shape, err error) {
	err = eachField(message, func(number protowire.Number, n int64, value []byte) (err error) {
		switch number {
		case 2: // element_type
			s.element = n
		case 3: // dimensions
			s.dimensions, err = appendNumbers(s.dimensions, n, value)
		case 4: // tuple_shapes
			var part shape
			part, err = parseShape(value)
			s.parts = append(s.parts, part)
		case 5: // layout
			err = eachField(value, func(number protowire.Number, n int64, _ []byte) error {
				if number == 8 { // memory_space
					s.space = n
				}
				return nil
			})
		}
		return err
	})
	return s, err
}

// appendNumbers appends a repeated number: n, or all in packed if that is not nil.
// Encoders may write either form.
func appendNumbers(to []int64, n int64, packed []byte) ([]int64, error) {
	if packed == nil {
		return append(to, n), nil
	}
	for len(packed) > 0 {
		v, size := protowire.ConsumeVarint(packed)
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		to, packed = append(to, int64(v)), packed[size:]
	}
	return to, nil
}

// eachField calls yield with a message's fields in order. n is the value of a varint;
// value is that of a string or message, else nil. The first error ends it.
func eachField(message []byte, yield func(number protowire.Number, n int64,
	value []byte) error) error {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		var n uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(message)
		default:
			size = protowire.ConsumeFieldValue(number, kind, message)
		}
		if size < 0 {
			return fmt.Errorf("field %d: %w", number, protowire.ParseError(size))
		}
		if err := yield(number, int64(n), value); err != nil {
			return err
		}
		message = message[size:]
	}
	return nil
}
