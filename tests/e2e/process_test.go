package e2e

import (
	"os"
	"os/exec"
	"testing"

	"scored/tests/process"
)

func TestMain(m *testing.M) { os.Exit(process.WithBinary(m.Run)) }

// binary is the path of the binary to test.
func binary(t *testing.T) string {
	t.Helper()
	return process.Binary(t)
}

// start serves on a free port and returns its address and the process.
func start(t *testing.T, args ...string) (string, *exec.Cmd) {
	t.Helper()
	return launch(t, binary(t), append([]string{"--port", "0"}, args...)...)
}

// launch serves with a binary and few step shapes until the test ends, and returns when
// the server is ready.
func launch(t *testing.T, scored string, args ...string) (string, *exec.Cmd) {
	t.Helper()
	return process.Launch(t, scored, append([]string{"--context-length", "2048", "--buckets",
		"64x1x64x0,320x1x320x0,128x8x64x128,256x2x256x2048"}, args...)...)
}
