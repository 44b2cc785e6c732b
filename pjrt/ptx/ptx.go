// Package ptx tells what kernels take of a GPU's multiprocessor, by NVIDIA's assembler:
// the registers of each thread, and what spills out of them. It must not know who wrote
// a kernel. Begin with Find.
package ptx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// Use is what a kernel takes of a multiprocessor.
type Use struct {
	Registers int // of each thread
	// Spilled is the bytes that the code of a thread writes to memory and reads back
	// because registers are too few.
	Spilled int
}

// Assembler is NVIDIA's ptxas.
type Assembler struct{ path string }

// Find returns the assembler that is installed beside a CUDA plugin, in the layout of
// NVIDIA's wheels; ok is false if there is none.
func Find(plugin string) (a Assembler, ok bool) {
	packages := filepath.Join(filepath.Dir(plugin), "..", "..")
	found, err := filepath.Glob(filepath.Join(packages, "nvidia", "*", "bin", "ptxas"))
	if err != nil || len(found) == 0 {
		return Assembler{}, false
	}
	return Assembler{found[0]}, true
}

var (
	targetLine = regexp.MustCompile(`(?m)^\.target (sm_\w+)`)
	entryLine  = regexp.MustCompile(`(?m)^(?:\.visible )?\.entry (\w+)`)
)

// Uses assembles the kernels of these names among the PTX files of a folder, each for
// the GPU that its file names, and returns what they use, by name. It is an error if a
// name is not found, or two kernels of a name differ.
func (a Assembler) Uses(folder string, names ...string) (map[string]Use, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.ptx"))
	if err != nil {
		return nil, err
	}
	uses := map[string]Use{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		gpu, entry := targetLine.FindSubmatch(text), entryLine.FindSubmatch(text)
		if gpu == nil || entry == nil || !slices.Contains(names, string(entry[1])) {
			continue
		}
		use, err := a.use(file, string(gpu[1]))
		if err != nil {
			return nil, fmt.Errorf("kernel %s is not assembled: %w", entry[1], err)
		}
		if other, twice := uses[string(entry[1])]; twice && other != use {
			return nil, fmt.Errorf("kernel %s is there twice, and uses %+v and %+v", entry[1], other, use)
		}
		uses[string(entry[1])] = use
	}
	for _, name := range names {
		if _, found := uses[name]; !found {
			return nil, fmt.Errorf("kernel %s is not among the %d PTX files that the compiler wrote", name,
				len(files))
		}
	}
	return uses, nil
}

// use assembles one file.
func (a Assembler) use(file, gpu string) (Use, error) {
	var output bytes.Buffer
	command := exec.Command(a.path, "--verbose", "--gpu-name="+gpu, "--output-file="+os.DevNull, file)
	command.Stdout, command.Stderr = io.Discard, &output
	if err := command.Run(); err != nil {
		return Use{}, fmt.Errorf("%s: %w: %s", a.path, err, bytes.TrimSpace(output.Bytes()))
	}
	return parse(output.Bytes())
}

var (
	registers = regexp.MustCompile(`Used (\d+) registers`)
	spills    = regexp.MustCompile(`(\d+) bytes spill (?:stores|loads)`)
)

// parse reads what ptxas says of one kernel.
func parse(output []byte) (u Use, err error) {
	used, spilled := registers.FindSubmatch(output), spills.FindAllSubmatch(output, -1)
	if used == nil || len(spilled) != 2 {
		return Use{}, fmt.Errorf("ptxas says %q, want registers and spills of one kernel", output)
	}
	for _, number := range []struct {
		text []byte
		to   *int
	}{{used[1], &u.Registers}, {spilled[0][1], &u.Spilled}, {spilled[1][1], &u.Spilled}} {
		n, convert := strconv.Atoi(string(number.text))
		*number.to += n
		err = errors.Join(err, convert)
	}
	return u, err
}
