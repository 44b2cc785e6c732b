// Package hlo reads optimized programs as XLA's compilers give them, and says what they
// cost: bytes moved, the compiler's estimate of cycles, and operations that a GPU
// launches.
//
// It reads protobuf fields by their numbers, and must not know who compiled a program.
// Begin with Read.
package hlo

import (
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// module is what traffic and cycles need to know of an optimized program: the fields of
// HloModuleProto, xla/service/hlo.proto, and ShapeProto, xla/xla_data.proto, by their
// numbers there.
type module struct {
	entry        int64
	computations map[int64]map[int64]*instruction // by the ids of computation and instruction
	roots        map[int64]int64                  // the id of each computation's result
}

type instruction struct {
	id, parameter    int64
	cycles           int64 // the compiler's estimate; 0 if it has none
	opcode           string
	target           string // of a custom call
	shape            shape
	operands, called []int64
}

// shape is an array, or a tuple of parts.
type shape struct {
	element    int64 // PrimitiveType
	dimensions []int64
	space      int64 // memory space; 0 is main memory
	parts      []shape
}

func (s shape) bytes() int64 { return s.sum(func(shape) bool { return true }) }

// inMain is the part of it that is in main memory.
func (s shape) inMain() int64 { return s.sum(func(s shape) bool { return s.space == 0 }) }

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

// elementBytes is the size of a PrimitiveType; 0 of what holds no numbers, such as
// tuples and tokens.
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

// parse reads an HloModuleProtoWithConfig.
func parse(message []byte) (*module, error) {
	m := &module{computations: map[int64]map[int64]*instruction{}, roots: map[int64]int64{}}
	err := eachField(message, func(number protowire.Number, _ int64, value []byte) error {
		if number != 1 {
			return nil
		}
		return eachField(value, func(number protowire.Number, n int64, value []byte) error {
			switch number {
			case 3:
				return m.addComputation(value)
			case 6:
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

func (m *module) addComputation(message []byte) error {
	var id, root int64
	instructions := map[int64]*instruction{}
	err := eachField(message, func(number protowire.Number, n int64, value []byte) error {
		switch number {
		case 2:
			op, err := parseInstruction(value)
			instructions[op.id] = op
			return err
		case 5:
			id = n
		case 6:
			root = n
		}
		return nil
	})
	m.computations[id], m.roots[id] = instructions, root
	return err
}

func parseInstruction(message []byte) (*instruction, error) {
	op := &instruction{}
	err := eachField(message, func(number protowire.Number, n int64, value []byte) (err error) {
		switch number {
		case 2:
			op.opcode = string(value)
		case 3:
			op.shape, err = parseShape(value)
		case 9:
			op.parameter = n
		case 28:
			op.target = string(value)
		case 35:
			op.id = n
		case 36:
			op.operands, err = appendNumbers(op.operands, n, value)
		case 38:
			op.called, err = appendNumbers(op.called, n, value)
		case 43:
			op.cycles = estimatedCycles(value)
		}
		return err
	})
	return op, err
}

// estimatedCycles finds in an instruction's backend_config what libtpu writes into it,
// "estimated_cycles":"123" within its "window_config"; 0 if there is none.
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

func parseShape(message []byte) (s shape, err error) {
	err = eachField(message, func(number protowire.Number, n int64, value []byte) (err error) {
		switch number {
		case 2:
			s.element = n
		case 3:
			s.dimensions, err = appendNumbers(s.dimensions, n, value)
		case 4:
			var part shape
			part, err = parseShape(value)
			s.parts = append(s.parts, part)
		case 5: // layout
			err = eachField(value, func(number protowire.Number, n int64, _ []byte) error {
				if number == 8 {
					s.space = n
				}
				return nil
			})
		}
		return err
	})
	return s, err
}

// appendNumbers takes a repeated number, packed or not.
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

// eachField calls yield with a message's fields in order: value is that of a string or
// message, else nil.
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
