// Package process builds the binary once and runs it as a server, for tests that talk to it as its users do.
package process

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

// root is the repository's folder, seen from the folder of a package in tests.
const root = "../.."

// WithBinary builds the binary once for all tests of a package, as linking it takes seconds. Call it from TestMain.
func WithBinary(run func() int) int {
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

// Binary is the path of the binary to test.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(os.Getenv(binaryEnv))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Launch serves with a binary until the test ends. It returns the address and the process when the server is ready.
func Launch(t testing.TB, scored string, args ...string) (string, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(scored, append([]string{"serve", "--plugin-dir", root + "/.cache/plugins"}, args...)...)
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
