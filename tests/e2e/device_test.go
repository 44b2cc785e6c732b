package e2e

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scored/tests/process"
)

// TestFailingDevice: while one execution in eleven fails, requests get their right scores
// or 500. Afterwards everything is as before, and no buffer or goroutine is left of the
// failed steps.
func TestFailingDevice(t *testing.T) {
	plugin, failing := failingPlugin(t)
	address, _ := start(t, process.Small("--plugin", plugin, "--enable-metrics")...)
	c := client{t, address}
	request := func(n int) fields {
		return fields{"query": fmt.Sprint("Question ", n%3, strings.Repeat(" and so on", 9)), "items": []string{fmt.Sprint("item ", n), "other", "third"}}
	}
	want := c.score(request(0)).Scores
	c.await("scored_running_rows", 0)
	buffers, goroutines := c.metric("scored_device_buffers"), c.metric("go_goroutines")

	if err := os.WriteFile(failing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	statuses := c.hammer(request)
	if statuses[http.StatusOK] == 0 || statuses[http.StatusInternalServerError] == 0 || len(statuses) != 2 {
		t.Errorf("statuses %v while one execution in eleven fails, want 200 and 500", statuses)
	}
	if err := os.Remove(failing); err != nil {
		t.Fatal(err)
	}
	for n := range 6 { // so that the three queries' prefixes are on the device, whichever steps failed
		c.score(request(n))
	}
	if got := c.score(request(0)).Scores; !same(got[0][0], want[0][0]) || !same(got[2][0], want[2][0]) {
		t.Errorf("scores are %v after failing steps, %v before", got, want)
	}
	waitFor(t, address, "/health", http.StatusOK)
	if status, text := post(t, address, "/flush_cache", ""); status != http.StatusOK {
		t.Errorf("flush: %d %s", status, text)
	}
	c.score(request(0))
	c.await("scored_device_buffers", buffers)
	c.await("go_goroutines", goroutines+4) // connections that are kept alive have some
}

// failingPlugin builds the plugin of testdata/failing.c over the CPU's. It returns that
// plugin and the file that makes it fail.
func failingPlugin(t *testing.T) (plugin, failing string) {
	t.Helper()
	dir := t.TempDir()
	plugin, failing = filepath.Join(dir, "failing.so"), filepath.Join(dir, "fail")
	out, err := exec.Command(cmp.Or(os.Getenv("CC"), "cc"), "-shared", "-fPIC", "-I../../pjrt", "-o", plugin, "testdata/failing.c", "-ldl", "-lpthread").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	real, err := exec.Command(binary(t), "setup", "cpu", "--offline", "--plugin-dir", "../../.cache/plugins").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAILING_PLUGIN", strings.TrimSpace(string(real)))
	t.Setenv("FAILING_FILE", failing)
	return plugin, failing
}

// hammer sends requests from four clients and counts the statuses.
func (c client) hammer(request func(n int) fields) map[int]int {
	var mu sync.Mutex
	statuses := map[int]int{}
	var clients sync.WaitGroup
	for k := range 4 {
		clients.Go(func() {
			for n := range 25 {
				f := request(4*n + k)
				body := fmt.Sprintf(`{"model":"m","query":%q,"items":["%s","other"],"label_token_ids":[89]}`, f["query"], f["items"].([]string)[0])
				status := try(c.address, body)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return statuses
}

// metric reads one series of /metrics.
func (c client) metric(name string) float64 {
	c.Helper()
	response, err := http.Get("http://" + c.address + "/metrics")
	if err != nil {
		c.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(readAll(c.T, response))
	if m == nil {
		c.Fatalf("metrics have no %s", name)
	}
	value, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		c.Fatal(err)
	}
	return value
}

// await waits until a metric is at most the given number.
func (c client) await(name string, most float64) {
	c.Helper()
	got := math.Inf(1)
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		if got = c.metric(name); got <= most {
			return
		}
	}
	c.Errorf("%s is %v, want at most %v", name, got, most)
}

// TestFullDisk: if the disk is full when a profile starts or is written, it is refused
// with 507 and leaves no files. Scoring and later profiles go on. A limit on the size of
// the process's files simulates the disk.
func TestFullDisk(t *testing.T) {
	address, cmd := start(t, process.Small()...)
	c, dir := client{t, address}, t.TempDir()
	var before unix.Rlimit
	limit := func(most uint64) {
		if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: before.Max}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &before); err != nil {
		t.Skipf("limits of another process: %v", err)
	}
	limit(512)
	if status, text := post(t, address, "/start_profile", `{"output_dir":"`+dir+`"}`); status != http.StatusInsufficientStorage || !strings.Contains(text, "is full") {
		t.Errorf("start with a full disk: %d %s", status, text)
	}
	if state := c.profileState(); state != "idle" {
		t.Errorf("profiler is %s after a start that was refused, want idle", state)
	}
	limit(before.Cur)
	if status, text := post(t, address, "/start_profile", `{"output_dir":"`+dir+`"}`); status != http.StatusOK {
		t.Fatalf("start: %d %s", status, text)
	}
	for range 20 {
		c.one("Is this spam? ", "Buy now")
	}
	limit(512)
	if status, text := post(t, address, "/stop_profile", ""); status != http.StatusInsufficientStorage || !strings.Contains(text, "is full") {
		t.Errorf("stop with a full disk: %d %s", status, text)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if state := c.profileState(); state != "idle" {
		t.Errorf("profiler is %s after a stop that failed, want idle", state)
	}
	limit(before.Cur)
	c.record(dir)
}
