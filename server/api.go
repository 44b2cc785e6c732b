package server

import (
	_ "embed" // the API's description and its page are files
	"io"
	"net/http"
)

//go:embed web/openapi.json
var openAPI string

//go:embed web/docs.html
var docsPage string

// handleOpenAPI gives the API's description, OpenAPI 3.1.
func handleOpenAPI(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, openAPI) }

// handleDocs gives a page that shows the API and lets a reader try it. It loads nothing from elsewhere.
func handleDocs(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'")
	_, _ = io.WriteString(w, docsPage)
}
