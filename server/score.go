package server

import (
	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// scoreDialect is sglang-jax's own. It alone reports every fault of a body, in pydantic's
// words. Its answers are sglang-jax's byte for byte unless a field of extras or labels
// asks for more.
func scoreDialect() dialect {
	return dialect{name: "sglang", shape: envelope,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			b, err := readScore(o)
			if err != nil {
				return nil, err
			}
			req, err := b.request(id, m)
			if err != nil {
				return nil, err
			}
			if m.strictEmptyItems && len(req.Items) == 0 {
				return nil, score.Errorf(score.Invalid, "items", sglang.ItemsEmpty)
			}
			if err := render(m.template, req); err != nil {
				return nil, err
			}
			answer := func(result *score.Result) (func() string, error) {
				return func() string { return success(b, result, m.words) }, nil
			}
			return []part{{request: req, answer: answer}}, nil
		}}
}

// request returns the request for the Scorer. It checks what a score.Request cannot
// express, in the order of sglang-jax: labels first, then nulls, then text with lone
// surrogates.
func (b *body) request(id string, m *loaded) (*score.Request, error) {
	sequences := &b.labels.sequences
	if sequences.badMode {
		return nil, score.Errorf(score.Invalid, "label_mode", `label_mode must be "token" or "sequence"`)
	}
	if err := b.labels.resolve(m); err != nil {
		return nil, err
	}
	if err := b.labels.check(m.Vocab); err != nil {
		return nil, err
	}
	if !b.hasQuery || !b.hasItems {
		return nil, score.Errorf(score.Invalid, "query", sglang.KindsMixed)
	}
	if field := b.texts.bad; field != "" {
		return nil, score.Errorf(score.Invalid, field,
			"%s holds a lone surrogate, which is no character", field)
	}
	return &score.Request{ID: id, Query: b.query, Items: b.items, Labels: b.labels.ids,
		Sequences: sequences.tokens, SequenceBeyond: sequences.beyond,
		Normalize: sequences.normalize, LabelField: sequences.field,
		ItemFirst: b.itemFirst, Softmax: b.softmax,
		Positions: b.extras.positions, PositionBeyond: b.extras.beyond,
		Truncate: b.extras.truncate, Partial: b.extras.partial, Logprobs: b.extras.logprobs,
		PlainSpecials: b.extras.plainSpecials}, nil
}
