package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// The safetensors format (https://huggingface.co/docs/safetensors) is a header and then
// the tensors, end to end without holes. The header is its length in bytes as a
// little-endian number of eight bytes, and a JSON object that maps names to dtype, shape
// and data_offsets. Offsets count from the end of the header.

// maxHeader is the reference implementation's bound on the JSON object, in bytes.
const maxHeader = 100_000_000

// stored is one tensor of a safetensors file.
type stored struct {
	dtype      string // as in the header, e.g. "BF16"
	shape      []int
	begin, end int // offsets in the file, in bytes
}

// safetensorsBits returns the size of an element of one of the format's types, or 0 if
// the type is not known.
func safetensorsBits(dtype string) int {
	switch dtype {
	case "F64", "I64", "U64", "C64":
		return 64
	case "F32", "I32", "U32":
		return 32
	case "F16", "BF16", "I16", "U16":
		return 16
	case "BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ":
		return 8
	case "F6_E2M3", "F6_E3M2":
		return 6
	case "F4":
		return 4
	}
	return 0
}

// parseSafetensors reads the header of a file, given as a whole. It checks that each
// tensor has as many bytes as its shape needs, and that the tensors cover the file. So
// no later read can leave the file, and one that was cut short is found here.
func parseSafetensors(file []byte) (map[string]stored, error) {
	if len(file) < 8 {
		return nil, fmt.Errorf("file of %d bytes is too short for a safetensors header; it may not be "+
			"downloaded completely", len(file))
	}
	size := binary.LittleEndian.Uint64(file)
	if size > maxHeader {
		return nil, fmt.Errorf("header length %d is over %d; this is not a safetensors file", size,
			maxHeader)
	}
	if size > uint64(len(file)-8) {
		return nil, fmt.Errorf("header of %d bytes ends after the file of %d; it may not be downloaded "+
			"completely", size, len(file))
	}
	data := 8 + int(size)
	entries, err := decodeHeader(file[8:data])
	if err != nil {
		return nil, err
	}
	tensors := make(map[string]stored, len(entries))
	for name, entry := range entries {
		t, err := entry.check(data)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		tensors[name] = t
	}
	return tensors, checkCover(tensors, data, len(file))
}

// headerEntry is what the header says of a tensor.
type headerEntry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets []int  `json:"data_offsets"`
}

// decodeHeader decodes the JSON object name by name, because decoding it into a map
// would hide a name that is there twice.
func decodeHeader(header []byte) (map[string]headerEntry, error) {
	decoder := json.NewDecoder(bytes.NewReader(header))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("header is not a JSON object; this is not a safetensors file")
	}
	entries := map[string]headerEntry{}
	metadata := false
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("header is not valid JSON: %w", err)
		}
		name, _ := token.(string) // the decoder accepts no other key
		var entry headerEntry
		var into any = &entry
		_, twice := entries[name]
		if name == "__metadata__" {
			into, twice, metadata = &map[string]string{}, metadata, true
		}
		if err := decoder.Decode(into); err != nil {
			return nil, fmt.Errorf("header entry %q: %w", name, err)
		}
		if twice {
			return nil, fmt.Errorf("header has %q twice", name)
		}
		if name != "__metadata__" {
			entries[name] = entry
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("header is not valid JSON: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("header has more than one JSON value")
	}
	return entries, nil
}

// check checks that the tensor has as many bytes as its shape needs. data is the offset
// of the first tensor in the file.
func (e headerEntry) check(data int) (stored, error) {
	bits := safetensorsBits(e.DType)
	if bits == 0 {
		return stored{}, fmt.Errorf("dtype %q is unknown", e.DType)
	}
	if e.Shape == nil || len(e.Offsets) != 2 {
		return stored{}, errors.New("shape or data_offsets are missing")
	}
	begin, end := e.Offsets[0], e.Offsets[1]
	if begin < 0 || end < begin || end > math.MaxInt-data {
		return stored{}, fmt.Errorf("data_offsets %v are not a range", e.Offsets)
	}
	size := bits // of the tensor, kept from overflowing: the header may say anything
	for _, n := range e.Shape {
		if n < 0 || n > 0 && size > math.MaxInt/n {
			return stored{}, fmt.Errorf("shape %v is not possible", e.Shape)
		}
		size *= n
	}
	if size%8 != 0 || size/8 != end-begin {
		return stored{}, fmt.Errorf("shape %v of %s needs %d bits, data_offsets %v hold %d bytes",
			e.Shape, e.DType, size, e.Offsets, end-begin)
	}
	return stored{e.DType, e.Shape, data + begin, data + end}, nil
}

// checkCover checks that the tensors fill the file from offset data to its end, without
// overlap. fileSize is in bytes.
func checkCover(tensors map[string]stored, data, fileSize int) error {
	type place struct {
		name string
		stored
	}
	places := make([]place, 0, len(tensors))
	for name, t := range tensors {
		places = append(places, place{name, t})
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.begin != b.begin {
			return a.begin - b.begin
		}
		return a.end - b.end // empty tensors first
	})
	covered, last := data, "the header"
	for _, p := range places {
		switch {
		case p.begin < covered:
			return fmt.Errorf("tensor %q begins inside %q", p.name, last)
		case p.begin > covered:
			return fmt.Errorf("%d unused bytes before tensor %q", p.begin-covered, p.name)
		case p.end > fileSize:
			return fmt.Errorf("tensor %q ends at byte %d of a file of %d; it may not be downloaded "+
				"completely", p.name, p.end, fileSize)
		}
		covered, last = p.end, p.name
	}
	if covered != fileSize {
		return fmt.Errorf("%d unused bytes after the last tensor", fileSize-covered)
	}
	return nil
}
