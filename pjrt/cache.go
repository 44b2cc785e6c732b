package pjrt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// cache is a folder of serialized executables, one file for each entry. Several
// processes may share it: an entry appears complete by a rename, is checked when it is
// read, and may vanish at any time. An error of the cache is a warning in the log and no
// more, because every program can be compiled without it.
type cache struct {
	dir      string
	limit    int64       // bytes that the entries may take together
	readOnly atomic.Bool // set by the first write that fails
}

// cacheKey is the digest of all that an executable depends on.
type cacheKey [sha256.Size]byte

func (k cacheKey) String() string { return hex.EncodeToString(k[:]) }

const (
	mostCacheBytes = 20e9
	entrySuffix    = ".executable"
	partPrefix     = "part-"   // of files that are being written
	partLifetime   = time.Hour // after which such a file is taken for an interrupted writer's
)

// entryHeader begins every entry, in little-endian order; the payload follows.
type entryHeader struct {
	Magic  [8]byte
	Key    cacheKey
	Size   uint64
	Digest [sha256.Size]byte // of the payload
}

// entryMagic names the format and its version.
var entryMagic = [8]byte{'P', 'J', 'R', 'T', 'e', 'x', 'e', 1}

// newCache creates the folder if it is missing. put keeps its entries below limit bytes.
func newCache(dir string, limit int64) (*cache, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &cache{dir: dir, limit: limit}, nil
}

func (c *cache) path(key cacheKey) string { return filepath.Join(c.dir, key.String()+entrySuffix) }

// get returns the payload of an entry. The error is fs.ErrNotExist if there is no entry,
// and another one if there is an entry that cannot be used.
func (c *cache) get(key cacheKey) ([]byte, error) {
	file, err := os.ReadFile(c.path(key))
	if err != nil {
		return nil, err
	}
	payload, err := openEntry(file, key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	// evict removes what was used longest ago. In a folder that may only be read the time
	// stays as it is.
	_ = os.Chtimes(c.path(key), now, now)
	return payload, nil
}

// openEntry checks an entry's file and returns its payload.
func openEntry(file []byte, key cacheKey) ([]byte, error) {
	var header entryHeader
	n, err := binary.Decode(file, binary.LittleEndian, &header)
	if err != nil {
		return nil, errors.New("entry is cut short")
	}
	payload := file[n:]
	switch {
	case header.Magic != entryMagic:
		return nil, errors.New("entry is of another format")
	case header.Key != key:
		return nil, errors.New("entry is another program's")
	case header.Size != uint64(len(payload)):
		return nil, fmt.Errorf("entry has %d bytes instead of %d", len(payload), header.Size)
	case header.Digest != sha256.Sum256(payload):
		return nil, errors.New("entry is corrupt")
	}
	return payload, nil
}

// put writes an entry, in place of one with the same key, and removes others to make
// room for it. After a write has failed, further calls do nothing: a full disk or a
// read-only folder would fail each of them.
func (c *cache) put(key cacheKey, payload []byte) error {
	if c.readOnly.Load() {
		return nil
	}
	var head bytes.Buffer
	header := entryHeader{Magic: entryMagic, Key: key, Size: uint64(len(payload)),
		Digest: sha256.Sum256(payload)}
	if err := binary.Write(&head, binary.LittleEndian, header); err != nil {
		return err
	}
	size := int64(head.Len() + len(payload))
	if size > c.limit {
		return fmt.Errorf("compile cache: an executable of %d bytes exceeds the bound of %d: raise it",
			size, c.limit)
	}
	if err := c.evict(c.limit-size, c.path(key)); err != nil {
		return c.disable(err)
	}
	err := writeAtomically(c.path(key), 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, io.MultiReader(&head, bytes.NewReader(payload)))
		return err
	})
	if err != nil {
		return c.disable(err)
	}
	return nil
}

// disable turns writing off and returns the error for the log.
func (c *cache) disable(err error) error {
	c.readOnly.Store(true)
	return fmt.Errorf("compile cache %s cannot be written, the next start will compile anew: %w",
		c.dir, err)
}

// evict removes the entries that were used longest ago until the rest take limit bytes
// at most. The entry at replaced does not count, as it is about to be replaced. Files
// that interrupted writers left are removed, too.
func (c *cache) evict(limit int64, replaced string) error {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	type entry struct {
		path string
		size int64
		used time.Time
	}
	var entries []entry
	var total int64
	for _, file := range files {
		info, err := file.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // gone meanwhile, or not ours
		}
		path := filepath.Join(c.dir, file.Name())
		switch {
		case strings.HasPrefix(file.Name(), partPrefix) && time.Since(info.ModTime()) > partLifetime:
			_ = os.Remove(path)
		case strings.HasSuffix(file.Name(), entrySuffix) && path != replaced:
			entries = append(entries, entry{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= limit {
			break
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= e.size
	}
	return nil
}

// makeFolders makes a folder inside the cache's for each of the options, by its name
// and a suffix, and returns their absolute paths by option. It returns an error, and no
// folder, if one cannot be written: a compiler may fail for that.
func (c *cache) makeFolders(options map[string]string, suffix string) (map[string]string, error) {
	folders := map[string]string{}
	for option, name := range options {
		dir, err := filepath.Abs(filepath.Join(c.dir, name+suffix))
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		probe, err := os.CreateTemp(dir, partPrefix+"*")
		if err != nil {
			return nil, err
		}
		if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
			return nil, err
		}
		folders[option] = dir
	}
	return folders, nil
}
