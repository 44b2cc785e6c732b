package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"scored/score"
)

// health answers probes. Probes must not need a model: a process that loads one for
// minutes is alive, and only not ready.
type health struct {
	model   *modelSlot
	log     *slog.Logger
	timeout time.Duration // of generate
}

// alive answers 200 from the start, and 503 once the process must be ended because its
// device is lost or hangs.
func (h *health) alive(w http.ResponseWriter, _ *http.Request) {
	if m := h.model.Load(); m != nil && m.Scorer.Alive() != nil {
		writeBare(w, http.StatusServiceUnavailable, "")
		return
	}
	writeBare(w, http.StatusOK, "")
}

// ready answers 200 if requests can be answered, else 503.
func (h *health) ready(w http.ResponseWriter, _ *http.Request) {
	if m := h.model.Load(); m == nil || m.Scorer.Ready() != nil {
		writeBare(w, http.StatusServiceUnavailable, "")
		return
	}
	writeBare(w, http.StatusOK, "")
}

// generate scores a prompt of one token and answers 200 if that works, else 503. So it
// tells that the device still computes, for the price of a small step. sglang-jax
// generates a token instead.
func (h *health) generate(w http.ResponseWriter, r *http.Request) {
	m := h.model.Load()
	if m == nil {
		writeBare(w, http.StatusServiceUnavailable, "")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
	defer cancel()
	token := score.Part{IsTokens: true, Tokens: []int64{0}}
	req := &score.Request{ID: requestID(r), Query: score.Part{IsTokens: true},
		Items: []score.Part{token}, Classify: m.classifies()}
	if !req.Classify {
		req.Labels = []score.Label{{}} // token 0: which one makes no difference
	}
	_, err := m.Scorer.Score(ctx, req)
	switch {
	case err != nil:
		h.log.Warn("health check failed", "request", requestID(r), "error", err)
		writeBare(w, http.StatusServiceUnavailable, "")
	case r.URL.Query().Get("multimodal") == "True":
		writeJSON(w, http.StatusOK, "null") // as sglang-jax answers then
	default:
		writeBare(w, http.StatusOK, "")
	}
}
