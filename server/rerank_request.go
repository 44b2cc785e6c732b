package server

import (
	"cmp"

	"scored/sglang/python"
)

// rerankRequest is a request to rerank, or to score pairs, in any dialect.
type rerankRequest struct {
	model     string // "" if not given
	requestID string // from the body; "" if not given

	// The texts. Where pairs are scored, queries has one for each document, in place of
	// query. The two names are the client's, for errors.
	query, queryField string
	queries           []string
	documents         []string
	field             string
	one               bool // there is one document, and not in a list

	// The answer.
	topN          int  // how many results to send; 0: all
	withDocuments bool // results repeat their documents
	raw           bool // relevance is a logit, not a probability

	// The prompt. Unless plainSpecials is set, the text of a special token is the token, as
	// in the model card's code.
	instruction   string // never empty
	plainSpecials bool

	// A document whose prompt is too long fails the request, unless cut is set. A cut
	// takes tokens only off the end of the document, so that the prompt still asks for
	// the answer.
	cut            bool
	promptTokens   int    // with cut, the longest prompt; 0: the model's
	documentTokens int    // longer documents are cut to it; 0: no bound
	remedy         string // ends the error of a document that is too long; begins with a comma
}

// rerankInstruction is the default of the model card's code.
const rerankInstruction = "Given a web search query, retrieve relevant passages that answer the " +
	"query"

// readRerank reads the union of the fields of vLLM, Jina, Cohere and Together. A field
// that is null counts as absent. Fields that do not change the answer are ignored; those
// of rerankUnserved are refused. The error names the first field at fault, with the index
// in documents.
func readRerank(o *python.Object) (*rerankRequest, error) {
	f := fieldsOf(o)
	r := &rerankRequest{model: f.name("model"), query: f.text("query", f.Get("query")),
		field: "documents"}
	r.documents, r.one = readDocuments(f, r.field)
	r.topN = f.integer("top_n", 0, 0)
	r.withDocuments = f.Bool("return_documents", true)
	r.readCuts(f)
	r.readInstruction(f)
	r.readRaw(f)
	return r, f.done(rerankUnserved())
}

// readRaw reads whether relevance is a logit, under vLLM's present and former names and
// TEI's. One of them is enough.
func (r *rerankRequest) readRaw(f *fieldReader) {
	r.raw = !f.Bool("use_activation", true) || !f.Bool("activation", true) ||
		f.Bool("raw_scores", false)
}

// readCuts reads how documents are cut, under the names of vLLM, Jina and TEI.
func (r *rerankRequest) readCuts(f *fieldReader) {
	r.promptTokens = f.integer("truncate_prompt_tokens", -1, 0)
	r.documentTokens = f.integer("max_tokens_per_doc", 0, 0)
	// Jina's and Voyage's name, then TEI's.
	truncated := f.Bool("truncation", false) || f.Bool("truncate", false)
	r.cut = truncated || r.promptTokens != 0
	r.promptTokens = max(0, r.promptTokens)
	r.remedy = ", or set truncate_prompt_tokens to -1 to have its end cut off"
}

// readInstruction reads the fields about the prompt that every dialect may have. Of
// the names of the instruction the first that has a text counts.
func (r *rerankRequest) readInstruction(f *fieldReader) {
	r.instruction = cmp.Or(f.name("instruction"), f.name("instruct"), templateInstruction(f),
		rerankInstruction)
	r.plainSpecials = f.Bool("split_special_tokens", true)
}

// templateInstruction reads the instruction from the field in which vLLM's clients send
// values for a template. Other values there are ignored.
func templateInstruction(f *fieldReader) string {
	const field = "chat_template_kwargs"
	v := f.Get(field)
	if v == nil {
		return ""
	}
	o, ok := v.(*python.Object)
	if !ok {
		f.fail(field, "%s must be an object", field)
		return ""
	}
	instruction, _ := o.Get("instruction")
	if instruction == nil {
		return ""
	}
	return f.characters(field+".instruction", f.TextOf(instruction, field, "instruction"))
}

// documentField returns the client's name of document i, for errors.
func (r *rerankRequest) documentField(i int) string {
	if r.one {
		return r.field
	}
	return element(r.field, i)
}
