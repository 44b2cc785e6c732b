package e2e

import (
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scored/model/checkpoint"
)

// broken is the token whose embedding is NaN in the checkpoint of TestBug11NotANumber.
const broken = 77

// TestBug11NotANumber serves a checkpoint with NaN in one weight. Prompts that use it
// have no scores. Prompts beside them in the same step, and later ones, do.
func TestBug11NotANumber(t *testing.T) {
	scored := binary(t)
	for _, c := range []struct {
		name, tensor string
		at           func(cfg checkpoint.Config) int // index of the weight
		all          bool                            // every prompt uses it
	}{
		{"final norm", "model.norm.weight", func(checkpoint.Config) int { return 3 }, true},
		{"one embedding", "model.embed_tokens.weight", func(cfg checkpoint.Config) int { return broken * cfg.HiddenSize }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			zerosBut(t, dir, c.tensor, c.at)
			address, _ := launch(t, scored, "--port", "0", "--model-path", dir, "--offline", "--tokenizer-path", "../tokenizer/small",
				"--compile-cache", "../../.cache/compile", "--enable-metrics")
			client := client{t, address}
			long := strings.TrimSuffix(strings.Repeat("1,", 100), ",")
			for _, query := range []string{"", long, long + "," + fmt.Sprint(broken)} {
				for bad := range 4 {
					client.notANumber(query, bad, c.all || strings.HasSuffix(query, fmt.Sprint(broken)))
				}
			}
			if !c.all {
				client.score(fields{"query": []int{1, 2, 3}, "items": [][]int{{4}, {5, 6}}})
			}
			response, err := http.Get("http://" + address + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			if metrics := readAll(t, response); !strings.Contains(metrics, "scored_not_finite_total") || strings.Contains(metrics, "scored_not_finite_total 0") {
				t.Error("metrics count no item without a score")
			}
			waitFor(t, address, "/health", http.StatusOK) // the steps worked
		})
	}
}

// notANumber scores four items; item bad has the broken token. If all is true, the query
// has it too, or the fault is elsewhere, so that no item has a score.
func (c client) notANumber(query string, bad int, all bool) {
	c.Helper()
	items := []string{"[1,2]", "[5]", "[6,7,8,9]"}
	items = slices.Insert(items, bad, fmt.Sprintf("[3,%d,4]", broken))
	body := `{"model":"m","query":[` + query + `],"items":[` + strings.Join(items, ",") + `],"label_token_ids":[89,78],"apply_softmax":true`
	status, text := post(c.T, c.address, "/v1/score", body+"}")
	first := bad
	if all {
		first = 0
	}
	want := fmt.Sprintf("items[%d] has no finite score", first)
	if status != http.StatusInternalServerError || !strings.Contains(text, want) || !json.Valid([]byte(text)) {
		c.Errorf("status %d, want 500 and %q: %s", status, want, text)
	}
	status, text = post(c.T, c.address, "/v1/score", body+`,"partial":true}`)
	var got struct {
		Scores [][]float64
		Errors []struct{ Index int }
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK {
		c.Fatalf("status %d: %s", status, text)
	}
	for i, row := range got.Scores {
		if failed := all || i == bad; failed != (row == nil) {
			c.Errorf("query of %d bytes, item %d broken: item %d scores %v; want it to fail: %t", len(query), bad, i, row, failed)
		}
	}
	if failures := len(got.Errors); all && failures != 4 || !all && (failures != 1 || got.Errors[0].Index != bad) {
		c.Errorf("errors %+v", got.Errors)
	}
}

// zerosBut writes a checkpoint of the small shape, with a head of its own, whose weights
// are all 0 but one, which is NaN.
func zerosBut(t *testing.T, dir, tensor string, at func(checkpoint.Config) int) {
	t.Helper()
	config, err := os.ReadFile("../models/small/config.json")
	if err != nil {
		t.Fatal(err)
	}
	config = []byte(strings.Replace(string(config), `"tie_word_embeddings": true`, `"tie_word_embeddings": false`, 1))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := checkpoint.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	header, size, place := map[string]any{}, 0, -1
	for _, spec := range cfg.Tensors() {
		if spec.Name == tensor {
			place = size + 4*at(cfg)
		}
		header[spec.Name] = map[string]any{"dtype": "F32", "shape": spec.Shape, "data_offsets": []int{size, size + 4*spec.Size()}}
		size += 4 * spec.Size()
	}
	text, err := json.Marshal(header)
	if err != nil || place < 0 {
		t.Fatalf("weight of %q: place %d, %v", tensor, place, err)
	}
	file, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	begin := append(endian.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
	if _, err := file.Write(begin); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(int64(len(begin) + size)); err != nil { // the zeros, which take no space on disk
		t.Fatal(err)
	}
	if _, err := file.WriteAt(endian.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN()))), int64(len(begin)+place)); err != nil {
		t.Fatal(err)
	}
}
