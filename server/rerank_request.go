package server

import (
	"cmp"
	"strconv"

	"scored/score"
	"scored/server/internal/python"
)

// rerankRequest is a request to rerank, or to score pairs, in any dialect.
type rerankRequest struct {
	model         string // "" if not given
	query         string
	queries       []string // one a document instead of query, where pairs are scored
	documents     []string
	instruction   string // never empty
	topN          int    // how many results to send; 0: all
	withDocuments bool   // results repeat their documents
	raw           bool   // relevance is the logit of "yes" less that of "no", not a probability

	queryField, field string // what the client calls query and documents
	requestID         string // of the body; "" if not given
	remedy            string // what a client does about a document that is too long, after a comma

	// A document whose prompt is too long fails the request unless cut is set. A cut takes tokens off the document's end
	// alone, so that the prompt still asks for the answer.
	cut            bool
	promptTokens   int // the longest prompt, where cut is set; 0: the model's
	documentTokens int // the longest document; longer ones are cut to it; 0: no bound

	plainSpecials bool // special-token text of the client's is text; in the model card's code it is the token
}

// rerankInstruction is what the model card's code asks for when nothing is given.
const rerankInstruction = "Given a web search query, retrieve relevant passages that answer the query"

// readRerank reads the union of what vLLM, Jina, Cohere and Together read. A field that is null is one that is absent.
// Fields that change no answer are ignored, and those of rerankUnserved refused. Its error names the first field at
// fault, and the index within documents.
func readRerank(o *python.Object) (*rerankRequest, error) {
	f := &fieldReader{object: o}
	r := &rerankRequest{model: f.name("model"), query: f.text("query", f.get("query")), field: "documents"}
	r.documents = f.documents("documents")
	r.topN = f.integer("top_n", 0, 0)
	r.withDocuments = f.boolean("return_documents", true)
	r.readCuts(f)
	r.readInstruction(f)
	r.readRaw(f)
	return r, f.done(rerankUnserved())
}

// readRaw reads whether relevance is a logit, in vLLM's words now and before, and in TEI's.
func (r *rerankRequest) readRaw(f *fieldReader) {
	r.raw = !f.boolean("use_activation", true) || !f.boolean("activation", true) || f.boolean("raw_scores", false)
}

// readCuts reads how documents are cut, in the words of vLLM, Jina and TEI.
func (r *rerankRequest) readCuts(f *fieldReader) {
	r.promptTokens = f.integer("truncate_prompt_tokens", -1, 0)
	r.documentTokens = f.integer("max_tokens_per_doc", 0, 0)
	// Jina's and Voyage's name, and TEI's.
	truncated := f.boolean("truncation", false) || f.boolean("truncate", false)
	r.cut = truncated || r.promptTokens != 0
	r.promptTokens = max(0, r.promptTokens)
	r.remedy = ", or set truncate_prompt_tokens to -1 to have its end cut off"
}

// readInstruction reads what every dialect may say of the prompt.
func (r *rerankRequest) readInstruction(f *fieldReader) {
	r.instruction = cmp.Or(f.name("instruction"), f.name("instruct"), f.templateInstruction(), rerankInstruction)
	r.plainSpecials = f.boolean("split_special_tokens", true)
}

// fieldReader reads an object's fields one by one and keeps the first error.
type fieldReader struct {
	object *python.Object
	err    error
}

// done gives the first error, that of the fields that the dialect does not have after all others.
func (f *fieldReader) done(fields []unserved) error {
	if err := refuse(f.object, fields); err != nil && f.err == nil {
		f.err = err
	}
	return f.err
}

func (f *fieldReader) get(field string) python.Value {
	v, _ := f.object.Get(python.String(field))
	return v
}

func (f *fieldReader) fail(field, format string, args ...any) {
	if f.err == nil {
		f.err = score.Errorf(score.Invalid, field, format, args...)
	}
}

// text reads a query, or a document: a string, or an object with a string named text.
func (f *fieldReader) text(field string, v python.Value) string {
	if o, ok := v.(*python.Object); ok {
		v, _ = o.Get("text")
	}
	s, ok := v.(python.String)
	if !ok {
		f.fail(field, "%s must be a string, or an object whose field text is a string; nothing but text can be ranked", field)
	}
	return f.characters(field, s)
}

// documents reads a list of documents that isn't empty. One alone is a list of one, as in vLLM.
func (f *fieldReader) documents(field string) []string {
	v, fields := f.get(field), f.rankFields()
	switch v.(type) {
	case python.String, *python.Object:
		return []string{f.document(field, v, fields)}
	}
	list, _ := listOf(v)
	if len(list) == 0 {
		f.fail(field, "%s must be a list of at least one document", field)
	}
	texts := make([]string, len(list))
	for i, item := range list {
		if texts[i] = f.document(element(field, i), item, fields); f.err != nil {
			break
		}
	}
	return texts
}

// templateInstruction reads the instruction where vLLM's clients put what a template takes. This one takes nothing else.
func (f *fieldReader) templateInstruction() string {
	const field = "chat_template_kwargs"
	v := f.get(field)
	o, ok := v.(*python.Object)
	if v == nil || !ok {
		if v != nil {
			f.fail(field, "%s must be an object", field)
		}
		return ""
	}
	instruction, _ := o.Get("instruction")
	return f.optional(field+".instruction", instruction)
}

// name reads a string that may be absent.
func (f *fieldReader) name(field string) string { return f.optional(field, f.get(field)) }

func (f *fieldReader) optional(field string, v python.Value) string {
	s, ok := v.(python.String)
	if !ok && v != nil {
		f.fail(field, "%s must be a string", field)
	}
	return f.characters(field, s)
}

func (f *fieldReader) characters(field string, s python.String) string {
	if s.Surrogate() {
		f.fail(field, "%s holds a lone surrogate, which is no character", field)
	}
	return string(s)
}

func (f *fieldReader) integer(field string, least, otherwise int) int {
	v := f.get(field)
	if v == nil {
		return otherwise
	}
	n, kind := laxInt(v)
	switch {
	case kind != "":
		f.fail(field, "%s is no integer. %s", field, texts[kind])
	case n.Int64() < int64(least):
		f.fail(field, "%s is %s; it must be at least %d", field, n, least)
	}
	return int(n.Int64())
}

func (f *fieldReader) boolean(field string, otherwise bool) bool {
	v := f.get(field)
	if v == nil {
		return otherwise
	}
	value, kind := laxBool(v)
	if kind != "" {
		f.fail(field, "%s is no boolean. %s", field, texts[kind])
	}
	return value
}

// element names an element of a list.
func element(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
