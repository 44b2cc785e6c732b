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

// salt reads cache_salt, which every dialect has with vLLM's meaning: prompts share
// cached prefixes only with prompts of the same salt. It returns "" if the body has
// none.
func (f *fieldReader) salt() string {
	const field = "cache_salt"
	v := f.Get(field)
	if v == nil {
		return ""
	}
	salt, ok := v.(python.String)
	switch {
	case !ok || salt == "":
		f.fail(field, "%s must be a string that is not empty; leave it out to share cached "+
			"prompts with all who do", field)
	case utf8.RuneCountInString(string(salt)) > mostSalt:
		f.fail(field, "%s has more than %d characters; send a shorter one", field, mostSalt)
	}
	return f.characters(field, salt)
}

// parts reads the requests of a body in the dialect d. The body's salt applies to
// requests that have none of their own.
func (d *dialect) parts(s *Server, m *Model, id string, o *python.Object) ([]part, error) {
	parts, err := d.read(s, m, id, o)
	if err != nil {
		return nil, err
	}
	f := fieldsOf(o)
	salt := f.salt()
	for _, p := range parts {
		if p.request.Salt == "" {
			p.request.Salt = salt
		}
	}
	return parts, f.Err()
}

// prefixSalt returns the salt under which the request's prefixes are cached; "" for the
// cache that all share. It is a hash, so that the server does not store what the client
// sent. With Config.SaltByKey it depends on the API key, too.
func (s *Server) prefixSalt(ctx context.Context, salt string) string {
	var by caller
	if s.cfg.SaltByKey {
		by = callerOf(ctx)
	} else if salt == "" {
		return ""
	}
	hash := sha256.Sum256(append(by.hash[:], salt...))
	return string(hash[:])
}
