package server

import (
	"encoding/json"
	"sync/atomic"

	"scored/profile"
	"scored/prompt"
	"scored/score"
	"scored/sglang"
)

// Model is a model to serve. The Server owns it after Serve.
type Model struct {
	Scorer        *score.Scorer
	Settings      []Setting         // shown by /get_server_info, in this order
	Words         Words             // nil: labels must be ids, and nothing can be reranked
	Profiler      *profile.Profiler // nil: profiling requests get 501
	Observer      score.Observer    // receives spans of reading and replying; nil: none
	ContextLength int
	Vocab         int  // prompts and labels may use ids 0..Vocab-1
	BaseVocab     int  // vocabulary size in sglang-jax's error for labels
	Generated     bool // weights are generated: every answer says so in a header
}

// Words is the part of the model's tokenizer that the server itself needs. It must be
// safe for concurrent use.
type Words interface {
	score.Encoder
	// Single returns the id of a text that is exactly one token, or an error that lists
	// its tokens.
	Single(text string) (int32, error)
	// Tokens returns the ids of a text that continues another: without those that a
	// tokenizer puts around a text.
	Tokens(text string) ([]int32, error)
}

// Setting is one launch setting as /get_server_info shows it. It must hold no secrets.
type Setting struct {
	Name  string
	Value json.RawMessage
}

// modelSlot holds the model; nil while it is loading. All handlers share one slot, and
// read it once for each request.
type modelSlot struct{ atomic.Pointer[loaded] }

// loaded is a Model as requests meet it, with values that are worked out once and then
// only read: its name for clients, and the templates in its tokens.
type loaded struct {
	*Model
	served           string           // Config.ServedModel
	strictEmptyItems bool             // Config.StrictEmptyItems
	template         *prompt.Template // of /v1/score and /generative_scoring; nil: none
	rerank           rerankTemplate
	noRerank         error // why the model cannot rerank; nil if it can
}

// newLoaded prepares a model for requests. A model that cannot rerank is served all the
// same; requests to rerank get the reason.
func newLoaded(m *Model, cfg Config) *loaded {
	l := &loaded{Model: m, served: cfg.ServedModel, strictEmptyItems: cfg.StrictEmptyItems,
		template: fitTemplate(cfg.Template, m.Words)}
	l.rerank, l.noRerank = newRerankTemplate(m.Words, l.classes(), m.Vocab)
	return l
}

// classes returns the names of a classifier's classes; none for a language model.
func (m *loaded) classes() []string { return m.Scorer.Classes().Names }

// classifies reports whether the model is a classifier.
func (m *loaded) classifies() bool { return len(m.classes()) > 0 }

// longestStep is how many tokens the largest bucket holds.
func (m *loaded) longestStep() (tokens int) {
	for _, bucket := range m.Scorer.Buckets() {
		tokens = max(tokens, bucket.Tokens)
	}
	return tokens
}

// setting returns a launch setting that is a text; "" if it is not.
func (m *loaded) setting(name string) (text string) {
	for _, setting := range m.Settings {
		if setting.Name == name {
			_ = json.Unmarshal(setting.Value, &text) // text stays "" if the value is no string
		}
	}
	return text
}

// observe reports a span to the model's Observer, if there is one.
func (m *loaded) observe(span score.Span) {
	if m.Observer != nil {
		m.Observer.Observe(span)
	}
}

// words returns sglang-jax's sentence for an error of a request. It shows the vocabulary
// size without added tokens, and 0 while the model is loading: then m is nil.
func (m *loaded) words(e *score.Error) string {
	vocab := 0
	if m != nil {
		vocab = m.BaseVocab
	}
	return sglang.Words(e, vocab)
}
