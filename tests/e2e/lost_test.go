package e2e

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// exitLost is documented in docs/operating.md.
const exitLost = 75

// TestLostDevice: a device that fails for good ends the process with its own status and one last line, whether the error
// says so or only goes on; everything in hand is answered before. With requests or without any.
func TestLostDevice(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		load bool // requests go on coming; else three are sent and then none
	}{
		"a sticky error under load":       {"CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", true},
		"an error that goes on":           {"something is wrong", true},
		"an error that goes on, unloaded": {"something is wrong", false},
	} {
		t.Run(name, func(t *testing.T) {
			plugin, failing := failingPlugin(t)
			address, server := startLogged(t, tinyArgs("--plugin", plugin)...)
			c1 := client{t, address}
			c1.one("Is this spam? ", "Buy now")

			var clients sync.WaitGroup
			var answered, wrong atomic.Int64
			ended := make(chan struct{})
			ask := func() bool {
				status := try(address, `{"model":"m","query":"Is this spam? ","items":["Buy now","Hello"],"label_token_ids":[9454]}`)
				switch status {
				case http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable:
					answered.Add(1)
				case 0: // nobody listens any more
					return false
				default:
					wrong.Add(1)
				}
				return true
			}
			if err := os.WriteFile(failing+".new", []byte(c.says), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.load {
				for range 4 {
					clients.Go(func() {
						for ask() {
							select {
							case <-ended:
								return
							default:
							}
						}
					})
				}
				time.Sleep(200 * time.Millisecond)
			}
			if err := os.Rename(failing+".new", failing); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				ask()
			}
			status := server.wait(t, time.Minute)
			close(ended)
			clients.Wait()
			if status != exitLost || wrong.Load() != 0 || answered.Load() == 0 {
				t.Errorf("exit status %d, want %d; %d answers, %d of them neither 200 nor 500 nor 503", status, exitLost, answered.Load(), wrong.Load())
			}
			last := server.lastLine(t)
			for _, part := range []string{"scored: device 0 is lost: ", c.says, "start the server again"} {
				if !strings.Contains(last, part) {
					t.Errorf("last line is %q and lacks %q", last, part)
				}
			}
		})
	}
}

// logged is a server whose log is kept.
type logged struct {
	path  string
	ended chan error
}

// startLogged serves on a free port until the test ends, and returns when the server is ready.
func startLogged(t *testing.T, args ...string) (address string, server *logged) {
	t.Helper()
	server = &logged{path: filepath.Join(t.TempDir(), "log"), ended: make(chan error, 1)}
	file, err := os.Create(server.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(binary(t), append([]string{"serve", "--port", "0", "--plugin-dir", "../../.cache/plugins",
		"--context-length", "2048", "--buckets", "64x1x64x0,320x1x320x0,128x8x64x128,256x2x256x2048"}, args...)...)
	cmd.Stderr = file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended already where all went well
		<-done
	})
	ready := regexp.MustCompile(`ready to roll!" address=(\S+)`)
	for range 6000 {
		if m := ready.FindStringSubmatch(server.log(t)); m != nil {
			return m[1], server
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("server is not ready after a minute; its log:\n%s", server.log(t))
	return "", nil
}

func (s *logged) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wait returns the exit status of a server that ends by itself.
func (s *logged) wait(t *testing.T, limit time.Duration) int {
	t.Helper()
	select {
	case err := <-s.ended:
		var status *exec.ExitError
		if err == nil {
			return 0
		}
		if !errors.As(err, &status) {
			t.Fatal(err)
		}
		return status.ExitCode()
	case <-time.After(limit):
		t.Fatalf("server has not ended after %s; its log:\n%s", limit, s.log(t))
		return -1
	}
}

func (s *logged) lastLine(t *testing.T) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(s.log(t)), "\n")
	return lines[len(lines)-1]
}
