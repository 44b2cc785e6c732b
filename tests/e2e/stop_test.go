package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scored/tests/process"
)

// TestBugs41And60Stops starts one server after the other on the same port, and ends each
// in another way.
func TestBugs41And60Stops(t *testing.T) {
	scored := binary(t)
	address, cmd := launch(t, scored, process.Small("--port", "0")...)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	again := func() *exec.Cmd { // a restart must not wait for the port
		_, cmd := launch(t, scored, process.Small("--port", port)...)
		return cmd
	}
	t.Run("60 second copy", func(t *testing.T) {
		out, err := exec.Command(scored, append([]string{"serve", "--port", port}, process.Small()...)...).CombinedOutput()
		if exitStatus(err) != 1 || !strings.Contains(string(out), "address is not free") || !strings.Contains(string(out), "another copy") {
			t.Errorf("second copy on port %s: %v\n%s", port, err, out)
		}
	})
	t.Run("48 60 killed after a profile", func(t *testing.T) {
		dir := t.TempDir()
		client{t, address}.record(dir)
		kill(t, cmd, syscall.SIGKILL)
		_ = cmd.Wait()
		wantProfile(client{t, address}, scored, dir)
		cmd = again()
		client{t, address}.one("a", "b")
	})
	t.Run("41 requests in flight", func(t *testing.T) { inFlight(t, address, cmd) })
	t.Run("41 idle connections", func(t *testing.T) {
		cmd = again()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%v: %v", response, err)
		}
		silent, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		waitFor(t, address, "/health", http.StatusOK) // on a later connection, so that the server knows of that one
		began := time.Now()
		kill(t, cmd, syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("server stopped with %v, want status 0", err)
		}
		if took := time.Since(began); took > time.Second { // half a second, and another half for a busy machine
			t.Errorf("server took %s to end with an idle connection and a silent one", took)
		}
	})
	t.Run("41 second signal", func(t *testing.T) {
		cmd = again()
		requests := long(t, address, 1)
		kill(t, cmd, syscall.SIGTERM)
		waitFor(t, address, "/health", http.StatusServiceUnavailable)
		began := time.Now()
		kill(t, cmd, syscall.SIGTERM)
		err := cmd.Wait()
		if took := time.Since(began); exitStatus(err) == 0 || took > time.Second {
			t.Errorf("second signal: %v after %s, want the end at once", err, took)
		}
		requests.Wait()
	})
}

// inFlight: after SIGTERM the server is not ready, answers requests in hand, refuses new
// ones, and ends with status 0.
func inFlight(t *testing.T, address string, cmd *exec.Cmd) {
	requests := long(t, address, 5)
	kill(t, cmd, syscall.SIGTERM)
	waitFor(t, address, "/health", http.StatusServiceUnavailable)
	status, text := post(t, address, "/v1/score", `{"model":"m","query":"a","items":["b"],"label_token_ids":[1]}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "shutting down") {
		t.Errorf("new request gets %d: %s", status, text)
	}
	if n := requests.answered(); n == 5 {
		t.Error("all requests were answered before the server said that it stops")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("server stopped with %v, want status 0", err)
	}
	requests.Wait()
	for _, status := range requests.statuses {
		if status != http.StatusOK {
			t.Errorf("requests in flight got %v, want 200 five times", requests.statuses)
			break
		}
	}
}

// inflight are requests that take seconds. Those that got no answer have the status 0.
type inflight struct {
	sync.WaitGroup
	mu       sync.Mutex
	statuses []int
}

// long sends n requests and returns when the server works on all of them.
func long(t *testing.T, address string, n int) *inflight {
	t.Helper()
	body := `{"model":"m","query":"` + strings.Repeat("long ", 60) + `","items":[` + strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("item ", 20)+`",`, 80), ",") +
		`],"label_token_ids":[1]}`
	r := &inflight{}
	for range n {
		r.Go(func() {
			status := try(address, body)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.statuses = append(r.statuses, status)
		})
	}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/get_load")
		if err != nil || time.Now().After(limit) || r.answered() > 0 {
			t.Fatalf("requests are not in flight: %v, %v", err, r.statuses)
		}
		if strings.Contains(readAll(t, response), fmt.Sprintf(`"num_reqs":%d`, n)) {
			return r
		}
	}
}

// try scores and returns the status, 0 if there was no answer. Unlike post it may be
// called from any goroutine.
func try(address, body string) int {
	response, err := http.Post("http://"+address+"/v1/score", "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	return response.StatusCode
}

func (r *inflight) answered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.statuses)
}

// waitFor repeats a request, on a new connection each time, until its answer is the right
// one.
func waitFor(t *testing.T, address, path string, want int) {
	t.Helper()
	fresh := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		response, err := fresh.Get("http://" + address + path)
		if err != nil {
			t.Fatalf("%s is not answered: %v", path, err)
		}
		_ = response.Body.Close()
		if response.StatusCode == want {
			return
		}
	}
	t.Fatalf("%s did not become %d", path, want)
}

func kill(t *testing.T, cmd *exec.Cmd, signal syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// exitStatus is 0 for no error and -1 for the end by a signal.
func exitStatus(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
