package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scored/server"
)

// TestKeyFile: the file is read at the start and on each SIGHUP; a file that is wrong
// then changes nothing.
func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	var opened cleanups
	keys, err := openKeys(path, slog.New(slog.DiscardHandler), &opened)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := opened.run(slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	}()
	s := server.New(server.Config{Keys: keys, Logger: slog.New(slog.DiscardHandler)})
	authorized := func(key string) bool {
		r := httptest.NewRequest("GET", "/openapi.json", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code == http.StatusOK
	}
	if !authorized("first") || authorized("second") {
		t.Fatal("the file is not what is asked for")
	}
	hangUp := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	write("second\n")
	hangUp()
	for until := time.Now().Add(10 * time.Second); authorized("first") || !authorized("second"); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("SIGHUP does not read the file again")
		}
	}
	if err := readKeys(keys, path+"x"); err == nil || !strings.Contains(err.Error(), "--api-key-file") || !authorized("second") {
		t.Errorf("a file that is gone: error %v", err)
	}
	write("")
	if err := readKeys(keys, path); err == nil || !authorized("second") {
		t.Errorf("an empty file: error %v", err)
	}
}
