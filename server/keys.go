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

// Keys holds the API keys that requests may send, as hashes only, so that nothing
// can show a key by mistake. It is safe for concurrent use once Read has succeeded, and
// Read may be called again while requests are answered.
type Keys struct {
	names atomic.Pointer[map[[sha256.Size]byte]string] // by hash; "" for a key without a name
}

// Read replaces all keys by those of a file. Each line has a key, or sha256: and the
// hash of one in hexadecimal. It may also have a blank and a name, which the log shows
// and --max-client-requests counts by. Empty lines and lines that begin with # are
// ignored. If a line is wrong, the keys stay as they were. Errors name the line and
// never a key.
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
				return fmt.Errorf("line %d is not a hash: after sha256: it must have %d hexadecimal "+
					"digits", number, 2*len(hash))
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

// find returns the caller that a header Authorization belongs to, if its key is known.
// It looks up hashes, so its duration reveals nothing about the keys.
func (k *Keys) find(authorization string) (by caller, ok bool) {
	key, bearer := strings.CutPrefix(authorization, "Bearer ")
	if !bearer {
		return by, false
	}
	by.hash = sha256.Sum256([]byte(key))
	by.name, ok = (*k.names.Load())[by.hash]
	return by, ok
}

// caller is the key that a request was sent with. The zero caller stands for a request
// without a key.
type caller struct {
	name string // "" for a key without a name
	hash [sha256.Size]byte
}

// byCaller is the key under which a request's context holds its caller.
type byCaller struct{}

// with returns the request with the caller in its context.
func (by caller) with(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), byCaller{}, by))
}

// callerOf returns the request's caller; the zero caller if no key was required.
func callerOf(ctx context.Context) caller {
	by, _ := ctx.Value(byCaller{}).(caller)
	return by
}

// keyOf returns the name of the request's key; "" if it has none.
func keyOf(r *http.Request) string { return callerOf(r.Context()).name }
