package amplify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"scored/tests/process"
)

// server is the process under test, with its costs at rest.
type server struct {
	address string
	cmd     *exec.Cmd
	client  *http.Client
	base    int64   // resident bytes once it has run its steps
	spare   float64 // seconds of CPU of a neighbour's request, which do not count for the body
}

// launch starts a server.
func launch(t *testing.T) *server {
	t.Helper()
	address, cmd := process.Launch(t, process.Binary(t), process.Tiny("--port", "0", "--context-length", "2304",
		"--prefix-cache-bytes", "16777216", "--enable-metrics", "--log-level-http", "warn")...)
	return &server{address: address, cmd: cmd, client: &http.Client{}}
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended already
	_ = s.cmd.Wait()
	s.client.CloseIdleConnections()
}

// proc reads a file of the process in /proc; it is "" once the process has ended.
func (s *server) proc(name string) string {
	data, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), name))
	return string(data)
}

// cpu returns the CPU time of the process, in steps of a hundredth of a second.
func (s *server) cpu() time.Duration {
	_, after, _ := strings.Cut(s.proc("stat"), ") ") // the name in brackets may hold blanks
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // Linux reports hundredths of a second
}

// memory returns a line of /proc/PID/status in bytes: VmRSS is the resident memory, VmHWM
// its peak.
func (s *server) memory(name string) int64 {
	m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindStringSubmatch(s.proc("status"))
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n << 10
}

// forgetPeak resets VmHWM to VmRSS.
func (s *server) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "clear_refs"), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// counters returns the numbers of /metrics by name and labels.
func (s *server) counters(t *testing.T) map[string]float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			all[line[:at]], _ = strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		}
	}
	return all
}

// quiet waits until the server computes nothing any more, and reports whether that
// happened in time.
func (s *server) quiet(ctx context.Context) bool {
	for last, same := s.cpu(), 0; ctx.Err() == nil; {
		time.Sleep(20 * time.Millisecond)
		now := s.cpu()
		if same++; now != last {
			last, same = now, 0
		}
		if same == 4 {
			return true
		}
	}
	return false
}

// send sends a body and reads the whole answer.
func (s *server) send(ctx context.Context, path string, data []byte, headers map[string]string) (status int, field string, size int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+path, bytes.NewReader(data))
	if err != nil {
		return 0, "", 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, "", 0, err
	}
	defer response.Body.Close()
	size, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get("X-Scored-Error-Param"), size, err
}

// neighbour is a client that sends one small request after the other while another
// client's request is answered.
type neighbour struct {
	stop, stopped chan struct{}
	requests      int
	slowest       time.Duration
	failure       error
}

const small = `{"model":"m","query":"a","items":["b"],"label_token_ids":[1]}`

func (s *server) neighbour(ctx context.Context) *neighbour {
	n := &neighbour{stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(n.stopped)
		for {
			n.ask(ctx, s)
			select {
			case <-n.stop:
				n.ask(ctx, s) // work that the body left behind may still delay it
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return n
}

func (n *neighbour) ask(ctx context.Context, s *server) {
	begin := time.Now()
	status, _, _, err := s.send(ctx, "/v1/score", []byte(small), nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("neighbour gets status %d", status)
	}
	if err != nil && n.failure == nil {
		n.failure = err
	}
	n.requests++
	n.slowest = max(n.slowest, time.Since(begin))
}

func (n *neighbour) end() {
	close(n.stop)
	<-n.stopped
}
