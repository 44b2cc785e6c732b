package score

// reservation is a request's share of the queue's bounds: rows from its admission on,
// and tokens as its prompts are made. It must be released once, when the request has
// been answered.
type reservation struct {
	queue   *queue
	req     *Request
	columns *columns
	rows    int
	tokens  int64 // calls of reserve must not overlap
}

// countRows returns how many rows a request counts as: each item once for every place
// at which it is read and every LabelsPerRow labels there.
func countRows(items int, c *columns) int { return items * c.passes() }

// admit reserves room for a request's rows, before any work is done for it. The error
// is TooLarge if the request can never be admitted, Overloaded if it can be later.
func (q *queue) admit(req *Request, c *columns) (*reservation, error) {
	rows := countRows(len(req.Items), c)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.openLocked(); err != nil {
		return nil, err
	}
	field := req.itemsField()
	switch {
	case len(req.Items) > q.maxRows:
		return nil, Errorf(TooLarge, field,
			"%s has %d entries, the server takes %d at most; split the request", field,
			len(req.Items), q.maxRows)
	case rows > q.maxRows:
		return nil, Errorf(TooLarge, req.multiplied(rows, 1+len(c.positions), q.maxRows),
			"%d %s with %d labels%s count as %d rows, the server takes %d at most; split the request",
			len(req.Items), field, max(len(c.labels), len(c.paths)), atPositions(req), rows, q.maxRows)
	case q.rows+rows > q.maxRows:
		return nil, Errorf(Overloaded, "", "queue is full (%d of %d rows); retry later", q.rows,
			q.maxRows)
	}
	if err := q.refuseEarly(req); err != nil {
		return nil, err
	}
	q.rows += rows
	return &reservation{queue: q, req: req, columns: c, rows: rows}, nil
}

// reserve reserves room for the tokens of one more prompt of n tokens, in all its rows.
// It fails with TooLarge if the request alone has too many, and with Overloaded if all
// requests together have. Earlier reservations stay. Calls must not overlap.
func (r *reservation) reserve(n int) error {
	n = r.columns.held(n)
	most := int64(r.queue.maxTokens)
	if r.tokens+int64(n) > most {
		return Errorf(TooLarge, r.req.itemsField(),
			"request has more than %d prompt tokens, which is what the server takes at most; "+
				"split the request", most)
	}
	if held := r.queue.tokens.Add(int64(n)); held > most {
		r.queue.tokens.Add(-int64(n))
		return Errorf(Overloaded, "", "queue is full (%d of %d tokens); retry later", held-int64(n), most)
	}
	r.tokens += int64(n)
	return nil
}

// release gives the rows and tokens back to the queue.
func (r *reservation) release() {
	r.queue.tokens.Add(-r.tokens)
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.queue.rows -= r.rows
	r.queue.changed.Broadcast()
}
