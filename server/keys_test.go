package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	keys, log := &Keys{}, &bytes.Buffer{}
	read := func(file string) {
		t.Helper()
		if err := keys.Read([]byte(file)); err != nil {
			t.Fatal(err)
		}
	}
	read(fmt.Sprintf("# keys\nfirst\n\nsha256:%x  team a\n", sha256.Sum256([]byte("second"))))
	s := newTestServer(t, func(c *Config, _ *Model) {
		c.Keys, c.APIKey, c.Logger = keys, "own", slog.New(slog.NewTextHandler(log, nil))
	})
	asks := func(want map[string]int) {
		t.Helper()
		for header, status := range want {
			if w := send(s, "GET", "/v1/models", "", "Authorization", header); w.Code != status {
				t.Errorf("%q gives %d, want %d", header, w.Code, status)
			}
		}
	}
	asks(map[string]int{"Bearer first": 200, "Bearer second": 200, "Bearer own": 200, "Bearer third": 401, "Bearer ": 401, "first": 401, "": 401,
		fmt.Sprintf("Bearer sha256:%x", sha256.Sum256([]byte("second"))): 401})
	if !strings.Contains(log.String(), `key="team a"`) || strings.Contains(log.String(), "second") {
		t.Errorf("log names no key, or shows one:\n%s", log)
	}
	read("third\n")
	asks(map[string]int{"Bearer third": 200, "Bearer first": 401, "Bearer second": 401, "Bearer own": 200})
	for file, want := range map[string]string{"": "has no key", "# none": "has no key", "a\na b": "line 2 has the key", "a\nsha256:12": "line 2 is not a hash",
		"sha256:" + strings.Repeat("g", 64): "line 1 is not a hash", "sha256:" + strings.Repeat("0", 66): "line 1 is not a hash"} {
		if err := keys.Read([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", file, err, want)
		}
	}
	asks(map[string]int{"Bearer third": 200})
}

// TestKeysWithoutOwn: a server with a file and no --api-key takes no empty key.
func TestKeysWithoutOwn(t *testing.T) {
	keys := &Keys{}
	if err := keys.Read([]byte("first")); err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, func(c *Config, _ *Model) { c.Keys = keys })
	for header, want := range map[string]int{"": 401, "Bearer ": 401, "Bearer": 401, "Bearer first": 200} {
		if w := send(s, "GET", "/v1/models", "", "Authorization", header); w.Code != want {
			t.Errorf("%q gives %d, want %d", header, w.Code, want)
		}
	}
}

// TestKeysCount: a client with a named key is counted by it, whatever it says in
// X-Client-Id.
func TestKeysCount(t *testing.T) {
	keys := &Keys{}
	if err := keys.Read([]byte("first team\nsecond team\nthird")); err != nil {
		t.Fatal(err)
	}
	s, engine := newSlowServer(t, func(c *Config) { c.Keys, c.MaxClientRequests = keys, 1 })
	done := make(chan int)
	ask := func(key, client string) int {
		return send(s, "POST", "/v1/score", base+`,"label_token_ids":[1]}`, "Authorization", "Bearer "+key, "X-Client-Id", client).Code
	}
	go func() { done <- ask("first", "a") }()
	<-engine.began
	if got := ask("second", "b"); got != http.StatusTooManyRequests {
		t.Errorf("the same team gets %d", got)
	}
	close(engine.release)
	if got := <-done; got != http.StatusOK {
		t.Errorf("the first request gets %d", got)
	}
	if got := ask("third", "b"); got != http.StatusOK {
		t.Errorf("another client gets %d", got)
	}
}
