package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Workload is a shape of request, in tokens.
type Workload struct {
	Name    string `json:"name"`
	Query   int    `json:"query"` // tokens that all items of a request share
	Item    int    `json:"item"`  // tokens of one item
	Items   int    `json:"items"`
	Clients int    `json:"-"` // in a closed loop, unless told otherwise
}

// Workloads are those that score servers are compared by.
func Workloads() []Workload {
	return []Workload{
		{"w1", 0, 300, 1, 1},     // one prompt, nothing shared
		{"w1c", 0, 256, 1, 1},    // the same in powers of two
		{"w2", 120, 180, 10, 1},  // sglang's bench_score
		{"w3", 2000, 20, 500, 1}, // a long query, many short items
		{"w3s", 500, 20, 50, 1},  // the same for a small machine
		{"w4", 1000, 26, 80, 2},
	}
}

// ParseMix reads "w2" or "w1=8,w2=4,w3=1".
func ParseMix(text string) (mix []Share, err error) {
	for _, part := range strings.Split(text, ",") {
		name, weight, weighted := strings.Cut(part, "=")
		share := Share{Weight: 1}
		if weighted {
			if share.Weight, err = strconv.ParseFloat(weight, 64); err != nil || share.Weight <= 0 {
				return nil, fmt.Errorf("workload %q: weight %q is not a number above 0", name, weight)
			}
		}
		all := Workloads()
		i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("workload %q is not one of w1, w1c, w2, w3, w3s, w4", name)
		}
		share.Workload = all[i]
		mix = append(mix, share)
	}
	return mix, nil
}

// Prompts say what prompts are made of.
type Prompts struct {
	Kind Kind
	Warm bool // queries come from a small pool, so that a server may have seen them; else each is new
}

// Kind is what prompts consist of.
type Kind string

const (
	Text     Kind = "text"     // English words, each one token of Qwen's vocabulary with the blank before it
	IDs      Kind = "ids"      // random token ids
	Repeated Kind = "repeated" // one token id over and over, as sglang's benchmark sends
)

// warmQueries is the size of the pool of queries.
const warmQueries = 4

// request is the body of request n.
func (p Prompts) request(w Workload, n, seed uint64, random *rand.Rand) request {
	query := random
	if p.Warm {
		query = rand.New(rand.NewPCG(seed, n%warmQueries<<1|1))
	}
	r := request{}
	if p.Kind == Text {
		items := make([]string, w.Items)
		r.Query = words(w.Query, query)
		for i := range items {
			items[i] = words(w.Item, random)
		}
		r.Items = items
		return r
	}
	items := make([][]int, w.Items)
	r.Query = p.ids(w.Query, query)
	for i := range items {
		items[i] = p.ids(w.Item, random)
	}
	r.Items = items
	return r
}

func (p Prompts) ids(n int, random *rand.Rand) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = 100
		if p.Kind == IDs {
			ids[i] = 1000 + random.IntN(100_000)
		}
	}
	return ids
}

// words is a text of n tokens: sentences of common words.
func words(n int, random *rand.Rand) string {
	var b strings.Builder
	for i := range n {
		if i%12 == 11 {
			b.WriteByte('.')
			continue
		}
		b.WriteByte(' ')
		b.WriteString(Words[random.IntN(len(Words))])
	}
	return b.String()
}

// Words are common and, with a blank before them, one token each.
var Words = strings.Fields(`time year people way day man thing woman life child world school state family student group country problem hand part
place case week company system program question work government number night point home water room mother area money story fact month lot right
study book eye job word business issue side kind head house service friend father power hour game line end member law car city community name
president team minute idea body information back parent face others level office door health person art war history party result change morning
reason research girl guy moment air teacher force education good new first last long great little own other old big high different small large next
early young important few public bad same able say get make go know take see come think look want give use find tell ask seem feel try leave call`)
