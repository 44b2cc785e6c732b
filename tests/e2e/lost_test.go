package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scored/tests/process"
)

// exitLost is documented in docs/operating.md.
const exitLost = 75

// TestLostWhileLoading: a device that is lost before the server is ready ends the process
// as one that is lost later does.
func TestLostWhileLoading(t *testing.T) {
	plugin, failing := failingPlugin(t)
	if err := os.WriteFile(failing, []byte("CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := process.Start(t, exec.Command(binary(t)), tinyArgs(process.FewShapes("--port", "0", "--plugin", plugin)...)...)
	status := server.End(2 * time.Minute)
	lines := server.Lines()
	if last := lines[len(lines)-1]; status != exitLost || !strings.Contains(last, "CUDA_ERROR_LAUNCH_FAILED") || !strings.Contains(last, "start the server again") {
		t.Errorf("exit status %d, want %d; the last line is %q", status, exitLost, last)
	}
}

// TestLostDevice: a device that fails for good ends the process with a status of its own
// and one last line, both if the error says so and if it only repeats. Everything in hand
// is answered before. It runs with and without requests.
func TestLostDevice(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		load bool // requests keep coming; otherwise three are sent and then none
	}{
		"a sticky error under load":       {"CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", true},
		"an error that goes on":           {"something is wrong", true},
		"an error that goes on, unloaded": {"something is wrong", false},
	} {
		t.Run(name, func(t *testing.T) {
			plugin, failing := failingPlugin(t)
			server := process.Start(t, exec.Command(binary(t)), process.Small(process.FewShapes("--port", "0", "--plugin", plugin)...)...)
			address := server.Address()
			c1 := client{t, address}
			c1.one("Is this spam? ", "Buy now")

			var clients sync.WaitGroup
			var answered, wrong atomic.Int64
			ended := make(chan struct{})
			ask := func() bool {
				status := try(address, `{"model":"m","query":"Is this spam? ","items":["Buy now","Hello"],"label_token_ids":[89]}`)
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
			status := server.End(time.Minute)
			close(ended)
			clients.Wait()
			if status != exitLost || wrong.Load() != 0 || answered.Load() == 0 {
				t.Errorf("exit status %d, want %d; %d answers, %d of them neither 200 nor 500 nor 503", status, exitLost, answered.Load(), wrong.Load())
			}
			lines := server.Lines()
			last := lines[len(lines)-1]
			for _, part := range []string{"scored: device 0 is lost: ", c.says, "start the server again"} {
				if !strings.Contains(last, part) {
					t.Errorf("last line is %q and lacks %q", last, part)
				}
			}
		})
	}
}
