package golden

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
)

// TestLoRA scores with adapters as PEFT saves them, merged into generated weights, and wants what PEFT answers.
func TestLoRA(t *testing.T) {
	var file struct {
		Seed   uint64
		Models []struct {
			Name     string
			Config   json.RawMessage
			Adapters []string
			Cases    []goldenCase
		}
	}
	readJSON(t, "lora", &file)
	backend := plugin(t)
	for _, m := range file.Models {
		t.Run(m.Name+" "+strings.Join(m.Adapters, " "), func(t *testing.T) {
			cfg := configOf(t, m.Config)
			var adapters []*model.Adapter
			for _, name := range m.Adapters {
				a, err := model.OpenAdapter("lora/" + name)
				if err != nil {
					t.Fatal(err)
				}
				adapters = append(adapters, a)
			}
			weights, err := model.Merge(model.Generate(cfg, file.Seed), cfg, adapters...)
			if err != nil {
				t.Fatal(err)
			}
			options := model.Options{DType: dtypes.Float32, Splicer: backend.splicer, Buckets: buckets(), PrefixCacheBytes: 1 << 26}
			scorer := scorerOf(t, backend.Backend, nil, cfg, weights, options)
			within := newChecker(cfg, options)
			for _, c := range m.Cases {
				c.request().check(t, scorer, within)
			}
			within.log(t)
		})
	}
}
