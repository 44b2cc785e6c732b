package pjrt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"scored/pjrt/ptx"
)

// kernelUses finds out what some kernels of a program use. The zero value finds out
// nothing.
type kernelUses struct {
	assembler ptx.Assembler
	names     []string // of the kernels; none if there is no assembler
}

func newKernelUses(plugin string, names []string) kernelUses {
	assembler, ok := ptx.Find(plugin)
	if !ok {
		return kernelUses{}
	}
	return kernelUses{assembler, names}
}

// in reports whether a program calls the kernels: it has their names as strings.
func (k kernelUses) in(program []byte) bool {
	for _, name := range k.names {
		if !bytes.Contains(program, []byte(strconv.Quote(name))) {
			return false
		}
	}
	return len(k.names) > 0
}

// of compiles a program with options that make XLA write the PTX of its kernels into a
// folder, and assembles those that are asked for.
func (k kernelUses) of(options []byte,
	compile func(options []byte) error) (uses map[string]ptx.Use, err error) {
	folder, err := os.MkdirTemp("", "scored-ptx-")
	if err != nil {
		return nil, fmt.Errorf("folder for PTX cannot be made: %w; set TMPDIR to one that can be "+
			"written", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	err = compile(withOverrides(options, map[string]string{"xla_dump_to": folder,
		"xla_dump_emitter_re": "ptx"}))
	if err != nil {
		return nil, err
	}
	return k.assembler.Uses(folder, k.names...)
}
