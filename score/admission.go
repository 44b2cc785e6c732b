package score

import "sync/atomic"

// admission bounds the rows and tokens of all requests together. A request's rows are
// counted from its admission on, and its tokens as its prompts are made, both until it
// has been answered.
type admission struct {
	maxRows, maxTokens int
	rows               int          // admitted and not yet released; queue.mu must be held
	tokens             atomic.Int64 // reserved and not yet released
}

// countRows returns how many rows a request counts as: each item once for every place
// at which it is read and every LabelsPerRow labels there.
func countRows(items int, c *columns) int { return items * c.passes() }

// check refuses a request for which there is no room. The error is TooLarge if the
// request can never be admitted, Overloaded if it can be later. queue.mu must be held.
func (a *admission) check(req *Request, c *columns) error {
	rows := countRows(len(req.Items), c)
	field := req.itemsField()
	switch {
	case len(req.Items) > a.maxRows:
		return Errorf(TooLarge, field,
			"%s has %d entries, the server takes %d at most; split the request", field,
			len(req.Items), a.maxRows)
	case rows > a.maxRows:
		return Errorf(TooLarge, req.multiplied(rows, 1+len(c.positions), a.maxRows),
			"%d %s with %d labels%s count as %d rows, the server takes %d at most; split the request",
			len(req.Items), field, max(len(c.labels), len(c.paths)), atPositions(req), rows, a.maxRows)
	case a.rows+rows > a.maxRows:
		return Errorf(Overloaded, "", "queue is full (%d of %d rows); retry later", a.rows,
			a.maxRows)
	}
	return nil
}

// reservation is a request's share of the bounds. Its owner must call release once,
// when the request has been answered.
type reservation struct {
	queue   *queue
	req     *Request
	columns *columns
	rows    int
	tokens  int64 // calls of reserve must not overlap
}

// reserve reserves room for the tokens of one more prompt of n tokens, in all its rows.
// It fails with TooLarge if the request alone has too many, and with Overloaded if all
// requests together have. Earlier reservations stay. Calls must not overlap.
func (r *reservation) reserve(n int) error {
	n = r.columns.held(n)
	bound := &r.queue.admission
	most := int64(bound.maxTokens)
	if r.tokens+int64(n) > most {
		return Errorf(TooLarge, r.req.itemsField(),
			"request has more than %d prompt tokens, which is what the server takes at most; "+
				"split the request", most)
	}
	if held := bound.tokens.Add(int64(n)); held > most {
		bound.tokens.Add(-int64(n))
		return Errorf(Overloaded, "", "queue is full (%d of %d tokens); retry later", held-int64(n), most)
	}
	r.tokens += int64(n)
	return nil
}

// release gives the rows and tokens back.
func (r *reservation) release() {
	r.queue.admission.tokens.Add(-r.tokens)
	r.queue.releaseRows(r.rows)
}
