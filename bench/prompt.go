package bench

import (
	_ "embed" // for the word list
	"math/rand/v2"
	"strings"
)

// wordList has a line for each part of speech: its name, and its words.
//
//go:embed words.txt
var wordList string

// prompt is what one request asks, ready for JSON. The query and each item are strings
// or lists of token ids.
type prompt struct {
	query any
	items []any
}

// author writes prompts. It is not safe for concurrent use: every client has its own.
type author struct {
	random  *rand.Rand
	lexicon *lexicon
	ids     bool // token ids instead of text
	vocab   int  // ids are 0..vocab-1
	same    bool // every id is repeatedToken
	// unitsPerToken is how many words and full stops make a token. Words of the list
	// are one token each for Qwen3.
	unitsPerToken float64
	// pool holds the queries of each workload for a warm cache; nil: every query is new.
	pool map[string][]any
}

// repeatedToken is the id of which sglang's bench_score makes its prompts.
const repeatedToken = 100

// write returns the next prompt of w. Items are always new.
func (a *author) write(w Workload) prompt {
	p := prompt{query: a.query(w), items: make([]any, w.Items)}
	for i := range p.items {
		p.items[i] = a.passage(w.ItemTokens)
	}
	return p
}

// query returns a query of w: from the pool if there is one, else a new one. Its first
// w.Common tokens are the same in every query.
func (a *author) query(w Workload) any {
	if pool := a.pool[w.Name]; len(pool) > 0 {
		return pool[a.random.IntN(len(pool))]
	}
	query := a.passage(w.QueryTokens - w.Common)
	if w.Common == 0 {
		return query
	}
	common := *a // with the same random numbers for every request and client
	common.random = rand.New(rand.NewPCG(uint64(w.Common), commonSeed))
	switch rest := query.(type) {
	case []int:
		return append(common.passage(w.Common).([]int), rest...)
	default:
		return common.passage(w.Common).(string) + rest.(string)
	}
}

// commonSeed is the seed of the tokens that all requests share.
const commonSeed = 8

// passage returns n tokens of text, a string, or of ids, a list of int.
func (a *author) passage(n int) any {
	if !a.ids {
		return a.lexicon.text(a.random, int(float64(n)*a.unitsPerToken+0.5))
	}
	ids := make([]int, n)
	for i := range ids {
		ids[i] = repeatedToken
		if !a.same {
			ids[i] = a.random.IntN(a.vocab)
		}
	}
	return ids
}

// lexicon holds words by part of speech.
type lexicon map[string][]string

// newLexicon reads lines of a part of speech and its words.
func newLexicon(list string) *lexicon {
	l := lexicon{}
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		l[words[0]] = words[1:]
	}
	return &l
}

// text returns sentences of so many words and full stops in all. Every word has a leading
// blank, so that joined texts have the tokens that each has alone.
func (l lexicon) text(random *rand.Rand, units int) string {
	sentence := []string{"opener", "adjective", "noun", "verb", "determiner", "adjective", "noun",
		"preposition", "determiner", "noun", "."}
	var out strings.Builder
	for i := range units {
		part := sentence[i%len(sentence)]
		if part == "." {
			out.WriteByte('.')
			continue
		}
		words := l[part]
		out.WriteByte(' ')
		out.WriteString(words[random.IntN(len(words))])
	}
	return out.String()
}
