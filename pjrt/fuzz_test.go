package pjrt

import (
	"bytes"
	"os"
	"testing"
)

// FuzzEntry: a file is read as an entry only if it is byte for byte what would be
// written for its payload.
func FuzzEntry(f *testing.F) {
	key := cacheKey{1, 2, 3}
	entry := func(t testing.TB, payload []byte) []byte {
		c, err := newCache(t.TempDir(), mostCacheBytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.put(key, payload); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(c.path(key))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	whole := entry(f, []byte("payload"))
	for _, seed := range [][]byte{nil, whole, entry(f, nil), whole[:len(whole)-1], append(bytes.Clone(whole), 0), bytes.Repeat([]byte{0xff}, 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, err := openEntry(data, key)
		if err == nil && !bytes.Equal(data, entry(t, payload)) {
			t.Fatalf("%q was read as an entry of %q", data, payload)
		}
	})
}
