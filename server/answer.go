package server

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"scored/score"
	"scored/server/internal/python"
)

// success is the body of a scored request, as json.dumps writes it: keys in this order, floats as Python prints them. What
// goes beyond the peer follows its four keys, and only if asked for.
func success(b *body, result *score.Result) string {
	var out strings.Builder
	if len(result.Scores) > 0 {
		out.Grow(len(result.Scores) * len(b.labels) * 22) // the usual digits, comma and brackets
	}
	out.WriteString(`{"scores":`)
	writeTable(&out, result.Scores)
	out.WriteString(`,"model":` + quote(string(b.model)) + `,"usage":`)
	if u := result.Usage; b.extras.usage {
		fmt.Fprintf(&out, `{"prompt_tokens":%d,"completion_tokens":0,"total_tokens":%d,"cached_tokens":%d}`, u.PromptTokens, u.PromptTokens, u.CachedTokens)
	} else {
		out.WriteString("null")
	}
	out.WriteString(`,"object":"scoring"`)
	if b.extras.logprobs {
		out.WriteString(`,"logprobs":`)
		writeTable(&out, result.Logprobs)
	}
	if len(b.extras.positions) > 0 {
		out.WriteString(`,"position_scores":`)
		writeTables(&out, result.PositionScores)
		if b.extras.logprobs {
			out.WriteString(`,"position_logprobs":`)
			writeTables(&out, result.PositionLogprobs)
		}
	}
	if b.extras.hasLabels {
		ids := make([]string, len(b.labels))
		for i, label := range b.labels {
			ids[i] = strconv.FormatInt(label.ID, 10)
		}
		out.WriteString(`,"label_token_ids":[` + strings.Join(ids, ",") + `]`)
	}
	if b.extras.truncate {
		cut := make([]string, len(result.Truncated))
		for i, item := range result.Truncated {
			cut[i] = strconv.Itoa(item)
		}
		out.WriteString(`,"truncated":[` + strings.Join(cut, ",") + `]`)
	}
	if b.extras.partial {
		out.WriteString(`,"errors":[`)
		for i, item := range slices.Sorted(maps.Keys(result.ItemErrors)) {
			if i > 0 {
				out.WriteByte(',')
			}
			failure := result.ItemErrors[item]
			status, kind := statuses(failure.Kind)
			fmt.Fprintf(&out, `{"index":%d,"message":%s,"type":%s,"code":%d}`, item, quote(failure.Message), quote(kind), status)
		}
		out.WriteByte(']')
	}
	out.WriteByte('}')
	return out.String()
}

// writeTables writes a table for each item, and null for one that failed.
func writeTables(out *strings.Builder, tables [][][]float64) {
	out.WriteByte('[')
	for i, table := range tables {
		if i > 0 {
			out.WriteByte(',')
		}
		if table == nil {
			out.WriteString("null")
		} else {
			writeTable(out, table)
		}
	}
	out.WriteByte(']')
}

// writeTable writes rows of numbers. A row that failed, and a logarithm of 0, which JSON cannot hold, are null.
func writeTable(out *strings.Builder, table [][]float64) {
	out.WriteByte('[')
	for i, row := range table {
		if i > 0 {
			out.WriteByte(',')
		}
		if row == nil {
			out.WriteString("null")
			continue
		}
		out.WriteByte('[')
		for k, v := range row {
			if k > 0 {
				out.WriteByte(',')
			}
			if math.IsInf(v, 0) {
				out.WriteString("null")
			} else {
				out.WriteString(python.Float(v))
			}
		}
		out.WriteByte(']')
	}
	out.WriteByte(']')
}
