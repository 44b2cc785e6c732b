package server

import (
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"testing"
)

// TestDocsInABrowser opens the page in headless Chromium, where there is one, and scores with its form.
func TestDocsInABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	if testing.Short() {
		t.Skip("starts a browser")
	}
	web := httptest.NewServer(newTestServer(t, nil))
	defer web.Close()
	form := url.Values{"query": {"is it? "}, "items": {"first\nsecond"}, "labels": {"Y,N"}}
	page, err := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
		"--user-data-dir="+t.TempDir(), "--dump-dom", web.URL+"/docs#"+form.Encode()).Output()
	if err != nil {
		t.Skipf("chromium does not run here: %v", err)
	}
	if n := len(regexp.MustCompile(`<td class="n"[^>]*>0\.\d+</td>`).FindAll(page, -1)); n != 4 {
		t.Errorf("the page shows %d scores, want 2 items of 2 labels:\n%.2000s", n, page)
	}
	for _, want := range []string{"first", "second", "/v1/score</code>", "curl " + web.URL} {
		if !regexp.MustCompile(regexp.QuoteMeta(want)).Match(page) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
