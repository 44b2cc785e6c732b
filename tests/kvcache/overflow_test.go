package kvcache

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"scored/model/checkpoint"
	"scored/score/plan"
)

const (
	largeToken = 400 // a token whose values in the first layer are near the largest float32
	largeFrom  = 7   // the number of its embedding that causes this; 0 for every other token
)

// TestLargeValuesStayInTheirPrefix: a row beside a prefix whose values add up to infinity
// scores as it does alone. The prefix lies in a block of the context before the row's own
// keys, in the same block, or behind it.
func TestLargeValuesStayInTheirPrefix(t *testing.T) {
	query := tokens(1, 40)
	large := make([]int32, 128)
	for i := range large {
		large[i] = largeToken
	}
	b := buckets()[1]
	for name, c := range ways() {
		t.Run(name, func(t *testing.T) {
			_, e := openOn(t, c.options, c.how, largeValues(t))
			for i := 0; i < len(large); i += 64 {
				run(t, e, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{{Slots: slots(0, i+64), New: large[i : i+64]}}})
			}
			sound := plan.Prefix{Slots: slots(200, 40), New: query}
			for _, step := range []struct {
				name string
				*plan.Step
			}{
				{"a block before", &plan.Step{Bucket: b, Prefixes: []plan.Prefix{{Slots: slots(0, 128)}, sound}, Rows: []plan.Row{row(1, 40, query, 4), row(0, 0, query, 5)}}},
				{"a block with it", &plan.Step{Bucket: b, Prefixes: []plan.Prefix{{Slots: slots(0, 60)}, sound}, Rows: []plan.Row{row(1, 40, query, 4)}}},
				{"a block behind", &plan.Step{Bucket: b, Prefixes: []plan.Prefix{sound, {Slots: slots(0, 128)}}, Rows: []plan.Row{row(0, 40, query, 4)}}},
			} {
				pending, err := e.Run(step.Step)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, e, step.name, step.Step, pending, c.rule)
			}
		})
	}
}

// largeValues returns a checkpoint of the generated weights, with largeToken's embedding
// changed.
func largeValues(t *testing.T) checkpoint.Source {
	t.Helper()
	const embedding, values = "model.embed_tokens.weight", "model.layers.0.self_attn.v_proj.weight"
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, data := map[string]entry{}, &bytes.Buffer{}
	generated := checkpoint.Generate(config(), 1)
	for _, spec := range config().Tensors() {
		tensor, err := generated.Tensor(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		numbers := make([]float32, spec.Size())
		tensor.Float32(numbers, 0)
		for at := largeFrom; at < len(numbers); at += config().HiddenSize {
			switch {
			case spec.Name == embedding && at/config().HiddenSize == largeToken:
				numbers[at] = 4 // most of the vector: normed nearly sqrt(HiddenSize) = 8 times the norm's weight, at most 1.25
			case spec.Name == embedding:
				numbers[at] = 0
			case spec.Name == values:
				numbers[at] = 2.5e37
			}
		}
		begin := data.Len()
		if err := binary.Write(data, binary.LittleEndian, numbers); err != nil {
			t.Fatal(err)
		}
		header[spec.Name] = entry{"F32", spec.Shape, [2]int{begin, data.Len()}}
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), append(head, data.Bytes()...)...)
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Open(dir, config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
