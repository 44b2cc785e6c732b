// Package vectors reads files of recorded answers, with which tests compare.
package vectors

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

// Read returns a whole file, decompressed if its name ends in .gz. If that fails, it ends
// the test.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return data
	}
	packed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if data, err = io.ReadAll(packed); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return data
}
