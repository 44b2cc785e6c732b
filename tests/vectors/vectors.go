// Package vectors reads the files of recorded answers that tests compare with.
package vectors

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

// Read is a whole file, unpacked where its name ends in .gz. It ends the test if that
// cannot be had.
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
