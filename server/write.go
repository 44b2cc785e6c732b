package server

import (
	"io"
	"net/http"

	"scored/sglang"
)

// The functions of this file begin and end an answer. They ignore the error of the
// write: it means that the client has gone, and nobody is left to tell.

// writeJSON answers with text that is JSON already, as sglang.JSON makes it.
func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// writePlain answers with plain text.
func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// writeBare answers without a content type, as sglang-jax's plain responses do. The nil
// keeps net/http from guessing one.
func writeBare(w http.ResponseWriter, status int, text string) {
	w.Header()["Content-Type"] = nil
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// detail returns a body in the form of FastAPI's own errors.
func detail(text string) string { return sglang.JSON(sglang.Object{{Key: "detail", Value: text}}) }
