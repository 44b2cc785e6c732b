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
	return process.Launch(t, scored, process.FewShapes(args...)...)
}
