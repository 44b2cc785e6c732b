package server

import (
	"context"
	"net/http"

	"scored/score"
)

// handleAlive answers 200 from the start, and 503 once the process must be ended
// because its device is lost or hangs.
func (s *Server) handleAlive(w http.ResponseWriter, _ *http.Request) {
	if m := s.model.Load(); m != nil && m.Scorer.Alive() != nil {
		writeBare(w, http.StatusServiceUnavailable, "")
		return
	}
	writeBare(w, http.StatusOK, "")
}

// handleReady answers 200 if requests can be answered, else 503.
func (s *Server) handleReady(w http.ResponseWriter, _ *http.Request) {
	if m := s.model.Load(); m == nil || m.Scorer.Ready() != nil {
		writeBare(w, http.StatusServiceUnavailable, "")
		return
	}
	writeBare(w, http.StatusOK, "")
}

// handleGenerate scores a prompt of one token and answers 200 if that works, else 503.
// sglang-jax generates a token instead.
func (s *Server) handleGenerate(w http.ResponseWriter, r *http.Request) {
	m := s.model.Load()
	if m == nil {
		writeBare(w, http.StatusServiceUnavailable, "")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.HealthTimeout)
	defer cancel()
	token := score.Part{IsTokens: true, Tokens: []int64{0}}
	req := &score.Request{ID: requestID(r), Query: score.Part{IsTokens: true},
		Items: []score.Part{token}, Classify: m.classifies()}
	if !req.Classify {
		req.Labels = []score.Label{{}}
	}
	_, err := m.Scorer.Score(ctx, req)
	switch {
	case err != nil:
		s.cfg.Logger.Warn("health check failed", "request", requestID(r), "error", err)
		writeBare(w, http.StatusServiceUnavailable, "")
	case r.URL.Query().Get("multimodal") == "True":
		writeJSON(w, http.StatusOK, "null")
	default:
		writeBare(w, http.StatusOK, "")
	}
}
