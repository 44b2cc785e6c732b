package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestClassifierConfig: classes and activation are those that transformers and vLLM
// read of a config.json.
func TestClassifierConfig(t *testing.T) {
	published, err := os.ReadFile(filepath.Join("testdata", "config", "Qwen3-0.6B", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for fields, want := range map[string]struct {
		classes    []string
		activation Activation
	}{
		``:                                  {[]string{"LABEL_0", "LABEL_1"}, SoftmaxOf}, // what transformers leaves out
		`"num_labels": 1,`:                  {[]string{"LABEL_0"}, SigmoidOf},
		`"id2label": {"0": "yes"},`:         {[]string{"yes"}, SigmoidOf},
		`"id2label": {"1": "b", "0": "a"},`: {[]string{"a", "b"}, SoftmaxOf},
		`"num_labels": 1, "problem_type": "regression",`:                                                   {[]string{"LABEL_0"}, Logits},
		`"num_labels": 1, "problem_type": "single_label_classification",`:                                  {[]string{"LABEL_0"}, SigmoidOf},
		`"problem_type": "multi_label_classification",`:                                                    {[]string{"LABEL_0", "LABEL_1"}, SigmoidOf},
		`"num_labels": 1, "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},`: {[]string{"LABEL_0"}, Logits},
	} {
		text := strings.Replace(string(published), "Qwen3ForCausalLM", "Qwen3ForSequenceClassification", 1)
		cfg, err := parseConfig([]byte(strings.Replace(text, "{", "{"+fields, 1)))
		if err != nil {
			t.Fatalf("%s: %v", fields, err)
		}
		if !slices.Equal(cfg.Classes, want.classes) || cfg.Activation != want.activation || cfg.TieEmbeddings {
			t.Errorf("%s: classes %q by %s, tied %t; want %q by %s", fields, cfg.Classes, cfg.Activation, cfg.TieEmbeddings, want.classes, want.activation)
		}
		specs := cfg.Tensors()
		if last := specs[len(specs)-1]; last.Name != classesName || !slices.Equal(last.Shape, []int{len(want.classes), cfg.HiddenSize}) {
			t.Errorf("%s: the head is %v", fields, last)
		}
	}
}

// TestOpenClassifier: a classifier's checkpoint has its head; another's, or one with a
// bias, is refused.
func TestOpenClassifier(t *testing.T) {
	cfg := smallConfig()
	cfg.TieEmbeddings, cfg.Classes, cfg.Activation = false, []string{"a", "b", "c"}, SoftmaxOf
	for want, change := range map[string]func(w *writer){
		"":             func(*writer) {},
		"score.weight": func(w *writer) { w.remove(classesName) },
		"[2 64]": func(w *writer) {
			w.entry(classesName).Shape, w.entry(classesName).data = []int{2, 64}, make([]byte, 2*64*4)
		},
		"score.bias": func(w *writer) { w.add("score.bias", "F32", 3) },
	} {
		dir := t.TempDir()
		w := newWriter(t, Generate(cfg, 9), cfg.Tensors(), "F32")
		change(w)
		w.save(dir, 1)
		c, err := Open(dir, cfg)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want %q", err, want)
		}
		if err == nil {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
