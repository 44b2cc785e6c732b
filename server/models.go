package server

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

func (s *Server) handleModels(w http.ResponseWriter, r *http.Request) {
	if card, ok := s.card(w, r); ok {
		writeJSON(w, http.StatusOK, `{"object":"list","data":[`+card+`]}`)
	}
}

func (s *Server) handleModel(w http.ResponseWriter, r *http.Request) {
	id, err := url.PathUnescape(chi.URLParam(r, "*"))
	if err != nil || id != s.cfg.ServedModel {
		message := quote("The model '" + id + "' does not exist")
		writeJSON(w, http.StatusNotFound, `{"error":{"message":`+message+`,"type":"invalid_request_error","param":"model","code":"model_not_found"}}`)
		return
	}
	if card, ok := s.card(w, r); ok {
		writeJSON(w, http.StatusOK, card)
	}
}

// card is the one entry of /v1/models.
func (s *Server) card(w http.ResponseWriter, r *http.Request) (string, bool) {
	m, ok := s.ready(w, r)
	if !ok {
		return "", false
	}
	name := quote(s.cfg.ServedModel)
	return `{"id":` + name + `,"object":"model","created":` + strconv.FormatInt(time.Now().Unix(), 10) +
		`,"owned_by":"sglang","root":` + name + `,"max_model_len":` + strconv.Itoa(m.ContextLength) + `}`, true
}

func (s *Server) handleModelInfo(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString(`{"model_path":` + quote(s.cfg.ModelPath) + `,"tokenizer_path":` + quote(s.cfg.TokenizerPath) +
		`,"is_generation":true,"preferred_sampling_params":` + cmp.Or(s.cfg.Sampling, "null"))
	if m := s.model.Load(); m != nil && m.Generated {
		b.WriteString(`,"weights":"generated"`)
	}
	b.WriteString(`}`)
	writeJSON(w, http.StatusOK, b.String())
}
