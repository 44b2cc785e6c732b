// Package score is the domain of a Score API. It decides which rows a request needs,
// which prefixes they share and when they run, and turns their numbers into scores. It
// knows no JSON, no HTTP and no tensors, and imports only the standard library and
// package plan.
//
// A request names a query, some items and some labels. Item i becomes one row: the
// tokens of query+item, or of item+query. Its answer is the distribution of the next
// token after the row's last token, read at the labels.
//
// Begin with Scorer.Score. It takes a request through check, admit, encode, wait, run
// and finish. The caller gives it an Encoder, which is a tokenizer, and an Engine for
// each device. Package plan decides which rows run next.
//
// sglang-jax is the server whose Score API this is. Its limits and error texts are kept.
package score

import (
	"cmp"
	"strconv"
)

// Part is one side of a prompt: a text, or the token ids a client computed itself.
type Part struct {
	Text   string
	Tokens []int64 // the ids as given, unchecked
	Beyond *Beyond // the first id that does not fit int64; nil if all fit
	// IsTokens says that the part is a list of ids, which may be empty, and not a text,
	// which may be empty too.
	IsTokens bool
}

// Label is a token id whose probability the client wants.
type Label struct {
	ID int64 // saturated if the client wrote more than int64 holds
	// Literal is the id in decimal as the client wrote it, for error messages; "" means
	// that ID is exact.
	Literal string
}

// Request is one call, decoded but not yet checked or tokenized. The Scorer does not
// change it, and reads it until Score returns.
type Request struct {
	ID        string // the request id, used in spans and logs
	Query     Part
	Items     []Part
	Labels    []Label
	Sequences [][]int64 // labels of one or more tokens each, in place of Labels
	Normalize bool      // scores a label of several tokens by the mean log-probability, not the sum
	ItemFirst bool      // row = item+query instead of query+item
	Softmax   bool      // softmax over the labels instead of probabilities over the vocabulary

	// The fields below are not in sglang-jax's API and are off unless the client asks.

	Truncate bool // cut rows that are too long instead of failing, and list them in Result.Truncated
	Partial  bool // a bad item fails alone, in Result.ItemErrors, instead of failing the request
	Logprobs bool // fill Result.Logprobs
	// Classify asks a classifier for all its classes. They become the labels of the
	// answer; the request names none.
	Classify bool
	// Positions are places among each item's own tokens, 0 the first and -1 the last.
	// The labels are scored there, too, in Result.PositionScores. Positions need token
	// ids: a text is tokenized together with its query.
	Positions     []int64
	PlainSpecials bool // the text of a special token is plain text, not the token

	// Salt keeps prefixes apart: a request shares cached prefixes only with requests of
	// the same salt.
	Salt string

	// Template surrounds each joined text; nil means none. It needs texts.
	Template *Template
	// Queries, if not nil, are the items' own queries, one text for each item. Each
	// stands between QueryBefore and QueryAfter. Query must be empty then.
	Queries                 []string
	QueryBefore, QueryAfter string
	// QueryField, ItemField and LabelField are the client's names of its query, items
	// and labels, for errors. "" means "query", "items" and "label_token_ids".
	QueryField, ItemField, LabelField string
	// OneItem says that the one item stands in no list: ItemField is its own name.
	OneItem bool
	// PositionBeyond is the first of Positions that does not fit int64; SequenceBeyond
	// has the same by label of Sequences. They are nil if all fit.
	PositionBeyond *Beyond
	SequenceBeyond map[int]*Beyond
}

// Template holds the token ids around a request's joined texts, and the bounds to which
// items are cut.
type Template struct {
	Before, After []int32 // token ids around the joined text of query and item
	// Cut takes tokens off the end of an item whose prompt is too long, instead of
	// failing. Before, the query and After are never cut.
	Cut          bool
	PromptTokens int // with Cut, the longest prompt in tokens; 0 means the longest the model takes
	ItemTokens   int // longer items are cut to so many tokens; 0 means no bound
	// Remedy ends the error of an item that is too long, e.g. "or ask for it to be
	// cut".
	Remedy string
}

// itemField returns the name of item i in errors.
func (r *Request) itemField(i int) string {
	if r.OneItem {
		return r.itemsField()
	}
	return r.itemsField() + "[" + strconv.Itoa(i) + "]"
}

// itemsField returns the name of the items in errors.
func (r *Request) itemsField() string { return cmp.Or(r.ItemField, "items") }

// queryField returns the name of item i's query in errors.
func (r *Request) queryField(i int) string {
	if r.Queries == nil {
		return r.queriesField()
	}
	return r.queriesField() + "[" + strconv.Itoa(i) + "]"
}

// queriesField returns the name of the query, or of all queries together, in errors.
func (r *Request) queriesField() string { return cmp.Or(r.QueryField, "query") }

// labelsField returns the name of the labels in errors.
func (r *Request) labelsField() string { return cmp.Or(r.LabelField, "label_token_ids") }

// labels returns the number of labels.
func (r *Request) labels() int { return max(len(r.Labels), len(r.Sequences)) }

// Numbers returns how many numbers the answer holds: items times labels times places,
// twice if logarithms or logits are asked for.
func (r *Request) Numbers() int {
	numbers := len(r.Items) * r.labels() * (1 + len(r.Positions))
	if r.Logprobs || r.Classify {
		numbers *= 2
	}
	return numbers
}

// Result answers a Request. Row i of every table is item i of the request; column j is
// label j. The caller owns it.
type Result struct {
	Scores   [][]float64
	Logprobs [][]float64 // natural logarithms over the whole vocabulary; nil unless asked for
	Logits   [][]float64 // of a classifier's classes; nil without Request.Classify
	// PositionScores and PositionLogprobs are indexed by item, position of
	// Request.Positions and label. They are nil without positions.
	PositionScores, PositionLogprobs [][][]float64
	Truncated                        []int // indexes of the items that were cut, ascending
	// ItemErrors is indexed by item and set only with Request.Partial. The Scores row
	// of such an item is nil.
	ItemErrors map[int]*Error
	Usage      Usage
	Timing     Timing
}

// Usage counts tokens as a client pays for them: every row's prompt in full.
type Usage struct {
	PromptTokens int
	// CachedTokens are prompt tokens that did not have to be computed: shared inside
	// the request, or kept from an earlier one.
	CachedTokens int
}

// fail records why an item has no scores.
func (r *Result) fail(item int, err *Error) {
	if r.ItemErrors == nil {
		r.ItemErrors = make(map[int]*Error)
	}
	r.ItemErrors[item] = err
}
