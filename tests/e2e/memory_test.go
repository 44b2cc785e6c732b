package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"scored/tests/process"
)

// TestNoMemoryAtStart: a device without memory for the model ends the start with one
// sentence that has the remedy, however long the plugin's own text is.
func TestNoMemoryAtStart(t *testing.T) {
	plugin, failing := failingPlugin(t)
	text := "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1073741824 bytes.\n" + strings.Repeat("BFC chunk\n", 30)
	if err := os.WriteFile(failing, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary(t), append([]string{"serve", "--port", "0", "--plugin-dir", "../../.cache/plugins"},
		tinyArgs(process.FewShapes("--plugin", plugin)...)...)...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the server started\n%s", out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	for _, part := range []string{"memory of the device ran out", "trying to allocate 1073741824 bytes", "weights 37 MiB", "lower --prefix-cache-bytes"} {
		if !strings.Contains(last, part) {
			t.Errorf("the last line lacks %q: %s", part, last)
		}
	}
	if strings.Contains(string(out), "BFC chunk") {
		t.Errorf("the plugin's text is told in full:\n%s", out)
	}
}
