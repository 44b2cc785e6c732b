package amplify

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"strings"
	"time"
)

// body is a request of the table.
type body struct {
	name    string
	path    string            // "": /v1/score
	build   piece             // the body before it is zipped
	headers map[string]string // beside Content-Type
	plain   bool              // sent as it is; others are sent with Content-Encoding: gzip
	leave   time.Duration     // when the client leaves; 0: it waits for its answer
	status  int               // the right one; 0 if the client has left, anyStatus if the neighbour decides
	field   string            // the right header X-Scored-Error-Param
	kind    kind              // the quantities that its cost may grow with
	labels  int               // distinct ones of a computed body, if many
	places  int               // at which each of its rows is read, if several; each may cost as much as a row
	crowd   int               // as many clients send it at once, and some may be refused with 503; 0: one
}

// kind is a set of quantities that the cost of a body may grow with, beside the bytes
// that have to be read.
type kind int

const (
	encoded    kind = 1 << iota // its bytes are tokenized
	computed                    // its rows and tokens are computed
	longPrefix                  // so are these, each row with a prefix of more than 2,048 tokens
)

// anyStatus is the status of a flush, which is refused while a request is in hand.
const anyStatus = -1

const (
	million = 1_000_000
	words   = "lorem ipsum "
)

// piece is a part of a body, made when it is sent: all of the table together would fill
// the memory.
type piece func() string

// is returns a short piece.
func is(json string) piece { return func() string { return json } }

// Pieces of many bodies. query goes with item, idQuery with idItem.
var (
	query, item, label           = is(`"q"`), is(`["a"]`), is("[1]")
	idQuery, idItem              = is("[1]"), is("[[1]]")
	truncate, partial, itemFirst = is(`"truncate":true`), is(`"partial":true`), is(`"item_first":true`)
)

// scoring returns a request for scores of these JSON values, with more fields.
func scoring(query, items, labels piece, more ...piece) piece {
	return object(append([]piece{is(`"model":"m"`), field("query", query), field("items", items), field("label_token_ids", labels)}, more...))
}

// naming is scoring with labels as texts.
func naming(query, items, labels piece) piece {
	return object([]piece{is(`"model":"m"`), field("query", query), field("items", items), field("labels", labels)})
}

// ranking is a request to rerank.
func ranking(query, documents piece, more ...piece) piece {
	return object(append([]piece{field("query", query), field("documents", documents)}, more...))
}

// sequences is scoring with labels of several tokens, as texts or as lists of ids.
func sequences(query, items, labels piece) piece {
	return func() string {
		in := "labels"
		values := labels()
		if strings.HasPrefix(values, "[[") {
			in = "label_tokens"
		}
		return object([]piece{is(`"model":"m","label_mode":"sequence"`), field("query", query), field("items", items), field(in, is(values))})()
	}
}

// positions returns the first n positions of an item.
func positions(n int) piece { return field("score_positions", numbered(n, "%d")) }

func field(name string, value piece) piece { return raw(is(`"`+name+`":`), value) }

func object(fields []piece) piece {
	return func() string {
		var out strings.Builder
		for i, f := range fields {
			out.WriteString([]string{"{", ","}[min(i, 1)])
			out.WriteString(f())
		}
		return out.String() + "}"
	}
}

// raw returns one piece after the other.
func raw(parts ...piece) piece {
	return func() string {
		var out strings.Builder
		for _, p := range parts {
			out.WriteString(p())
		}
		return out.String()
	}
}

// repeat is n times s.
func repeat(n int, s string) piece { return func() string { return strings.Repeat(s, n) } }

// text is a JSON string of n times s.
func text(n int, s string) piece { return raw(is(`"`), repeat(n, s), is(`"`)) }

// list is a JSON list of n times a value.
func list(n int, value string) piece { return raw(is("["), repeat(n-1, value+","), is(value+"]")) }

// alone is a JSON list of one value.
func alone(value piece) piece { return raw(is("["), value, is("]")) }

// numbered is a JSON list of n values, each the format with its %d replaced by its place.
func numbered(n int, format string) piece { return alone(counted(n, format)) }

// counted is numbered without the brackets.
func counted(n int, format string) piece {
	return func() string {
		before, after, _ := strings.Cut(format, "%d")
		var out []byte
		for i := range n {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, before...)
			out = strconv.AppendInt(out, int64(i), 10)
			out = append(out, after...)
		}
		return string(out)
	}
}

// nested returns a value inside n brackets.
func nested(n int, open, inside, shut string) piece {
	return raw(repeat(n, open), is(inside), repeat(n, shut))
}

// zipped is text as gzip.
func zipped(text string) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
	_, _ = w.Write([]byte(text))                    // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
