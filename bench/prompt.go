package bench

import (
	_ "embed" // for the word list
	"math/rand/v2"
	"strings"
)

//go:embed words.txt
var wordList string

// prompt is what one request asks, ready for JSON: the query and items are strings or lists of token ids.
type prompt struct {
	query any
	items []any
}

// author writes prompts. It is not safe for concurrent use: every client has its own.
type author struct {
	random  *rand.Rand
	lexicon *lexicon
	ids     bool // token ids in place of text
	vocab   int  // ids are below it
	same    bool // every id is repeatedToken
	// unitsPerToken is how many words and full stops make a token. The word list's own are one token each for Qwen3.
	unitsPerToken float64
	pool          map[string][]any // of a warm cache: the queries of each workload; nil means a new one for every request
}

// repeatedToken is the id that sglang's bench_score fills its prompts with.
const repeatedToken = 100

// write makes the next prompt of w. Items are always new.
func (a *author) write(w Workload) prompt {
	p := prompt{query: a.query(w), items: make([]any, w.Items)}
	for i := range p.items {
		p.items[i] = a.passage(w.ItemTokens)
	}
	return p
}

func (a *author) query(w Workload) any {
	if pool := a.pool[w.Name]; len(pool) > 0 {
		return pool[a.random.IntN(len(pool))]
	}
	query := a.passage(w.QueryTokens - w.Common)
	if w.Common == 0 {
		return query
	}
	common := *a // the same numbers for every request and client
	common.random = rand.New(rand.NewPCG(uint64(w.Common), commonSeed))
	switch rest := query.(type) {
	case []int:
		return append(common.passage(w.Common).([]int), rest...)
	default:
		return common.passage(w.Common).(string) + rest.(string)
	}
}

// commonSeed is that of the tokens that all requests have in common.
const commonSeed = 8

// passage is n tokens of text or of ids.
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

// lexicon is words by their part of speech.
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

// text is sentences of units words and full stops in all. Every unit brings its own leading blank, so that texts joined
// tokenize as each does alone.
func (l lexicon) text(random *rand.Rand, units int) string {
	sentence := []string{"opener", "adjective", "noun", "verb", "determiner", "adjective", "noun", "preposition", "determiner", "noun", "."}
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
