package wheel

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// FuzzUnpack: no wheel, however broken, writes outside the folder it is unpacked to, or
// anything but plain files into it.
func FuzzUnpack(f *testing.F) {
	for _, names := range [][]string{{"a/b.so", "a/c"}, {"../evil"}, {"/evil"}, {"a/../../evil"}, {"a", "a/b"}, {"a", "a"}, {"nul\x00"}, {"dir/"}, {"."}, {""}} {
		f.Add(zipOf(f, 0o644, names...))
	}
	f.Add(zipOf(f, fs.ModeSymlink|0o777, "link"))
	f.Add(zipOf(f, fs.ModeDevice|0o666, "device"))
	f.Add([]byte("PK\x05\x06 no zip"))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		wheel, dir := filepath.Join(outer, "wheel"), filepath.Join(outer, "dir")
		if err := os.WriteFile(wheel, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = unpack(t.Context(), wheel, dir) // most are none
		err := filepath.WalkDir(outer, func(path string, entry fs.DirEntry, err error) error {
			within, _ := filepath.Rel(dir, path)
			if path != outer && path != wheel && !filepath.IsLocal(within) || !entry.IsDir() && !entry.Type().IsRegular() {
				t.Errorf("%s, %v, was unpacked", path, entry.Type())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// zipOf makes a zip whose members, of this mode, hold "x".
func zipOf(t testing.TB, mode fs.FileMode, names ...string) []byte {
	t.Helper()
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	for _, name := range names {
		header := &zip.FileHeader{Name: name}
		header.SetMode(mode)
		w, err := archive.CreateHeader(header)
		if err == nil && !header.FileInfo().IsDir() {
			_, err = w.Write([]byte("x"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}
