package sglang

import (
	"encoding/json"
	"math"
	"testing"
)

// TestJSON: what is written is what CPython's json.dumps(ensure_ascii=False,
// separators=(",", ":")) writes.
func TestJSON(t *testing.T) {
	for want, v := range map[string]any{
		`null`:                         nil,
		`true`:                         true,
		`-3`:                           -3,
		`[9007199254740993]`:           []int64{1<<53 + 1},
		`[]`:                           []int(nil),
		`1.0`:                          1.0,
		`1e-05`:                        1e-5,
		`0.0001`:                       1e-4,
		`1e+16`:                        1e16,
		`[[0.1,null],null,[]]`:         [][]float64{{0.1, math.Inf(-1)}, nil, {}},
		`[null,[[1.5]]]`:               [][][]float64{nil, {{1.5}}},
		`"<é> \u0001\n\t\"\\ 😀"`:       "<é> \x01\n\t\"\\ 😀",
		"\"\u2028\u2029\\\\u2028\"":    "\u2028\u2029\\u2028",
		`["a",{"b":[{}],"a":{"c":2}}]`: []any{"a", Object{{"b", []Object{{}}}, {"a", json.RawMessage(`{"c":2}`)}}},
		`{"A":[1]}`:                    struct{ A []uint16 }{[]uint16{1}},
	} {
		if got := JSON(v); got != want {
			t.Errorf("%#v is written %s, want %s", v, got, want)
		}
		if !json.Valid([]byte(want)) {
			t.Errorf("%s is no JSON", want)
		}
	}
}
