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

// find gives whose key a header Authorization brings, if it brings one. Hashes are looked up, so that the time it takes
// tells nothing of the keys.
func (k *Keys) find(authorization string) (by caller, ok bool) {
	key, bearer := strings.CutPrefix(authorization, "Bearer ")
	if !bearer {
		return by, false
	}
	by.hash = sha256.Sum256([]byte(key))
	by.name, ok = (*k.names.Load())[by.hash]
	return by, ok
}

// caller is the key that a request has brought.
type caller struct {
	name string // "" for a key without a name
	hash [sha256.Size]byte
}

// byCaller is where a request's context has its caller.
type byCaller struct{}

func (by caller) with(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), byCaller{}, by))
}

// callerOf gives the request's caller; the zero caller where no key was asked for.
func callerOf(ctx context.Context) caller {
	by, _ := ctx.Value(byCaller{}).(caller)
	return by
}

// keyOf is the name of the request's key; "" if it has none.
func keyOf(r *http.Request) string { return callerOf(r.Context()).name }
