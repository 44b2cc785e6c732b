package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// TestLoRAFlag: folders are given one after the other or together, and one that is no
// adapter ends the start.
func TestLoRAFlag(t *testing.T) {
	want := []string{"a", "b", "c"}
	if c := parse(t, environment(), "--model-path", "m", "--lora", "a", "--lora=b,c"); !slices.Equal(c.LoRA, want) {
		t.Errorf("folders are %q, want %q", c.LoRA, want)
	}
	if c := parse(t, environment("SCORED_LORA", "a,b,c"), "--model-path", "m"); !slices.Equal(c.LoRA, want) {
		t.Errorf("folders of the environment are %q, want %q", c.LoRA, want)
	}
	for folder, said := range map[string]string{",": "must be a folder", t.TempDir(): "adapter_config.json", "no/such/folder": "adapter_config.json"} {
		var stderr strings.Builder
		status := run(t.Context(), []string{"serve", "--model-path", "no/model", "--offline", "--port", "0", "--lora", folder}, environment(), io.Discard, &stderr)
		if status == 0 || !strings.Contains(stderr.String(), "lora") || !strings.Contains(stderr.String(), said) {
			t.Errorf("--lora %s ends with status %d and %q, want %q", folder, status, stderr.String(), said)
		}
	}
}
