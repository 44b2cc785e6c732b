package golden

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
)

// TestLoRA scores with adapters as PEFT saves them, merged into generated weights, and
// compares with PEFT's answers.
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
			options := model.Options{DType: dtypes.Float32, Splicer: backend.splicer, Buckets: fewBuckets(), PrefixCacheBytes: cacheBytes(cfg)}
			scorer := scorerOf(t, backend.Backend, nil, cfg, adapted(t, cfg, file.Seed, m.Adapters), options)
			within := newChecker(cfg, options)
			for _, c := range m.Cases {
				c.request().check(t, scorer, within)
			}
			within.log(t)
		})
	}
}

// adapted returns generated weights with adapters of lora/ merged into them.
func adapted(t *testing.T, cfg checkpoint.Config, seed uint64, names []string) checkpoint.Source {
	t.Helper()
	var adapters []*checkpoint.Adapter
	for _, name := range names {
		a, err := checkpoint.OpenAdapter("lora/" + name)
		if err != nil {
			t.Fatal(err)
		}
		adapters = append(adapters, a)
	}
	weights, err := checkpoint.Merge(checkpoint.Generate(cfg, seed), cfg, adapters...)
	if err != nil {
		t.Fatal(err)
	}
	return weights
}
