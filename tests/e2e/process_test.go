package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// binaryEnv names a binary to test in place of one built from this tree.
const binaryEnv = "SCORED_TEST_BINARY"

func TestMain(m *testing.M) { os.Exit(withBinary(m.Run)) }

// withBinary builds the binary once for all tests, as linking it takes seconds.
func withBinary(run func() int) int {
	if os.Getenv(binaryEnv) != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "scored")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Setenv(binaryEnv, filepath.Join(dir, "scored"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if out, err := exec.Command("go", "build", "-o", os.Getenv(binaryEnv), "scored/cmd/scored").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return run()
}

// binary is the path of the binary to test.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(os.Getenv(binaryEnv))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start serves on a free port and returns its address and the process.
func start(t *testing.T, args ...string) (string, *exec.Cmd) {
	t.Helper()
	return launch(t, binary(t), append([]string{"--port", "0"}, args...)...)
}

// launch serves with a binary until the test ends, and returns when the server is ready.
func launch(t *testing.T, scored string, args ...string) (string, *exec.Cmd) {
	t.Helper()
	root := "../.."
	cmd := exec.Command(scored, append([]string{"serve", "--plugin-dir", root + "/.cache/plugins",
		"--context-length", "2048", "--buckets", "64x1x64x0,320x1x320x0,128x8x64x128,256x2x256x2048"}, args...)...)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = write
	err = cmd.Start()
	_ = write.Close() // the process has its own
	if err != nil {
		t.Fatal(err)
	}
	address, logged := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(logged)
		defer close(address)
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			t.Log(lines.Text())
			if m := regexp.MustCompile(`ready to roll!" address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // those that have ended already are none to kill
		_ = cmd.Wait()
		<-logged
		_ = read.Close()
	})
	select {
	case a, ok := <-address:
		if !ok {
			t.Fatal("server ended before it was ready; its log is above")
		}
		return a, cmd
	case <-time.After(30 * time.Minute): // a model may have to be downloaded
		t.Fatal("server is not ready after 30 minutes")
		return "", nil
	}
}
