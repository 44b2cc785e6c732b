package bench

import (
	"fmt"
	"strconv"
	"strings"
)

// Workload is a shape of requests. Token counts are exact with token ids, and as near
// as calibration allows with text.
type Workload struct {
	Name        string
	QueryTokens int // shared by the items of a request; 0: the query is empty
	Common      int // leading tokens of the query that all requests share, such as a policy
	ItemTokens  int // of each item
	Items       int // of a request
	Clients     int // default of a closed loop
}

// Share is a workload and its weight in a mix.
type Share struct {
	Workload
	Weight int
}

// Workloads lists the workloads that have names. W1 to W4 are requests one after the
// other, from a single item to 500; S1 to S4 are services: many clients at once, whose
// queries may begin alike, such as with one policy.
func Workloads() []Workload {
	return []Workload{
		{Name: "w1", QueryTokens: 0, ItemTokens: 300, Items: 1, Clients: 1},
		{Name: "w1c", QueryTokens: 0, ItemTokens: 256, Items: 1, Clients: 1},
		{Name: "w2", QueryTokens: 120, ItemTokens: 180, Items: 10, Clients: 1},
		{Name: "w3", QueryTokens: 2000, ItemTokens: 20, Items: 500, Clients: 1},
		{Name: "w3s", QueryTokens: 500, ItemTokens: 20, Items: 50, Clients: 1},
		{Name: "w4", QueryTokens: 1000, ItemTokens: 26, Items: 80, Clients: 2},
		{Name: "s1", QueryTokens: 200, ItemTokens: 30, Items: 5, Clients: 16},
		{Name: "s2", QueryTokens: 120, Common: 90, ItemTokens: 150, Items: 20, Clients: 8},
		{Name: "s3", QueryTokens: 120, ItemTokens: 180, Items: 10, Clients: 64},
		{Name: "s4", QueryTokens: 600, Common: 600, ItemTokens: 60, Items: 1, Clients: 32},
	}
}

// DefaultMix is the mix of workload "mixed": most requests are small, and W3's 500
// items come often enough to matter.
const DefaultMix = "w1=8,w2=4,w3=1,w4=2"

// ParseMix reads a mix such as "w1=8,w2=4": names of Workloads with integer weights, by
// default 1.
func ParseMix(text string) ([]Share, error) {
	var mix []Share
	for part := range strings.SplitSeq(text, ",") {
		name, weight, weighted := strings.Cut(strings.TrimSpace(part), "=")
		share := Share{Weight: 1}
		for _, w := range Workloads() {
			if w.Name == name {
				share.Workload = w
			}
		}
		if share.Name == "" {
			return nil, fmt.Errorf("workload %q is unknown; use one of %s", name, names())
		}
		if weighted {
			n, err := strconv.Atoi(weight)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("weight %q of workload %s is not a whole number above 0", weight, name)
			}
			share.Weight = n
		}
		mix = append(mix, share)
	}
	return mix, nil
}

// names lists the workloads' names.
func names() string {
	var all []string
	for _, w := range Workloads() {
		all = append(all, w.Name)
	}
	return strings.Join(all, ", ")
}

// The arithmetic of Qwen3-0.6B's layers, from its shape: 28 layers of width 1024, 16
// query and 8 key heads of width 128, and an intermediate width of 3072. The output
// head is left out: 2 FLOP for each parameter and label are negligible.
const (
	flopPerToken = 880.8e6 // the linear layers, 2 FLOP per weight
	flopPerPair  = 229376  // 28 layers x 16 heads x 128 x (2 for q·k + 2 for p·v)
)

// work returns the FLOP of one request of w on Qwen3-0.6B if cached of its Items x
// (QueryTokens + ItemTokens) prompt tokens are not computed: 880.8 MFLOP for each
// computed token, and 229,376 FLOP for each pair of a computed token and a key at or
// before it. Cached tokens are assumed to be whole queries, and a remainder the
// beginning of one more.
func (w Workload) work(cached int) float64 {
	length := w.QueryTokens + w.ItemTokens
	pairs := w.Items * triangle(length)
	if w.QueryTokens > 0 {
		whole := min(cached/w.QueryTokens, w.Items)
		pairs -= whole*triangle(w.QueryTokens) + triangle(cached-whole*w.QueryTokens)
	}
	return float64(w.Items*length-cached)*flopPerToken + float64(max(pairs, 0))*flopPerPair
}

// triangle returns the number of pairs of n tokens that each attend to themselves and
// those before.
func triangle(n int) int { return n * (n + 1) / 2 }
