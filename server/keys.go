package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// Keys are the API keys that requests may bring. It holds their hashes alone, and is safe for concurrent use.
type Keys struct {
	names atomic.Pointer[map[[sha256.Size]byte]string] // by hash; "" for a key without a name
}

// Read takes the keys of a file in place of those there were. Each line has a key, or sha256: and its hash in hexadecimal,
// and then may have a blank and a name, which the log and --max-client-requests go by. Empty lines and those that begin
// with # are left out. If a line is wrong the keys stay as they were; errors name the line and never a key.
func (k *Keys) Read(file []byte) error {
	names := map[[sha256.Size]byte]string{}
	number := 0
	for line := range bytes.Lines(file) {
		number++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		hash := sha256.Sum256([]byte(fields[0]))
		if digits, ok := strings.CutPrefix(fields[0], "sha256:"); ok {
			given, err := hex.DecodeString(digits)
			if err != nil || len(given) != len(hash) {
				return fmt.Errorf("line %d is no hash: after sha256: it must have %d hexadecimal digits", number, 2*len(hash))
			}
			hash = [sha256.Size]byte(given)
		}
		if _, twice := names[hash]; twice {
			return fmt.Errorf("line %d has the key of a line before it", number)
		}
		names[hash] = strings.Join(fields[1:], " ")
	}
	if len(names) == 0 {
		return errors.New("file has no key; put one on each line")
	}
	k.names.Store(&names)
	return nil
}

// find tells whether a header Authorization brings a key, and the key's name. Hashes are looked up, so that the time it
// takes tells nothing of the keys.
func (k *Keys) find(authorization string) (name string, ok bool) {
	key, bearer := strings.CutPrefix(authorization, "Bearer ")
	if !bearer {
		return "", false
	}
	name, ok = (*k.names.Load())[sha256.Sum256([]byte(key))]
	return name, ok
}

// keyName is where a request's context has the name of its key.
type keyName struct{}

func withKey(r *http.Request, name string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), keyName{}, name))
}

// keyOf is the name of the request's key; "" if it has none.
func keyOf(r *http.Request) string {
	name, _ := r.Context().Value(keyName{}).(string)
	return name
}
