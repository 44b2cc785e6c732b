package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// probes tells the paths apart that machines request every few seconds.
type probes struct {
	healthRoute string // Config.HealthRoute
}

// has reports whether the path is a probe's. Such requests would hide those of clients
// in the log and the metrics.
func (p probes) has(path string) bool {
	return path == p.healthRoute && path != "" || strings.HasPrefix(path, "/health") ||
		strings.HasPrefix(path, "/metrics") ||
		path == "/livez" || path == "/readyz" || path == "/ping"
}

// authorizer decides which requests may be answered.
type authorizer struct {
	probes       probes
	predictRoute string // Config.PredictRoute
	keylessPing  bool   // Config.KeylessPing
	key          string // Config.APIKey; "": none
	keys         *Keys  // Config.Keys; nil: none
}

// authorize reports whether a request may be answered, and whose key it has. It compares
// keys in constant time. Preflights need no key, because browsers send none with them.
func (a *authorizer) authorize(r *http.Request) (by caller, ok bool) {
	if a.key == "" && a.keys == nil || r.Method == http.MethodOptions || a.open(r) {
		return by, true
	}
	header := r.Header.Get("Authorization")
	if a.keys != nil {
		if by, ok := a.keys.find(header); ok {
			return by, true
		}
	}
	// Hashes have the same length, so the comparison does not tell the key's.
	got, want := sha256.Sum256([]byte(header)), sha256.Sum256([]byte("Bearer "+a.key))
	if a.key == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return by, false
	}
	by.hash = sha256.Sum256([]byte(a.key))
	return by, true
}

// open reports whether a request needs no key. Probes need none, except /ping, which
// sglang-jax protects. A host may set the probe's and the predict route to the same
// path; then its POST scores, and needs a key.
func (a *authorizer) open(r *http.Request) bool {
	path := r.URL.Path
	return a.probes.has(path) && (path != "/ping" || a.keylessPing) &&
		(path != a.predictRoute || r.Method != http.MethodPost)
}
