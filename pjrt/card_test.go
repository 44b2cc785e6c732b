package pjrt

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestCards: each has a description that names its device, and others are refused with
// the names there are.
func TestCards(t *testing.T) {
	for topology, want := range map[string]string{"cuda:h100": "NVIDIA H100 80GB HBM3", "cuda:l4": "NVIDIA L4"} {
		if card, err := FindCard(topology); err != nil || card.Device != want {
			t.Errorf("%s is %q, %v; want %q", topology, card.Device, err, want)
		}
	}
	for _, name := range Cards() {
		if card, err := FindCard(name); err != nil || !strings.Contains(card.config, "shared_memory_per_block_optin") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"h100", "cuda:", "cuda:h900", "cuda:../cards/h100", "v6e:1x1"} {
		if _, err := FindCard(name); err == nil || !strings.Contains(err.Error(), "cuda:a100, cuda:b200, cuda:h100, cuda:h200, cuda:l4") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCompileForCard compiles for every card without one, and takes an error for what
// does not compile.
func TestCompileForCard(t *testing.T) {
	path := os.Getenv("SCORED_TEST_CUDA")
	if path == "" {
		t.Skip("SCORED_TEST_CUDA does not name the CUDA plugin")
	}
	var program, options []byte
	p := openTest(t, Options{Capture: func(_ string, code, opts []byte) {
		program, options = slices.Clone(code), slices.Clone(opts)
	}})
	square(t, p, "square", 256).Finalize()
	options = withOverrides(options, map[string]string{"xla_gpu_per_fusion_autotune_cache_dir": t.TempDir()}) // the plugin knows it
	for _, name := range Cards() {
		card, err := FindCard(name)
		if err != nil {
			t.Fatal(err)
		}
		topology, err := OpenCard(path, card)
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := topology.Compile(program, options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		const bytes = 256 * 256 * 4
		if k := compiled.Kernels; k.Products != 1 || k.All < 1 || compiled.Traffic < 2*bytes || !slices.Equal(topology.target.devices, []string{card.Device}) {
			t.Errorf("%s for %q: %+v, %v bytes moved", name, topology.target.devices, k, compiled.Traffic)
		}
		var own *Error
		if _, err := topology.Compile([]byte("not a program"), options); !errors.As(err, &own) {
			t.Errorf("compiling nonsense: %v", err)
		}
		topology.Close()
	}
}
