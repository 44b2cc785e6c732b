package server

import (
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// nimDialect is the dialect of NVIDIA's reranking NIMs, which answer with logits and
// never with probabilities:
// https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/reference.html.
func nimDialect() dialect {
	return dialect{name: "nim", accepts: has("passages"), shape: nimError,
		read: func(m *loaded, id string, o *python.Object) ([]part, error) {
			r, err := readRanking(o)
			if err != nil {
				return nil, err
			}
			return r.parts(m, id, func(result *score.Result, logits []float64) any {
				answer := nimRankings{Rankings: []nimRanking{},
					Usage: nimUsage{result.Usage.PromptTokens, result.Usage.PromptTokens}}
				for _, d := range r.rank(logits) {
					answer.Rankings = append(answer.Rankings, nimRanking{d.index, d.relevance})
				}
				return answer
			})
		}}
}

// nimRankings is NIM's answer: all passages, by descending logit.
type nimRankings struct {
	Rankings []nimRanking `json:"rankings"`
	Usage    nimUsage     `json:"usage"`
}

// nimRanking is a passage, by its index in the request.
type nimRanking struct {
	Index int     `json:"index"`
	Logit float64 `json:"logit"`
}

// nimUsage counts every prompt in full.
type nimUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

// readRanking reads a request to rank passages. A query and a passage are objects with a
// text. A NIM's passage may have an image beside its text; an answer that ignored it
// would rank something else, so it is refused.
func readRanking(o *python.Object) (*rerankRequest, error) {
	f := fieldsOf(o)
	r := &rerankRequest{query: f.text("query", f.Get("query")), field: "passages", raw: true}
	r.documents = f.textList("passages")
	passages, _ := sglang.ListOf(f.Get("passages"))
	for i, passage := range passages {
		if o, ok := passage.(*python.Object); ok {
			if image, _ := o.Get("image"); image != nil {
				f.fail(element("passages", i), "%s has an image; nothing but text can be ranked",
					element("passages", i))
			}
		}
	}
	truncate := f.name("truncate")
	if !slices.Contains([]string{"", "NONE", "END"}, truncate) {
		f.fail("truncate", "truncate must be NONE or END")
	}
	r.cut = truncate == "END"
	r.remedy = ", or set truncate to END to have its end cut off"
	r.readInstruction(f)
	return r, f.done(nimUnserved())
}
