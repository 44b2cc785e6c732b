package wheel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
)

const (
	indexURLEnv     = "PIP_INDEX_URL"
	defaultIndexURL = "https://pypi.org/simple"
	maxIndexPage    = 64 << 20 // bytes; a long page of PyPI has a few million
)

// anchor matches a link of a package index's HTML page (PEP 503): its target and the
// file name it shows.
var anchor = regexp.MustCompile(
	`(?is)<a\s[^>]*?href\s*=\s*["']([^"']+)["'][^>]*>\s*([^<]+?)\s*</a>`)

// wheelURL asks the package index for the address of the wheel. Indexes answer in JSON
// (PEP 691) or in HTML (PEP 503); mirrors often have HTML alone. An index may be given
// with a user and password, as pip takes it: errors show the address without them.
func wheelURL(ctx context.Context, w wheel, o Options) (string, error) {
	page, err := indexPage(w, o)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
	if err != nil {
		return "", fmt.Errorf("package index: %w", err)
	}
	request.Header.Set("Accept", "application/vnd.pypi.simple.v1+json, text/html;q=0.5")
	response, err := o.client().Do(request)
	if err != nil {
		return "", fmt.Errorf("package index: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", &statusError{page.Redacted(), response.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxIndexPage))
	if err != nil {
		return "", fmt.Errorf("package index %s: %w", page.Redacted(), err)
	}
	link, err := findLink(response.Header.Get("Content-Type"), body, w.file())
	if err != nil {
		return "", fmt.Errorf("package index %s: %w", page.Redacted(), err)
	}
	// A link may be relative to the address that redirects have led to.
	target, err := response.Request.URL.Parse(link)
	if err != nil {
		return "", fmt.Errorf("package index %s: %w", page.Redacted(), err)
	}
	target.Fragment = ""
	return target.String(), nil
}

// errIndex says that no request can reach a package index by its address.
var errIndex = errors.New("package index is no address; give it as https://HOST/PATH")

// indexPage returns the address of a wheel's page in the index. The error wraps errIndex
// and tells nothing of the address, which may hold a password.
func indexPage(w wheel, o Options) (*url.URL, error) {
	index, from := o.IndexURL, "--index-url"
	if index == "" {
		index, from = os.Getenv(indexURLEnv), indexURLEnv
	}
	if index == "" {
		index = defaultIndexURL
	}
	page, err := url.Parse(strings.TrimSuffix(index, "/") + "/" + w.name + "/")
	if err != nil || !IsIndex(index) {
		return nil, fmt.Errorf("%s: %w", from, errIndex)
	}
	return page, nil
}

// IsIndex reports whether a request can be sent to an address: by http or https, to a
// host.
func IsIndex(address string) bool {
	at, err := url.Parse(address)
	return err == nil && at.Host != "" && (at.Scheme == "https" || at.Scheme == "http")
}

// findLink returns the link to a file in a page of a package index, which may be
// relative. A body that is called JSON and has no such file may be HTML all the same.
func findLink(contentType string, body []byte, file string) (string, error) {
	media, _, _ := mime.ParseMediaType(contentType)
	if strings.HasSuffix(media, "json") {
		var page struct {
			Files []struct{ Filename, URL string }
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return "", err
		}
		for _, f := range page.Files {
			if f.Filename == file {
				return f.URL, nil
			}
		}
	}
	for _, link := range anchor.FindAllSubmatch(body, -1) {
		if html.UnescapeString(string(link[2])) == file {
			return html.UnescapeString(string(link[1])), nil
		}
	}
	return "", fmt.Errorf("has no %s: use another index, or a folder that has the wheel", file)
}
