package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"scored/model"
	"scored/pjrt"
)

// TestAttentionBackend: kernels where they fit, and nowhere else.
func TestAttentionBackend(t *testing.T) {
	for line, want := range map[string]bool{
		"--device tpu": true,
		"--device tpu --attention-backend fa_mha":                         true,
		"--device tpu --context-length 512":                               true,
		"--device tpu --buckets 256x8x64x128":                             true,
		"--device tpu --attention-backend native":                         false,
		"--device tpu --attention-backend dsa_sparse":                     false,
		"--device tpu --dtype float32":                                    false,
		"--device tpu --buckets 64x8x64x128":                              false, // fewer tokens than a kernel takes at a time
		"--device cuda":                                                   true,
		"--device cuda --attention-backend native":                        false,
		"--device cuda --dtype float32":                                   false,
		"--device cuda --context-length 40960":                            true,
		"--device cuda --buckets 64x8x64x64":                              true,
		"--device cuda --buckets 32x8x32x64":                              false, // fewer tokens than a kernel takes at a time
		"--device cpu --attention-backend fa":                             false,
		"--device tpu --context-length 262144 --chunked-prefill-size 256": false, // such a prefix does not fit fast memory
	} {
		options, _, err := parse(t, environment(), append([]string{"--model", "m"}, strings.Fields(line)...)...).engineOptions(model.Qwen3_0_6B())
		if err != nil || options.Kernels.Any() != want {
			t.Errorf("%s: kernels %t, %v; want %t", line, options.Kernels.Any(), err, want)
		}
	}
}

// TestWrongKernelsAreNotUsed: a device whose kernels give wrong numbers, or that does not take them, gets attention without.
func TestWrongKernelsAreNotUsed(t *testing.T) {
	for _, device := range []string{"tpu", "cuda"} {
		t.Run(device, func(t *testing.T) { wrongKernelsAreNotUsed(t, device) })
	}
}

func wrongKernelsAreNotUsed(t *testing.T, device string) {
	path, err := pjrt.Resolve(t.Context(), "cpu", pjrt.FetchOptions{Folder: "../../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("run `make setup` first: %v", err)
	}
	cfg, err := model.LoadConfig(kernelModel(t))
	if err != nil {
		t.Fatal(err)
	}
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
			plugin, err := pjrt.Open(path, pjrt.Options{Rewrite: func(program []byte) []byte { return c.rewrite(splicer, program) }})
			if err != nil {
				t.Fatal(err)
			}
			flags := parse(t, environment(), "--model", "m", "--device", device, "--context-length", "128", "--buckets", "128x8x128x0,128x8x128x128")
			var said strings.Builder
			var opened closers
			progress := newProgress(slog.New(slog.DiscardHandler), time.Hour)
			defer progress.close()
			found := &source{config: cfg, weights: model.Generate(cfg, 1)}
			engines, _, err := flags.loadEngines(t.Context(), plugin, splicer, found, slog.New(slog.NewTextHandler(&said, nil)), progress, &opened)
			if err != nil || len(engines) != 1 {
				t.Fatalf("%d engines, %v", len(engines), err)
			}
			fell, why := strings.Contains(said.String(), "--attention-backend native"), strings.Contains(said.String(), c.says)
			if fell != (c.says != "") || !why || fell != (flags.Attention == "native") {
				t.Errorf("attention is %s, want it to fall back because %q; the log says %q", flags.Attention, c.says, said.String())
			}
			if err := errors.Join(opened.close(), plugin.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
