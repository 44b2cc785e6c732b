package server

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"scored/sglang"
)

// handleModels lists the one model.
func (s *Server) handleModels(w http.ResponseWriter, r *http.Request) {
	if card, ok := s.card(w, r); ok {
		writeJSON(w, http.StatusOK, sglang.JSON(sglang.Object{{Key: "object", Value: "list"},
			{Key: "data", Value: []sglang.Object{card}}}))
	}
}

// handleModel describes the one model, or answers 404 for any other id.
func (s *Server) handleModel(w http.ResponseWriter, r *http.Request) {
	id, err := url.PathUnescape(chi.URLParam(r, "*"))
	if err != nil || id != s.cfg.ServedModel {
		fault := sglang.Object{{Key: "message", Value: "The model '" + id + "' does not exist"},
			{Key: "type", Value: "invalid_request_error"},
			{Key: "param", Value: "model"}, {Key: "code", Value: "model_not_found"}}
		writeJSON(w, http.StatusNotFound, sglang.JSON(sglang.Object{{Key: "error", Value: fault}}))
		return
	}
	if card, ok := s.card(w, r); ok {
		writeJSON(w, http.StatusOK, sglang.JSON(card))
	}
}

// card is the one entry of /v1/models. ok is false if it has answered that the model is
// loading.
func (s *Server) card(w http.ResponseWriter, r *http.Request) (sglang.Object, bool) {
	m, ok := s.ready(w, r)
	if !ok {
		return nil, false
	}
	return sglang.Object{{Key: "id", Value: s.cfg.ServedModel}, {Key: "object", Value: "model"},
		{Key: "created", Value: time.Now().Unix()},
		{Key: "owned_by", Value: "sglang"}, {Key: "root", Value: s.cfg.ServedModel},
		{Key: "max_model_len", Value: m.ContextLength}}, true
}

// handleModelInfo shows the paths of the model as sglang-jax does.
func (s *Server) handleModelInfo(w http.ResponseWriter, _ *http.Request) {
	m := s.model.Load()
	info := sglang.Object{{Key: "model_path", Value: s.cfg.ModelPath},
		{Key: "tokenizer_path", Value: s.cfg.TokenizerPath},
		{Key: "is_generation", Value: m == nil || !m.classifies()},
		{Key: "preferred_sampling_params", Value: json.RawMessage(cmp.Or(s.cfg.Sampling, "null"))}}
	if m != nil && m.Generated {
		info = append(info, sglang.Member{Key: "weights", Value: "generated"})
	}
	writeJSON(w, http.StatusOK, sglang.JSON(info))
}
