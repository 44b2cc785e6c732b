package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
)

// options are the defaults for a device, which must be good.
func options(t *testing.T, device string) Options {
	t.Helper()
	o := Defaults()
	o.ModelPath, o.Device = "m", device
	checked(t, o)
	return o
}

// checked is the Options, which must be good.
func checked(t *testing.T, o Options) *Checked {
	t.Helper()
	c, err := o.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWrongKernelsAreNotUsed: a device whose kernels give wrong numbers, or that does
// not take them, gets attention without.
func TestWrongKernelsAreNotUsed(t *testing.T) {
	for _, device := range []string{"tpu", "cuda"} {
		t.Run(device, func(t *testing.T) { wrongKernelsAreNotUsed(t, device) })
	}
}

func wrongKernelsAreNotUsed(t *testing.T, device string) {
	path, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: "../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("run `make setup` first: %v", err)
	}
	cfg, err := checkpoint.LoadConfig("../tests/models/tiny")
	if err != nil {
		t.Fatal(err)
	}
	cfg.HeadDim, cfg.Heads, cfg.KVHeads = 128, 4, 2 // which kernels take
	cfg.VocabSize = 512                             // whatever it is, it is no matter here
	mark, unknown := []byte(`"stablehlo.optimization_barrier"`), []byte(`"stablehlo.unknown"`)
	end := regexp.MustCompile(`%\w+, %\w+ = "stablehlo\.optimization_barrier"\((%\w+), %\w+\) : \((tensor<\w+>)`)
	for name, c := range map[string]struct {
		rewrite func(s *model.Splicer, program []byte) []byte
		says    string // why attention falls back; "" where it does not
	}{
		// The calls are placed, and then a device runs that computes their formula.
		"kernels that are right": {func(s *model.Splicer, program []byte) []byte { s.Rewrite(program); return program }, ""},
		"marks are not found": {func(s *model.Splicer, program []byte) []byte {
			s.Rewrite(bytes.ReplaceAll(program, mark, unknown))
			return program
		}, "calls 0 kernels, not 2"},
		"one of two marks is not found": {func(s *model.Splicer, program []byte) []byte {
			s.Rewrite(bytes.Replace(program, mark, unknown, 1))
			return program
		}, "calls 1 kernels, not 2"},
		"wrong numbers": {func(s *model.Splicer, program []byte) []byte {
			s.Rewrite(program)
			ends := end.FindAllSubmatchIndex(program, -1)
			if ends == nil {
				return program
			}
			at := ends[len(ends)-1]
			result, kind := program[at[2]:at[3]], program[at[4]:at[5]]
			negated := fmt.Appendf(nil, "%%wrong = \"stablehlo.negate\"(%s) : (%s) -> %s\n    ", result, kind, kind)
			return slices.Concat(program[:at[0]], negated, program[at[0]:at[2]], []byte("%wrong"), program[at[3]:])
		}, "numbers of check_"},
		"no kernels at all": {(*model.Splicer).Rewrite, "does not compile"}, // the CPU knows none
	} {
		if device == "cuda" && c.says != "" && c.says != "numbers of check_" && c.says != "does not compile" {
			continue // what the Splicer finds is the same for all devices
		}
		t.Run(name, func(t *testing.T) {
			splicer := model.NewSplicer(cfg)
			plugin, err := pjrt.Open(path, pjrt.Options{
				CacheDir: "../.cache/compile",
				Rewrite:  func(program []byte) []byte { return c.rewrite(splicer, program) },
			})
			if err != nil {
				t.Fatal(err)
			}
			var said lines
			o := options(t, device)
			o.ContextLength, o.Buckets, o.Log = 128, "128x8x128x0,128x8x128x128", slog.New(slog.NewTextHandler(&said, nil))
			start := NewStart(checked(t, o))
			engines, _, err := start.loadEngines(t.Context(), plugin, splicer, &Source{Config: cfg, Weights: checkpoint.Generate(cfg, 1)})
			if err != nil || len(engines) != 1 {
				t.Fatalf("%d engines, %v", len(engines), err)
			}
			fell, why := strings.Contains(said.String(), "--attention-backend native"), strings.Contains(said.String(), c.says)
			if fell != (c.says != "") || !why || fell != (start.Device.Attention == "native") {
				t.Errorf("attention is %s, want it to fall back because %q; the log says %q", start.Device.Attention, c.says, said.String())
			}
			if err := errors.Join(start.Close(), plugin.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
