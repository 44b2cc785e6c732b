package score

import (
	"time"

	"scored/score/plan"
)

// job is one request's rows on their way through the queue. queue.mu must be held to
// use it until done is closed. After that it does not change, and the goroutine that
// queued it may read it.
type job struct {
	*plan.Job
	id      string
	answers [][]float32   // by item, then by place and distinct label; nil for an item without a row
	prompts [][]int32     // by item
	inner   [][]plan.Read // by item: the places read before the prompt's last token; nil if none are
	columns columns
	left    int // rows not answered yet
	reused  int // prompt tokens read from prefixes, less those computed for prefixes: see cached
	err     error
	done    chan struct{} // closed when left reaches 0 or err is set
	device  *device       // the one that runs all its steps and has its prefix; nil before the first
	probe   bool          // not a client's request: see watch
	field   string        // the client's name of the items
	size    int           // of the request, in bytes: see pace

	queued, started, ended time.Time
}

// newJob turns a request's prompts into rows. Items in failed get none: their prompts
// are set to nil. reusable is the number of leading tokens that a lone row is likely to
// share with later requests.
func newJob(l *plan.Ladder, req *Request, columns columns, prompts [][]int32, failed map[int]*Error,
	reusable int) *job {
	for i := range failed {
		prompts[i] = nil
	}
	j := &job{id: req.ID, answers: make([][]float32, len(prompts)), prompts: prompts,
		columns: columns, field: req.itemsField(), size: req.size(), done: make(chan struct{})}
	if len(columns.positions) > 0 {
		j.inner = make([][]plan.Read, len(prompts))
		for i, prompt := range prompts {
			if prompt != nil {
				j.inner[i] = columns.inner(req, i, len(prompt))
			}
		}
	}
	// Sums of log-probabilities at several places need each over the whole vocabulary.
	relative := req.Softmax && !req.Logprobs && columns.tails == nil
	j.Job = l.NewJob(plan.Prompts{Tokens: prompts, Labels: columns.labels, Inner: j.inner,
		Tails: columns.tails, Relative: relative,
		Salt: req.Salt, Reusable: reusable})
	j.left = j.Rows
	return j
}

// take records the numbers of one row of a group. Several rows may belong to one item.
func (j *job) take(g *plan.Group, row int, numbers []float32) {
	item := g.Items[row]
	if g.Firsts == nil {
		j.answers[item] = numbers
		return
	}
	if j.answers[item] == nil {
		n := j.columns.numbers
		if j.inner != nil {
			n = len(j.columns.labels) * (len(j.inner[item]) + 1)
		}
		j.answers[item] = make([]float32, n)
	}
	copy(j.answers[item][g.Firsts[row]:], numbers)
}

// usage counts each prompt once, and the tokens that the rows of its labels add. It also
// counts how many of all these tokens were not computed.
func (j *job) usage() (u Usage) {
	for _, prompt := range j.prompts {
		if prompt != nil {
			u.PromptTokens += j.columns.computed(len(prompt))
		}
	}
	// Rows that compute a shared part each for itself may compute more than the prompts
	// hold.
	u.CachedTokens = max(0, u.PromptTokens-(j.Tokens-j.reused))
	return u
}

// begin records the device that the job's first step runs on. The job stays on it,
// because its prefix is there.
func (j *job) begin(d *device, now time.Time) {
	if j.device == nil {
		j.device, j.started = d, now
	}
}

// cached returns the number of prompt tokens that did not have to be computed. A prefix
// that was dropped before all rows had used it was computed more than once, so the
// difference may be negative; cached returns 0 then.
func (j *job) cached() int { return max(j.reused, 0) }

// answered reports whether the job has ended.
func (j *job) answered() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// waiting returns the number of the job's rows that no step has taken, and of their
// tokens.
func (j *job) waiting() (rows, tokens int) {
	for _, g := range j.Groups {
		rows += g.Pending()
		tokens += g.PendingTokens()
	}
	return rows, tokens
}
