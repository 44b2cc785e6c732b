// Package device runs scripts/device-check.sh in a small form on the CPU, so that the
// script works once a card is at hand.
package device

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"scored/pjrt/wheel"
	"scored/tests/process"
)

func TestMain(m *testing.M) { os.Exit(process.WithBinary(m.Run)) }

// results has the fields of results.json that the test reads.
type results struct {
	Golden struct {
		Verdicts map[string]string
	}
	Starts map[string]float64 `json:"start_s"`
	Loads  []struct {
		Workload string
		Clients  int
		Text     bool
		Items    float64 `json:"items_per_s"`
		Requests int
		Apart    *float64
	}
	Profile []string
	Failed  []string
	LeftOut []string `json:"left_out"`
}

// check runs the script on the CPU with a model of two small layers, and returns its exit
// status, output and results.
func check(t *testing.T, args ...string) (status int, said string, r results, table string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is missing")
	}
	plugin, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: "../../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("run `make setup` first: %v", err)
	}
	model, out := t.TempDir(), t.TempDir()
	config := `{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": 64, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "vocab_size": 512, "rms_norm_eps": 1e-6,
		"rope_theta": 1000000, "max_position_embeddings": 4096, "tie_word_embeddings": true}`
	if err := os.WriteFile(filepath.Join(model, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	all := append([]string{"../../scripts/device-check.sh", "--device", "cpu", "--plugin", plugin, "--scored", process.Binary(t), "--model", model, "--out", out,
		"--tokenizer", "../tokenizer/small", "--context-length", "2048", "--labels", "1,2", "--vocab", "256", "--seconds", "1", "--warmup", "0.1",
		"--profile-steps", "5", "--profile-seconds", "3", "--buckets", "256x64x256x0,256x64x256x2048"}, args...)
	cmd := exec.Command("sh", all...)
	cmd.Env = append(os.Environ(), "PYTHON="+python)
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	markdown, err := os.ReadFile(filepath.Join(out, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(output), r, string(markdown)
}

// golden builds the tests of tests/golden, compressed as for a machine without Go.
func golden(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "golden.test")
	if out, err := exec.Command("go", "test", "-ldflags=-w", "-c", "-o", path, "scored/tests/golden").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command("gzip", "-1", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path + ".gz"
}

// skipIfShort leaves the script to `make check`: it takes a minute.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("make check runs it")
	}
}

func TestDeviceCheck(t *testing.T) {
	skipIfShort(t)
	status, said, r, table := check(t, "--golden", golden(t), "--golden-vectors", "narrow", "--loads", "w2:2,s1:4", "--skip", "peer")
	if status != 0 || len(r.Failed)+len(r.LeftOut) > 0 || !strings.HasSuffix(strings.TrimSpace(said), "PASSED") {
		t.Fatalf("status %d\n%s", status, said)
	}
	for _, name := range []string{"TestOnDevice/native", "TestContractOnDevice/native"} {
		if r.Golden.Verdicts[name] != "PASS" {
			t.Errorf("%s is %q", name, r.Golden.Verdicts[name])
		}
	}
	if r.Starts["cold"] <= 0 || r.Starts["warm"] <= 0 {
		t.Errorf("starts took %v", r.Starts)
	}
	if len(r.Loads) != 4 {
		t.Fatalf("%d loads, want two as token ids and two as text", len(r.Loads))
	}
	for i, l := range r.Loads {
		if l.Items <= 0 || l.Requests < 1 || l.Text != (i >= 2) || (l.Apart == nil) != l.Text {
			t.Errorf("load %d is %+v", i, l)
		}
		if !strings.Contains(table, "| "+l.Workload+" |") {
			t.Errorf("table lacks %s:\n%s", l.Workload, table)
		}
	}
	if !strings.Contains(strings.Join(r.Profile, "\n"), "TIME PER EXECUTABLE") {
		t.Errorf("profile is %q", r.Profile)
	}
}

// TestDeviceCheckFails: the script names each check that fails and each part without
// time, and its exit status is 1.
func TestDeviceCheckFails(t *testing.T) {
	skipIfShort(t)
	for name, c := range map[string]struct {
		args       []string
		failed     string
		leftOut    int
		loads, bad int // measured
	}{
		"a server that does not start": {[]string{"--buckets", "256x64x256x0", "--skip", "golden,peer"}, "server is not ready", 0, 0, 1},
		"a prompt that is too long":    {[]string{"--loads", "w4:1", "--context-length", "600", "--skip", "golden,peer,text,profile"}, "failed with 400", 0, 1, 1},
		"no time":                      {[]string{"--loads", "w2:1", "--limit", "60", "--skip", "golden,peer,profile,text", "--seconds", "90"}, "", 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			status, said, r, table := check(t, c.args...)
			if status != 1 || len(r.Failed) != c.bad || len(r.LeftOut) != c.leftOut || len(r.Loads) != c.loads {
				t.Fatalf("status %d, failed %q, left out %q, %d loads\n%s", status, r.Failed, r.LeftOut, len(r.Loads), said)
			}
			if !strings.Contains(strings.Join(r.Failed, " "), c.failed) || !strings.Contains(table, c.failed) {
				t.Errorf("failed is %q, want %q\n%s", r.Failed, c.failed, table)
			}
		})
	}
}
