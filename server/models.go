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

// about answers the paths that describe the server and its one model, with the keys of
// sglang-jax and of text-embeddings-inference. It must show no secrets.
type about struct {
	model     *modelSlot
	errors    *errorWriter
	served    string // Config.ServedModel
	path      string // Config.ModelPath
	tokenizer string // Config.TokenizerPath
	sampling  string // Config.Sampling
	version   string // Config.Version
}

// models lists the one model, as /v1/models does in OpenAI's API.
func (a *about) models(w http.ResponseWriter, _ *http.Request, m *loaded) {
	writeJSON(w, http.StatusOK, sglang.JSON(sglang.Object{{Key: "object", Value: "list"},
		{Key: "data", Value: []sglang.Object{modelCard(m)}}}))
}

// oneModel describes the one model, or answers 404 for any other id. It does so even
// while the model is loading.
func (a *about) oneModel(w http.ResponseWriter, r *http.Request) {
	id, err := url.PathUnescape(chi.URLParam(r, "*"))
	if err != nil || id != a.served {
		fault := sglang.Object{{Key: "message", Value: "The model '" + id + "' does not exist"},
			{Key: "type", Value: "invalid_request_error"},
			{Key: "param", Value: "model"}, {Key: "code", Value: "model_not_found"}}
		writeJSON(w, http.StatusNotFound, sglang.JSON(sglang.Object{{Key: "error", Value: fault}}))
		return
	}
	a.errors.whenLoaded(func(w http.ResponseWriter, _ *http.Request, m *loaded) {
		writeJSON(w, http.StatusOK, sglang.JSON(modelCard(m)))
	})(w, r)
}

// modelCard is an entry of /v1/models. Like sglang-jax it gives the time of the request
// as the time at which the model was created.
func modelCard(m *loaded) sglang.Object {
	return sglang.Object{{Key: "id", Value: m.served}, {Key: "object", Value: "model"},
		{Key: "created", Value: time.Now().Unix()},
		{Key: "owned_by", Value: "sglang"}, {Key: "root", Value: m.served},
		{Key: "max_model_len", Value: m.ContextLength}}
}

// paths shows the paths of the model as sglang-jax does. They are known before the model
// is loaded. A classifier is told by its checkpoint, so until then is_generation is true.
func (a *about) paths(w http.ResponseWriter, _ *http.Request) {
	m := a.model.Load()
	info := sglang.Object{{Key: "model_path", Value: a.path},
		{Key: "tokenizer_path", Value: a.tokenizer},
		{Key: "is_generation", Value: m == nil || !m.classifies()},
		{Key: "preferred_sampling_params", Value: json.RawMessage(cmp.Or(a.sampling, "null"))}}
	if m != nil && m.Generated {
		info = append(info, sglang.Member{Key: "weights", Value: "generated"})
	}
	writeJSON(w, http.StatusOK, sglang.JSON(info))
}
