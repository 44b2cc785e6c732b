package pjrt

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/cpu"

	"scored/pjrt/wheel"
)

// target is the compiler and the device that a program is compiled for.
type target struct {
	plugin   string // digest of the compiler's file
	platform string
	version  string   // of the platform
	devices  []string // kinds
}

// key digests all that an executable depends on: the program and its options, the
// compiler, the device, and the settings that the compiler takes from the environment.
// A wrong hit would run another program's code, so all that may matter is in the key; a
// wrong miss only costs the time to compile.
func (t target) key(format string, program, options []byte) cacheKey {
	version := t.version
	if t.platform == "tpu" {
		// The plugin's digest implies it, and OpenTopology cannot know it: only a client on
		// a TPU has a version.
		version = ""
	}
	h := sha256.New()
	add(h, []byte(format), program, options, []byte(t.plugin))
	add(h, []byte(t.platform), []byte(version), fmt.Appendf(nil, "%q", t.devices))
	add(h, []byte(os.Getenv("XLA_FLAGS")), []byte(os.Getenv("LIBTPU_INIT_ARGS")))
	if t.platform == "cpu" {
		add(h, []byte(hostFeatures()))
	}
	return cacheKey(h.Sum(nil))
}

// add hashes the parts so that no two lists of parts give the same bytes.
func add(h hash.Hash, parts ...[]byte) {
	for _, part := range parts {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
}

// hostFeatures differs between processors that cannot use each other's executables. XLA
// compiles for the instruction set that it finds, and splits loops for the number of
// processors.
func hostFeatures() string {
	return fmt.Sprintf("%s %d %+v %+v", runtime.GOARCH, runtime.NumCPU(), cpu.X86, cpu.ARM64)
}

// digestMemo is a file's digest as kept in the memo folder, with the size and time that
// the file had then. Hashing a plugin takes a second, which each start would pay.
type digestMemo struct {
	Path     string    `json:"path"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	SHA256   string    `json:"sha256"`
}

// fileDigest returns the sha256 of a file in hex. It takes it from the memo folder if
// the file has the size and time of the memo; with memoDir "" it always hashes.
func fileDigest(path, memoDir string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	name := sha256.Sum256([]byte(path))
	memoPath := filepath.Join(memoDir, "plugin-"+hex.EncodeToString(name[:8])+".json")
	want := digestMemo{Path: path, Size: info.Size(), Modified: info.ModTime().UTC()}
	if text, err := os.ReadFile(memoPath); memoDir != "" && err == nil {
		var memo digestMemo
		if json.Unmarshal(text, &memo) == nil && memo.SHA256 != "" {
			want.SHA256 = memo.SHA256
			if memo == want {
				return memo.SHA256, nil
			}
		}
	}
	if want.SHA256, err = wheel.Digest(path); err != nil || memoDir == "" {
		return want.SHA256, err
	}
	text, err := json.Marshal(want)
	if err != nil {
		return "", err
	}
	// A memo that cannot be written only costs time at the next start.
	_ = writeAtomically(memoPath, 0o644, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	return want.SHA256, nil
}
