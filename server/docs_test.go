package server

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// browse gives a page's document once its scripts have run. CHROMIUM may name the
// browser.
func browse(t *testing.T, url string) []byte {
	t.Helper()
	browser, err := exec.LookPath(cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	if err != nil {
		t.Skip("needs chromium")
	}
	page, err := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
		"--user-data-dir="+t.TempDir(), "--dump-dom", url).Output()
	if err != nil {
		t.Skipf("chromium does not run here: %v", err)
	}
	return page
}

// TestReferenceInABrowser: the reference is shown, with every operation, and loads
// nothing from elsewhere.
func TestReferenceInABrowser(t *testing.T) {
	web := httptest.NewServer(newTestServer(t, nil))
	defer web.Close()
	page := browse(t, web.URL+"/docs/reference")
	var api struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(openAPI), &api); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, methods := range api.Paths {
		operations += len(methods)
	}
	if n := len(regexp.MustCompile(`class="opblock-summary-path"`).FindAll(page, -1)); n != operations {
		t.Errorf("the page shows %d operations of %d:\n%.2000s", n, operations, page)
	}
	if got := regexp.MustCompile(`(src|<link[^>]* href)="(https?:)?//[^"]*"`).FindAll(page, -1); len(got) > 0 && !bytes.Contains(got[0], []byte(web.URL)) {
		t.Errorf("the page loads %s", got)
	}
}

// TestSwagger: the files are those of the version that is named, and come to those who
// cannot unzip too.
func TestSwagger(t *testing.T) {
	s := newTestServer(t, nil)
	for path, want := range map[string]string{
		"/docs/swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
		"/docs/swagger-ui.css":       "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
	} {
		plain, packed := send(s, "GET", path, ""), send(s, "GET", path, "", "Accept-Encoding", "br, gzip")
		unpacked, err := gzip.NewReader(packed.Body)
		if err != nil || packed.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" {
			t.Fatal(path, err, packed.Header(), plain.Header())
		}
		text, err := io.ReadAll(unpacked)
		if err != nil || !bytes.Equal(text, plain.Body.Bytes()) {
			t.Errorf("%s is another file as gzip: %v", path, err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
			t.Errorf("%s has hash %s, want %s", path, got, want)
		}
	}
}

// TestDocsInABrowser opens the page in headless Chromium, where there is one, and scores
// with its form.
func TestDocsInABrowser(t *testing.T) {
	web := httptest.NewServer(newTestServer(t, nil))
	defer web.Close()
	form := url.Values{"query": {"is it? "}, "items": {"first\nsecond"}, "labels": {"Y,N"}}
	page := browse(t, web.URL+"/docs#"+form.Encode())
	if n := len(regexp.MustCompile(`<td class="n"[^>]*>0\.\d+</td>`).FindAll(page, -1)); n != 4 {
		t.Errorf("the page shows %d scores, want 2 items of 2 labels:\n%.2000s", n, page)
	}
	for _, want := range []string{"first", "second", "read 0.", " were shared or cached", "/v1/score</code>", "curl '" + web.URL + "/v1/score'"} {
		if !regexp.MustCompile(regexp.QuoteMeta(want)).Match(page) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestDocsCommand: what the page shows as curl is the request that it has sent, with its
// key, wherever the page is mounted; and of an answer that is an error it shows how long
// that took.
func TestDocsCommand(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	const key = `it's "secret"`
	s := newTestServer(t, func(c *Config, _ *Model) { c.APIKey = key })
	web := httptest.NewServer(http.StripPrefix("/under", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/docs" {
			s.ServeHTTP(w, r)
			return
		}
		r.Header.Set("Authorization", "Bearer "+key) // as a gateway does that has asked for a password
		page := httptest.NewRecorder()
		s.ServeHTTP(page, r)
		maps.Copy(w.Header(), page.Header())
		given := `id="key" value="` + html.EscapeString(key) + `"`
		_, _ = io.WriteString(w, strings.Replace(page.Body.String(), `id="key"`, given, 1))
	})))
	defer web.Close()
	form := url.Values{"query": {"isn't it? "}, "items": {"first"}, "labels": {"Y,N"}}
	shown := regexp.MustCompile(`<pre>(curl [^<]*)</pre><pre>([^<]*)</pre>`).FindStringSubmatch(string(browse(t, web.URL+"/under/docs#"+form.Encode())))
	if shown == nil {
		t.Fatal("the page shows no command")
	}
	command, want := html.UnescapeString(shown[1]), html.UnescapeString(shown[2])
	got, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sS ", 1)).Output()
	if err != nil || !strings.HasPrefix(want, `{"scores":[[`) || shape(string(got)) != shape(want) {
		t.Errorf("%s\nanswers %s, %v\nwant    %s", command, got, err, want)
	}
	form.Set("labels", "more than a token")
	if page := browse(t, web.URL+"/under/docs#"+form.Encode()); !regexp.MustCompile(`Status 400</p><p>read \d+\.\d+ ms, rest \d+\.\d+ ms</p>`).Match(page) {
		t.Errorf("the page shows no times of an error:\n%.2000s", page)
	}
}
