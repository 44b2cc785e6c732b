package score

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// planner knows the buckets and decides what they can hold.
type planner struct {
	buckets []Bucket     // cheapest first
	sizes   []prefixSize // ascending
}

// prefixSize is what the buckets of one Bucket.Prefix can hold.
type prefixSize struct {
	prefix    int
	buckets   []Bucket  // cheapest first
	tokens    int       // the most tokens a step computes
	ownTokens int       // the longest own part of a row
	rate      float64   // the least cost of a token, in a full step, in nanoseconds as all costs here
	cover     []float64 // by tokens: the least cost of steps that have room for so many
}

// coverSteps is for how many of the largest steps prefixSize.cover is known.
const coverSteps = 4

// rateBuckets fills in what follows from the buckets' costs.
func (s *prefixSize) rateBuckets() {
	s.rate = math.Inf(1)
	for _, b := range s.buckets {
		s.rate = min(s.rate, float64(b.Cost)/float64(b.Tokens))
	}
	s.cover = make([]float64, coverSteps*s.tokens+1)
	for n := 1; n < len(s.cover); n++ {
		s.cover[n] = math.Inf(1)
		for _, b := range s.buckets {
			s.cover[n] = min(s.cover[n], float64(b.Cost)+s.cover[max(0, n-b.Tokens)])
		}
	}
}

// least is the least that steps can cost that compute n tokens.
func (s *prefixSize) least(n int) float64 {
	if n < len(s.cover) {
		return s.cover[n]
	}
	return max(s.cover[len(s.cover)-1], float64(n)*s.rate)
}

// minShared is the shortest prefix worth keeping on the device for a row that shares it with no other row yet.
const minShared = 64

// CheckBuckets tells whether New would refuse an engine of these buckets, and why.
func CheckBuckets(buckets []Bucket, contextLength int) error {
	_, err := newPlanner(buckets, contextLength)
	return err
}

// newPlanner checks that the buckets can hold every prompt shorter than contextLength.
func newPlanner(buckets []Bucket, contextLength int) (planner, error) {
	p := planner{buckets: slices.Clone(buckets)}
	slices.SortStableFunc(p.buckets, func(a, b Bucket) int { return cmp.Compare(a.Cost, b.Cost) })
	for _, b := range p.buckets {
		if b.Tokens < 1 || b.Rows < 1 || b.Length < 1 || b.Prefix < 0 || b.Cost <= 0 {
			return p, fmt.Errorf("bucket %+v is not a shape: tokens, rows, length and cost must be positive", b)
		}
		i, found := slices.BinarySearchFunc(p.sizes, b.Prefix, func(s prefixSize, prefix int) int { return s.prefix - prefix })
		if !found {
			p.sizes = slices.Insert(p.sizes, i, prefixSize{prefix: b.Prefix})
		}
		size := &p.sizes[i]
		size.buckets = append(size.buckets, b)
		size.tokens = max(size.tokens, b.Tokens)
		size.ownTokens = max(size.ownTokens, min(b.Length, b.Tokens))
	}
	if len(p.sizes) == 0 {
		return p, fmt.Errorf("no bucket given")
	}
	for i := range p.sizes {
		p.sizes[i].rateBuckets()
	}
	longest := p.sizes[len(p.sizes)-1]
	alone := p.sizes[0].ownTokens
	if longest.prefix+1 < contextLength && alone < contextLength {
		return p, fmt.Errorf("buckets hold prompts of %d tokens, context length is %d; add a bucket with a prefix of %d or lower the context length",
			max(longest.prefix+1, alone), contextLength, contextLength)
	}
	return p, nil
}

// sizeFor is the smallest prefix size that holds n tokens, or nil.
func (p planner) sizeFor(n int) *prefixSize {
	for i := range p.sizes {
		if p.sizes[i].prefix >= n {
			return &p.sizes[i]
		}
	}
	return nil
}

// group is a set of rows that begin with the same tokens; they may run in several steps.
type group struct {
	job     *job
	rows    []*Row
	items   []int // the request's item of each row
	shared  int   // how many leading tokens all rows share; 0: the rows stand alone
	longest int   // tokens of the longest row
	next    int   // the rows before it have been given to a step
	sliced  int   // tokens of its prefix that steps without rows have computed so far
	// displaced tells that a slice was gone from the device before the next one.
	displaced bool
}

func (g *group) pending() int { return len(g.rows) - g.next }

// own counts the tokens of the pending rows beyond what they share.
func (g *group) own() (n int) {
	for _, row := range g.rows[g.next:] {
		n += len(row.Tokens) - g.shared
	}
	return n
}

// job is one request's rows on their way through the queue. The queue's lock guards it until done is closed.
type job struct {
	id      string
	groups  []*group
	rows    int
	tokens  int
	answers [][]float32 // by item and distinct label; nil for an item that has no row or failed
	columns []int       // by label of the request: its place in an answer
	left    int         // rows not answered yet
	cached  int         // prompt tokens that did not have to be computed
	err     error
	done    chan struct{} // closed when left reaches 0 or err is set
	device  *device       // the one whose steps it goes into, and where its prefix is; nil before the first
	probe   bool          // nobody's request: see watch

	queued, started, ended time.Time
}

// plan turns prompts into rows and groups them by what they share. Items in failed get no row. head is the number of
// leading tokens that a lone row is likely to share with later requests.
func (p planner) plan(req *Request, columns columns, prompts [][]int32, failed map[int]*Error, head int) *job {
	j := &job{id: req.ID, answers: make([][]float32, len(prompts)), done: make(chan struct{})}
	j.columns = columns.of
	rows := make([]Row, 0, len(prompts))
	together := &group{job: j, rows: make([]*Row, 0, len(prompts)), items: make([]int, 0, len(prompts))}
	for i, prompt := range prompts {
		if failed[i] != nil {
			continue
		}
		j.rows++
		j.tokens += len(prompt)
		rows = append(rows, Row{Tokens: prompt, Labels: columns.labels, Relative: req.Softmax && !req.Logprobs})
		together.rows = append(together.rows, &rows[len(rows)-1])
		together.items = append(together.items, i)
	}
	j.left = j.rows
	if j.rows > 0 {
		together.shared = p.share(together.rows, j.tokens, head)
		j.groups = p.separate(together)
	}
	return j
}

// share decides how many leading tokens the rows take from a common prefix.
func (p planner) share(rows []*Row, tokens, head int) int {
	n := commonPrefix(rows)
	if len(rows) == 1 {
		if n = min(n, head); n < minShared {
			return 0
		}
	} else if n*(len(rows)-1) < tokens/16 {
		return 0 // sharing saves less than the wider step costs
	}
	if p.sizeFor(n) == nil {
		return 0
	}
	return n
}

// commonPrefix counts the leading tokens that all rows share, leaving every row at least one token of its own.
func commonPrefix(rows []*Row) int {
	first := rows[0].Tokens
	n := len(first) - 1
	for _, row := range rows[1:] {
		n = min(n, len(row.Tokens)-1)
		n = sharedTokens(first[:n], row.Tokens)
	}
	return n
}

// sharedTokens counts the leading tokens two runs have in common.
func sharedTokens(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// separate gives each row whose own part is longer than any bucket takes a group and a prefix of its own: all of the
// prompt but the last token, computed in slices.
func (p planner) separate(g *group) []*group {
	longest := p.sizeFor(g.shared).ownTokens
	groups := []*group{g}
	rows, items := g.rows, g.items
	g.rows, g.items = rows[:0], items[:0] // never ahead of the row being looked at
	for i, row := range rows {
		if len(row.Tokens)-g.shared <= longest {
			g.rows, g.items = append(g.rows, row), append(g.items, items[i])
			g.longest = max(g.longest, len(row.Tokens))
			continue
		}
		n := len(row.Tokens)
		groups = append(groups, &group{job: g.job, rows: []*Row{row}, items: []int{items[i]}, shared: n - 1, longest: n})
	}
	if len(g.rows) == 0 {
		groups = groups[1:]
	}
	return groups
}
