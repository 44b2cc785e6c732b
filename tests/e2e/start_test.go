package e2e

import (
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"scored/tests/process"
)

// starting is a server that is not ready yet.
type starting struct{ *process.Server }

func begin(t *testing.T, args ...string) starting {
	t.Helper()
	return beginAs(t, exec.Command(binary(t)), args...)
}

// beginAs starts cmd with the arguments after its own.
func beginAs(t *testing.T, cmd *exec.Cmd, args ...string) starting {
	t.Helper()
	return starting{process.Start(t, cmd, append([]string{"--port", "0"}, args...)...)}
}

// until waits for a line of the log.
func (s starting) until(part string) {
	s.Helper()
	for limit := time.Now().Add(5 * time.Minute); !strings.Contains(s.Text(), part); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			s.Fatalf("log never says %q:\n%s", part, s.Text())
		}
	}
}

// TestStopWhileStarting: a signal ends a start between two programs, with status 0 and a
// last line that says so.
func TestStopWhileStarting(t *testing.T) {
	cache := t.TempDir()
	s := begin(t, process.Small("--compile-cache", cache)...)
	s.until("compiled 1 of ")
	kill(t, s.Cmd, syscall.SIGTERM)
	if status := s.End(time.Minute); status != 0 {
		t.Errorf("server ended with status %d, want 0", status)
	}
	lines := s.Lines()
	text := strings.Join(lines, "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "msg=stopped") || !strings.Contains(text, "stopping before the server was ready") || strings.Contains(text, "ready to roll") {
		t.Errorf("log of a stopped start:\n%s", text)
	}
	var programs int
	if m := regexp.MustCompile(`compiled 1 of (\d+) `).FindStringSubmatch(text); m != nil {
		programs, _ = strconv.Atoi(m[1]) // digits
	}
	if kept, err := filepath.Glob(filepath.Join(cache, "*")); err != nil || len(kept) >= programs-1 {
		t.Errorf("%d files in the cache, %v: the start went on compiling its %d programs", len(kept), err, programs)
	}
}

// TestFewFiles: a server that may open few files logs this at its start and when no file
// is left, and goes on when files are free again.
func TestFewFiles(t *testing.T) {
	s := beginAs(t, exec.Command("bash", "-c", `ulimit -n 64; exec "$0" "$@"`, binary(t)), process.Small("--context-length", "2048", "--buckets", "64x1x64x0,128x8x64x2048")...)
	s.until("ready to roll")
	text := s.Text()
	if !strings.Contains(text, "few files may be open at once") || !strings.Contains(text, "limit=64") {
		t.Errorf("log does not tell the limit:\n%s", text)
	}
	address := regexp.MustCompile(`ready to roll!" address=(\S+)`).FindStringSubmatch(text)[1]
	var idle []net.Conn
	for range 200 { // the system accepts connections that the server does not
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	s.until("connections cannot be accepted")
	for _, conn := range idle {
		_ = conn.Close()
	}
	waitFor(t, address, "/health", http.StatusOK)
	if n := strings.Count(s.Text(), "cannot be accepted"); n > 3 {
		t.Errorf("%d lines about it", n)
	}
}
