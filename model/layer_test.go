package model

import (
	"testing"

	"scored/model/checkpoint"
)

// TestLayerWeights: every array that a checkpoint may have in a layer has a place of
// its own among the weights.
func TestLayerWeights(t *testing.T) {
	cfg := smallConfig()
	cfg.QKNorm, cfg.QKVBias = true, true // all that any family has
	var w layerWeights
	seen := map[any]checkpoint.Role{}
	for _, array := range cfg.Layer() {
		place := w.of(array.Role)
		if other, taken := seen[place]; taken {
			t.Errorf("%s has the place of %s", array.Role, other)
		}
		seen[place] = array.Role
	}
	if len(seen) != 9 {
		t.Errorf("a layer has %d arrays, want 9", len(seen))
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown role has a place")
		}
	}()
	w.of("another")
}
