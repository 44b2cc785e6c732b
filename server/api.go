package server

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the API's description and its pages are files
	"io"
	"net/http"
	"strings"
)

//go:embed web/openapi.json
var openAPI string

//go:embed web/docs.html
var docsPage string

//go:embed web/reference.html
var referencePage string

// Swagger UI 5.35.0, of npm's swagger-ui-dist, zipped:
// https://github.com/swagger-api/swagger-ui, Apache 2.0.
var (
	//go:embed web/swagger-ui-bundle.js.gz
	swaggerScript []byte
	//go:embed web/swagger-ui.css.gz
	swaggerStyle []byte
)

// routeDocs routes the description of the API and the pages that show it. The pages
// load nothing from other hosts.
func routeDocs(r *router) {
	const inline = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; " +
		"connect-src 'self'"
	r.read("/openapi.json", handleOpenAPI)
	r.read("/docs", page(docsPage, inline))
	r.read("/docs/reference", page(referencePage,
		"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "+
			"img-src data:; connect-src 'self'"))
	r.read("/docs/swagger-ui-bundle.js", zipped("text/javascript", swaggerScript))
	r.read("/docs/swagger-ui.css", zipped("text/css", swaggerStyle))
}

// handleOpenAPI answers with the description of the API, OpenAPI 3.1. It is written by
// hand; a test compares its paths with the router's.
func handleOpenAPI(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, openAPI) }

// page answers with a page under a Content-Security-Policy:
// https://www.w3.org/TR/CSP3/.
func page(text, policy string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = io.WriteString(w, text)
	}
}

// zipped answers with a file that is stored as gzip. Clients that accept gzip get it as
// it is.
func zipped(contentType string, data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType+"; charset=utf-8")
		h.Set("Cache-Control", "max-age=86400")
		h.Add("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			_, _ = w.Write(data)
			return
		}
		file, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			_, _ = io.Copy(w, file)
		}
	}
}
