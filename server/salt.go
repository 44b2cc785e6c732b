package server

import (
	"context"
	"crypto/sha256"
	"unicode/utf8"

	"scored/sglang/python"
)

// mostSalt is how many characters a cache_salt may have, as in vLLM. A random one of
// 256 bits has 43 in base64.
const mostSalt = 1024

// readSalt reads cache_salt, which every dialect has with vLLM's meaning: prompts share
// cached prefixes only with prompts of the same salt. It returns "" if the body has
// none.
func readSalt(o *python.Object) (string, error) {
	const field = "cache_salt"
	f := fieldsOf(o)
	v := f.Get(field)
	if v == nil {
		return "", nil
	}
	salt, ok := v.(python.String)
	switch {
	case !ok || salt == "":
		f.fail(field, "%s must be a string that is not empty; leave it out to share cached "+
			"prompts with all who do", field)
	case utf8.RuneCountInString(string(salt)) > mostSalt:
		f.fail(field, "%s has more than %d characters; send a shorter one", field, mostSalt)
	}
	return f.characters(field, salt), f.Err()
}

// salts makes the salts under which the prefixes of requests are cached.
type salts struct {
	byKey bool // Config.SaltByKey
}

// of returns the salt of a request that sent this one; "" stands for the cache that all
// share. It is a hash, so that the server does not store the client's secret. With byKey
// it depends on the API key, too, so that clients of different keys share nothing.
func (s salts) of(ctx context.Context, sent string) string {
	var by caller
	if s.byKey {
		by = callerOf(ctx)
	} else if sent == "" {
		return ""
	}
	hash := sha256.Sum256(append(by.hash[:], sent...))
	return string(hash[:])
}
