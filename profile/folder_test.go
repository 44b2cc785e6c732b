package profile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDirRefusedAtStart(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	confined, outside := filepath.Join(base, "confined"), filepath.Join(base, "outside")
	for _, dir := range []string{confined, outside} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(confined, "link")); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(base, "locked")
	if err := os.Mkdir(locked, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		root, dir string
		want      DirFault
		skip      bool
	}{
		{"", "relative/nowhere", DirInvalid, false},
		{"", ".", DirInvalid, false},
		{"", "../../etc", DirInvalid, false},
		{"", "gs://bucket/traces", DirInvalid, false},
		{"", file, DirInvalid, false},
		{"", filepath.Join(file, "below"), DirInvalid, false},
		{"", base + "/nul\x00", DirInvalid, false},
		{"", base + "/" + strings.Repeat("x", 300), DirInvalid, false},
		{"", filepath.Join(locked, "sub"), DirForbidden, os.Getuid() == 0}, // root may write anywhere
		{confined, outside, DirForbidden, false},
		{confined, confined + "/../outside", DirForbidden, false},
		{confined, confined + "/link", DirForbidden, false},
		{confined, confined + "/link/deeper", DirForbidden, false},
	} {
		t.Run(tc.dir, func(t *testing.T) {
			if tc.skip {
				t.Skip("every folder is writable for this user")
			}
			b := newBench(t, Config{Root: tc.root})
			var refused *DirError
			if err := b.Start(Options{OutputDir: tc.dir}); !errors.As(err, &refused) {
				t.Fatalf("Start: %v, want a DirError", err)
			}
			if refused.Fault != tc.want {
				t.Errorf("fault %d, want %d: %v", refused.Fault, tc.want, refused)
			}
			b.running(false)
			b.stop(ErrIdle)
		})
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("left outside: %v", left)
	}
	b := newBench(t, Config{Root: confined})
	b.start(Options{OutputDir: filepath.Join(confined, "a/b")})
	b.stop(nil)
	if got := traces(t, filepath.Join(confined, "a/b")); len(got) != 1 {
		t.Errorf("traces below the root: %v, want one", got)
	}
}

// fullDisk fails writes once so many bytes were written to it.
type fullDisk struct {
	file
	left int
}

func (f *fullDisk) Write(data []byte) (int, error) {
	if f.left -= len(data); f.left < 0 {
		return 0, &os.PathError{Op: "write", Path: "trace", Err: syscall.ENOSPC}
	}
	return f.file.Write(data)
}

func TestDiskFullLeavesNothingBehind(t *testing.T) {
	for _, suffix := range []string{".xplane.pb", ".trace.json.gz"} {
		t.Run(suffix, func(t *testing.T) {
			b := newBench(t, Config{})
			b.open = func(root, dir string) (*folder, error) {
				f, err := openFolder(root, dir)
				if err == nil {
					create := f.create
					f.create = func(name string) (file, error) {
						out, err := create(name)
						if strings.HasSuffix(name, suffix) {
							out = &fullDisk{file: out, left: 100}
						}
						return out, err
					}
				}
				return f, err
			}
			b.start(Options{})
			b.run(50)
			var full *DirError
			if err := b.Stop(); !errors.As(err, &full) || full.Fault != DirFull {
				t.Fatalf("Stop: %v, want a DirError of a full disk", err)
			}
			if left, _ := os.ReadDir(b.dir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
			b.running(false)
			b.open = openFolder
			b.start(Options{})
			b.stop(nil)
		})
	}
}
