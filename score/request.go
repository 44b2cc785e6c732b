// Package score is the domain of a Score API: which rows a request asks for, what they share, when they run, and what
// the numbers mean. It knows no JSON, no HTTP, no tensors and imports only the standard library.
//
// A request names a query, some items and some labels. Item i becomes one row: the tokens of query+item (or item+query).
// Its answer is the distribution of the next token after the row's last token, read at the labels.
//
// Begin with Scorer.Score, which takes a request through check, admit, encode, wait, run and finish. Encoder and Engine are
// what it stands on; package plan decides what runs next.
package score

import (
	"cmp"
	"strconv"
)

// Part is one side of a prompt: a text, or the token ids a client computed itself.
type Part struct {
	Text   string
	Tokens []int64 // the ids as given, unchecked
	Beyond *Beyond // of Tokens; nil if int64 holds them all
	// IsTokens tells a list of ids, which may be empty, from a text, which may be empty too.
	IsTokens bool
}

// Label is a token id whose probability the client wants.
type Label struct {
	ID int64 // saturated when the client wrote more than int64 holds
	// Literal is the id in decimal as the client meant it, for error messages; "" means ID is exact.
	Literal string
}

// Request is one call, decoded but not yet checked or tokenized.
type Request struct {
	ID        string // the request id, used in spans and logs
	Query     Part
	Items     []Part
	Labels    []Label
	Sequences [][]int64 // labels of any number of tokens, in place of Labels
	Normalize bool      // a label of several tokens counts as the mean of its tokens' log-probabilities, not their sum
	ItemFirst bool      // row = item+query instead of query+item
	Softmax   bool      // softmax over the labels instead of probabilities over the vocabulary

	// What follows goes beyond the peer and is off unless the client asks.

	Truncate bool // cut rows that are too long instead of failing, and list them in Result.Truncated
	Partial  bool // a bad item fails alone, in Result.ItemErrors, instead of failing the request
	Logprobs bool // fill Result.Logprobs
	// Classify asks a classifier for all its classes. They are the labels of the answer; the request names none.
	Classify bool
	// Positions are places among each item's own tokens, 0 the first and -1 the last, at which the labels are scored, too,
	// in Result.PositionScores. They need token ids, as a text has no tokens of its own beside its query.
	Positions     []int64
	PlainSpecials bool // special-token text inside a string is plain text, not the token

	// Salt keeps prefixes apart: a request shares kept prefixes with those of the same salt only.
	Salt string

	// Template stands around each joined text; nil means none. It needs texts.
	Template *Template
	// Queries, where there are any, are the items' own queries, one text each, between QueryBefore and QueryAfter.
	// Query is then empty.
	Queries                 []string
	QueryBefore, QueryAfter string
	// QueryField, ItemField and LabelField are what the client calls its query, its items and its labels, for errors;
	// "" means "query", "items" and "label_token_ids".
	QueryField, ItemField, LabelField string
	// OneItem tells that the one item stands in no list: ItemField is its own name.
	OneItem bool
	// PositionBeyond is of Positions, SequenceBeyond by label of Sequences; nil where int64 holds them all.
	PositionBeyond *Beyond
	SequenceBeyond map[int]*Beyond
}

// Template is what stands around a request's joined texts, and how they are cut to fit it.
type Template struct {
	Before, After []int32 // token ids around the joined text of query and item
	// Cut takes tokens off the end of an item whose prompt is too long, instead of failing. Before,
	// query and After stay whole.
	Cut          bool
	PromptTokens int // with Cut, the longest prompt; 0 means the longest that the model takes
	ItemTokens   int // longer items are cut to so many tokens; 0 means no bound
	// Remedy ends the error of an item that is too long, e.g. "or ask for it to be cut".
	Remedy string
}

// itemField names an item in errors.
func (r *Request) itemField(i int) string {
	if r.OneItem {
		return r.itemsField()
	}
	return r.itemsField() + "[" + strconv.Itoa(i) + "]"
}

// itemsField names the items in errors.
func (r *Request) itemsField() string { return cmp.Or(r.ItemField, "items") }

// queryField names the query of item i in errors.
func (r *Request) queryField(i int) string {
	if r.Queries == nil {
		return r.queriesField()
	}
	return r.queriesField() + "[" + strconv.Itoa(i) + "]"
}

// queriesField names the query, or the queries together, in errors.
func (r *Request) queriesField() string { return cmp.Or(r.QueryField, "query") }

// labelsField names the labels in errors.
func (r *Request) labelsField() string { return cmp.Or(r.LabelField, "label_token_ids") }

// labels is how many labels there are.
func (r *Request) labels() int { return max(len(r.Labels), len(r.Sequences)) }

// Numbers is how many numbers the answer holds.
func (r *Request) Numbers() int {
	numbers := len(r.Items) * r.labels() * (1 + len(r.Positions))
	if r.Logprobs || r.Classify {
		numbers *= 2
	}
	return numbers
}

// Result answers a Request. Row i of every table is item i of the request, column j is label j.
type Result struct {
	Scores   [][]float64
	Logprobs [][]float64 // natural logarithms over the whole vocabulary; nil unless asked for
	Logits   [][]float64 // of a classifier's classes, of which Scores are the activation; nil without Request.Classify
	// PositionScores and PositionLogprobs are by item, position of Request.Positions and label.
	PositionScores, PositionLogprobs [][][]float64
	Truncated                        []int          // indexes of the items that were cut, ascending
	ItemErrors                       map[int]*Error // by item index, only with Request.Partial; such an item's Scores row is nil
	Usage                            Usage
	Timing                           Timing
}

// Usage counts tokens as a client pays for them: every row's prompt in full.
type Usage struct {
	PromptTokens int
	CachedTokens int // prompt tokens that did not have to be computed, shared inside the request or kept from an earlier one
}
