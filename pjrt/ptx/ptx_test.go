package ptx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// said is what ptxas 13.5 prints of a kernel with too few registers.
const said = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'attend' for 'sm_90a'
ptxas info    : Function properties for attend
    16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 245 registers, used 1 barriers
ptxas info    : Compile time = 932.142 ms
`

func TestParse(t *testing.T) {
	if got, err := parse([]byte(said)); err != nil || got != (Use{245, 32}) {
		t.Errorf("use is %+v, %v; want 245 registers and 32 bytes", got, err)
	}
	for _, broken := range []string{"", "ptxas info    : Used 3 registers", said + said, strings.Replace(said, "245", "99999999999999999999", 1)} {
		if got, err := parse([]byte(broken)); err == nil {
			t.Errorf("%q is taken as %+v", broken, got)
		}
	}
}

// TestUses runs a program in ptxas's place, which prints what it does and wants its
// arguments.
func TestUses(t *testing.T) {
	packages := t.TempDir()
	plugin := filepath.Join(packages, "jax_plugins", "xla_cuda13", "plugin.so")
	if _, ok := Find(plugin); ok {
		t.Fatal("an assembler is found where none is")
	}
	write := func(mode os.FileMode, text string, path ...string) {
		t.Helper()
		name := filepath.Join(append([]string{packages}, path...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(0o755, "#!/bin/sh\ncase \"$*\" in *fails*) echo no such instruction >&2; exit 1;; *--gpu-name=sm_90a*) cat >&2 <<'END'\n"+said+"END\nesac\n", "nvidia", "cu13", "bin", "ptxas")
	write(0o644, "//\n.version 8.5\n.target sm_90a\n.visible .entry attend(\n", "dump", "a.1.ptx")
	write(0o644, ".target sm_90a\n.visible .entry attend(\n", "dump", "a.2.ptx") // another layer's
	write(0o644, ".target sm_80\n.visible .entry other(\n", "dump", "a.3.ptx")
	write(0o644, ".target sm_90a\n.entry broken(\n", "dump", "fails.ptx")
	a, ok := Find(plugin)
	if !ok {
		t.Fatal("the assembler is not found")
	}
	folder := filepath.Join(packages, "dump")
	if got, err := a.Uses(folder, "attend"); err != nil || len(got) != 1 || got["attend"] != (Use{245, 32}) {
		t.Errorf("uses are %+v, %v", got, err)
	}
	for name, want := range map[string]string{"missing": "is not among the 4", "broken": "no such instruction", "other": "ptxas says"} {
		if got, err := a.Uses(folder, "attend", name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want an error that says %q", name, got, err, want)
		}
	}
}
