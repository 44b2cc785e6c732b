package server

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"scored/score"
)

// keeping is an engine that keeps prefixes.
type keeping struct{ engineFunc }

func (keeping) Buckets() []score.Bucket {
	return []score.Bucket{{Tokens: 4096, Rows: 64, Length: 4096, Context: 4096, Cost: 1}, {Tokens: 4096, Rows: 64, Length: 4096, Cost: 1}}
}

// newSaltServer counts cached tokens in its metrics. It takes the keys first, second and
// own.
func newSaltServer(t *testing.T, byKey bool) *Server {
	t.Helper()
	keys := &Keys{}
	if err := keys.Read([]byte("first team\nsecond team\n")); err != nil {
		t.Fatal(err)
	}
	return newTestServer(t, func(c *Config, m *Model) {
		c.Metrics, c.Keys, c.APIKey, c.SaltByKey = NewMetrics("test"), keys, "own", byKey
		scorer, err := score.New(score.Config{Vocab: byteVocab, ContextLength: testContext, Observer: c.Metrics}, byteWords{}, keeping{marked()})
		if err != nil {
			t.Fatal(err)
		}
		m.Scorer, m.Words, m.Vocab = scorer, byteWords{}, byteVocab
	})
}

// saltBodies are requests of every dialect by path, with room for more fields. Each has a
// prefix that is worth keeping.
func saltBodies() map[string]string {
	query := strings.Repeat("long ", 40)
	rerank := `"query":"` + query + `","documents":["a","b"]`
	scores := `"query":"` + query + `","items":["a","b"],"label_token_ids":[5,6]`
	return map[string]string{
		"/v1/score":           `{"model":"m",` + scores + `%s}`,
		"/generative_scoring": `{` + scores + `%s}`,
		"/score":              `{"text_1":"` + query + `","text_2":["a","b"]%s}`,
		"/v1/score#pairs":     `{"queries":["` + query + `","` + query + `"],"documents":["a","b"]%s}`,
		"/v1/rerank":          `{` + rerank + `%s}`,
		"/rerank":             `{"query":"` + query + `","texts":["a","b"]%s}`,
		"/v1/ranking":         `{"query":{"text":"` + query + `"},"passages":[{"text":"a"},{"text":"b"}]%s}`,
		"/invocations":        `{` + rerank + `%s}`,
		"/vertex":             `{"instances":[{` + rerank + `%s}]}`,
		"/vertex#parameters":  `{"instances":[{` + rerank + `}],"parameters":{"top_n":1%s}}`,
		"/vertex#top":         `{"instances":[{` + rerank + `}]%s}`,
	}
}

var cachedCount = regexp.MustCompile(`\nscored_tokens_total\{kind="cached"\} (\S+)\n`)

// cachedTokens is how many prompt tokens of the request were not computed for it.
func cachedTokens(t *testing.T, s *Server, path, body, key string) int {
	t.Helper()
	count := func() int {
		n, err := strconv.Atoi(cachedCount.FindStringSubmatch(send(s, "GET", "/metrics", "").Body.String())[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	path, _, _ = strings.Cut(path, "#")
	if w := send(s, "POST", path, body, "Authorization", "Bearer "+key); w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %s", body, w.Code, w.Body)
	}
	return count() - before
}

// TestSaltsShareNothing: in every dialect, what one salt has computed saves another
// nothing, not even the template.
func TestSaltsShareNothing(t *testing.T) {
	for path, body := range saltBodies() {
		for _, byKey := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s by key %v", path, byKey), func(t *testing.T) {
				s := newSaltServer(t, byKey)
				ask := func(salt, key string) int {
					if salt != "" {
						salt = `,"cache_salt":"` + salt + `"`
					}
					return cachedTokens(t, s, path, fmt.Sprintf(body, salt), key)
				}
				cold, warm := ask("", "first"), ask("", "first")
				if warm <= cold {
					t.Fatalf("a prompt again has %d tokens cached, at first %d", warm, cold)
				}
				callers := [][2]string{{"a", "first"}, {"b", "first"}, {"aa", "first"}}
				if byKey {
					callers = append(callers, [][2]string{{"", "second"}, {"", "own"}, {"a", "second"}, {"a", "own"}}...)
				}
				for _, c := range callers {
					if got := ask(c[0], c[1]); got != cold {
						t.Errorf("salt %q with key %q has %d tokens of others, want %d", c[0], c[1], got-cold, 0)
					}
				}
				for _, c := range append(callers, [2]string{"", "first"}) {
					if got := ask(c[0], c[1]); got != warm {
						t.Errorf("salt %q with key %q again has %d tokens cached, want its own %d", c[0], c[1], got, warm)
					}
				}
				if !byKey {
					if got := ask("a", "second"); got != warm {
						t.Errorf("another key with the same salt has %d tokens cached, want all %d", got, warm)
					}
				}
			})
		}
	}
}

// TestSaltsOfInstances: instances of one body are kept apart as requests are.
func TestSaltsOfInstances(t *testing.T) {
	s := newSaltServer(t, false)
	instance := strings.TrimSuffix(strings.TrimPrefix(saltBodies()["/vertex"], `{"instances":[`), `]}`)
	ask := func(salts ...string) int {
		var all []string
		for _, salt := range salts {
			all = append(all, fmt.Sprintf(instance, `,"cache_salt":"`+salt+`"`))
		}
		return cachedTokens(t, s, "/vertex", `{"instances":[`+strings.Join(all, ",")+`],"parameters":{"cache_salt":"p"}}`, "own")
	}
	cold := ask("a")
	warm := ask("a")
	if got := ask("b", "c"); got != 2*cold {
		t.Errorf("two instances with salts of their own have %d tokens cached, want %d", got, 2*cold)
	}
	if got := ask("a", "c"); got != 2*warm {
		t.Errorf("two instances again have %d tokens cached, want %d", got, 2*warm)
	}
}

// TestSaltErrors: a salt that is none is refused in each dialect's words, by name.
func TestSaltErrors(t *testing.T) {
	s := newSaltServer(t, true)
	longest := strings.Repeat("x", mostSalt)
	for path, body := range saltBodies() {
		field := map[string]string{"/vertex": "instances[0].cache_salt", "/vertex#parameters": "instances[0].cache_salt"}[path]
		if field == "" {
			field = "cache_salt"
		}
		for salt, want := range map[string]string{`""`: "must be a string that is not empty", `5`: "must be a string", `["a"]`: "must be a string",
			`"` + longest + `x"`: "has more than 1024 characters", `"a\ud800"`: "holds a lone surrogate", `null`: "", `"` + longest + `"`: "", `"` + strings.Repeat("é", mostSalt) + `"`: "", `" "`: ""} {
			address, _, _ := strings.Cut(path, "#")
			w := send(s, "POST", address, fmt.Sprintf(body, `,"cache_salt":`+salt), "Authorization", "Bearer own")
			status := http.StatusBadRequest
			if address == "/rerank" {
				status = http.StatusUnprocessableEntity
			}
			got := w.Header().Get("X-Scored-Error-Param")
			if want == "" && w.Code != http.StatusOK || want != "" && (w.Code != status || got != field || !strings.Contains(w.Body.String(), field+" "+want)) {
				t.Errorf("%s with salt %.20s: status %d, field %q: %s", path, salt, w.Code, got, w.Body)
			}
		}
	}
}

// TestPlacesElsewhere: dialects that have no answer for scores at several places refuse
// them by name, and do not answer as if they had not been asked.
func TestPlacesElsewhere(t *testing.T) {
	s := newSaltServer(t, false)
	for path, body := range saltBodies() {
		address, _, _ := strings.Cut(path, "#")
		if path == "/v1/score" || address == "/vertex" {
			continue
		}
		for field, value := range map[string]string{"score_positions": "[0]", "label_mode": `"sequence"`} {
			w := send(s, "POST", address, fmt.Sprintf(body, `,"`+field+`":`+value), "Authorization", "Bearer own")
			if got := w.Header().Get("X-Scored-Error-Param"); w.Code/100 != 4 || got != field {
				t.Errorf("%s with %s: status %d, field %q: %s", path, field, w.Code, got, w.Body)
			}
		}
		if w := send(s, "POST", address, fmt.Sprintf(body, `,"label_mode":"token"`), "Authorization", "Bearer own"); w.Code != http.StatusOK {
			t.Errorf("%s with the label mode that it has: status %d: %s", path, w.Code, w.Body)
		}
	}
}
