// Package process builds the binary once and runs it as a server, for tests that talk
// to it as its users do. Every test that starts a process of its own starts it here, so
// that none outlives its test and every log is in the test's.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// binaryEnv names a binary to test in place of one built from this tree.
const binaryEnv = "SCORED_TEST_BINARY"

// root is the repository's folder, seen from the folder of a package in tests.
const root = "../.."

// WithBinary builds the binary once for all tests of a package, as linking it takes
// seconds. Call it from TestMain.
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
	if out, err := exec.Command("go", "build", "-o", os.Getenv(binaryEnv),
		"scored/cmd/scored").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return run()
}

// Binary returns the path of the binary to test.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(os.Getenv(binaryEnv))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Launch starts a server that runs until the test ends. It returns the address and the
// process when the server is ready.
func Launch(t testing.TB, scored string, args ...string) (string, *exec.Cmd) {
	t.Helper()
	s := Start(t, exec.Command(scored), args...)
	return s.Address(), s.Cmd
}

// Tiny are flags for a model of two small layers with Qwen3's vocabulary and generated
// weights. It is ready in some three seconds, most of which its tokenizer takes.
func Tiny(more ...string) []string {
	return generated("/tests/models/tiny", "/.cache/tokenizer/qwen3", more)
}

// Small are flags for a model of the same layers with a vocabulary of 512 tokens, of
// which a text has one a byte. It is ready in a fraction of a second.
func Small(more ...string) []string {
	return generated("/tests/models/small", "/tests/tokenizer/small", more)
}

// generated are flags for a model of generated weights; more go behind them. Its KV cache
// has 64 MiB, as a larger one takes longer to fill with zeros than the rest of a start.
func generated(model, tokenizer string, more []string) []string {
	return append([]string{"--model-path", root + model, "--load-format", "dummy", "--offline",
		"--prefix-cache-bytes", "67108864", "--tokenizer-path", root + tokenizer,
		"--compile-cache", root + "/.cache/compile"}, more...)
}

// FewShapes are flags for prompts of up to 2,047 tokens in few step shapes, which compile
// in seconds; more go behind them.
func FewShapes(more ...string) []string {
	return append([]string{"--context-length", "2048",
		"--buckets", "64x1x64x0,320x1x320x0,128x8x64x128,256x2x256x2048"}, more...)
}

// Server is a process that serves, or is starting.
type Server struct {
	testing.TB
	Cmd *exec.Cmd

	mu      sync.Mutex
	lines   []string // lines of its log; mu must be held
	address chan string
	logged  chan struct{} // closed at the end of the log, when the process has ended
}

// Start starts a server that runs until the test ends. cmd is the binary, or a command
// that runs it; it gets `serve` and the arguments after its own.
func Start(t testing.TB, cmd *exec.Cmd, args ...string) *Server {
	t.Helper()
	cmd.Args = append(append(cmd.Args, "serve", "--plugin-dir", root+"/.cache/plugins"), args...)
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
	s := &Server{TB: t, Cmd: cmd, address: make(chan string, 1), logged: make(chan struct{})}
	go s.follow(read)
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // a process that has ended already need not be killed
		_ = cmd.Wait()
		<-s.logged
	})
	return s
}

// follow keeps the log and passes it on to the test's, until the process ends.
func (s *Server) follow(log *os.File) {
	defer close(s.logged)
	defer close(s.address)
	defer log.Close()
	ready := regexp.MustCompile(`ready to roll!" address=(\S+)`)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		s.Log(lines.Text())
		s.mu.Lock()
		s.lines = append(s.lines, lines.Text())
		s.mu.Unlock()
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			s.address <- m[1]
		}
	}
}

// Address waits until the server is ready, and may be called once.
func (s *Server) Address() string {
	s.Helper()
	select {
	case address, ok := <-s.address:
		if !ok {
			s.Fatal("server ended before it was ready; its log is above")
		}
		return address
	case <-time.After(30 * time.Minute): // a model may have to be downloaded
		s.Fatal("server is not ready after 30 minutes")
		return ""
	}
}

// Lines returns the lines of the log so far.
func (s *Server) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// Text returns the log so far.
func (s *Server) Text() string { return strings.Join(s.Lines(), "\n") }

// End waits for a server that ends, and returns its exit status; -1 if a signal ended
// it. It may be called once.
func (s *Server) End(limit time.Duration) int {
	s.Helper()
	select {
	case <-s.logged:
	case <-time.After(limit):
		s.Fatalf("server has not ended after %s; its log is above", limit)
	}
	var status *exec.ExitError
	if err := s.Cmd.Wait(); err != nil && !errors.As(err, &status) {
		s.Fatal(err)
	}
	return s.Cmd.ProcessState.ExitCode()
}
