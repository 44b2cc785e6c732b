package server

import (
	"cmp"
	"strconv"

	"scored/score"
	"scored/server/internal/python"
)

// rerankRequest is the union of what vLLM, Jina, Cohere and Together read. A field that is null is one that is absent.
// Fields that change no answer are ignored, and those of rerankUnserved refused.
type rerankRequest struct {
	model         string // "" if not given
	query         string
	documents     []string
	instruction   string // never empty
	topN          int    // how many results to send; 0: all
	withDocuments bool   // results repeat their documents
	raw           bool   // relevance is the logit of "yes" less that of "no", not a probability

	// A document whose prompt is too long fails the request unless cut is set. A cut takes tokens off the document's end
	// alone, so that the prompt still asks for the answer.
	cut            bool
	promptTokens   int // the longest prompt, where cut is set; 0: the model's
	documentTokens int // the longest document; longer ones are cut to it; 0: no bound

	plainSpecials bool // special-token text of the client's is text; in the model card's code it is the token
}

// rerankInstruction is what the model card's code asks for when nothing is given.
const rerankInstruction = "Given a web search query, retrieve relevant passages that answer the query"

// readRerank reads the body. Its error names the first field at fault, and the index within documents.
func readRerank(o *python.Object) (*rerankRequest, error) {
	f := fieldReader{object: o}
	r := &rerankRequest{
		model:          f.name("model"),
		query:          f.text("query", f.get("query")),
		documents:      f.documents("documents"),
		topN:           f.integer("top_n", 0, 0),
		withDocuments:  f.boolean("return_documents", true),
		promptTokens:   f.integer("truncate_prompt_tokens", -1, 0),
		documentTokens: f.integer("max_tokens_per_doc", 0, 0),
		plainSpecials:  f.boolean("split_special_tokens", true),
	}
	r.instruction = cmp.Or(f.name("instruction"), f.name("instruct"), f.templateInstruction(), rerankInstruction)
	// vLLM's name now and before, and TEI's.
	r.raw = !f.boolean("use_activation", true) || !f.boolean("activation", true) || f.boolean("raw_scores", false)
	// Jina's and Voyage's name, and TEI's.
	truncated := f.boolean("truncation", false) || f.boolean("truncate", false)
	r.cut = truncated || r.promptTokens != 0
	r.promptTokens = max(0, r.promptTokens)
	if err := refuse(o, rerankUnserved()); err != nil && f.err == nil {
		f.err = err
	}
	return r, f.err
}

// fieldReader reads an object's fields one by one and keeps the first error.
type fieldReader struct {
	object *python.Object
	err    error
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
		if texts[i] = f.document(documentField(i), item, fields); f.err != nil {
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

func documentField(i int) string { return "documents[" + strconv.Itoa(i) + "]" }
