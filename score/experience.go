package score

import "time"

// keepExperience is the weight of earlier steps or requests relative to the newest. It
// halves about every 22 of them.
const keepExperience = 31. / 32

// packing corrects predictions by experience: by the ratio of the cost of recent steps
// to the price of the rows in them. Rows of different lengths fill a step worse than
// rows that are alike. The zero value corrects nothing.
type packing struct{ cost, price float64 }

// note adds a step.
func (p *packing) note(cost, price time.Duration) {
	p.cost = keepExperience*p.cost + float64(cost)
	p.price = keepExperience*p.price + float64(price)
}

// predict returns the predicted duration of work of this price. The correction stays
// between 0.5 and 4.
func (p *packing) predict(price time.Duration) time.Duration {
	if p.price <= 0 {
		return price
	}
	return time.Duration(float64(price) * min(max(p.cost/p.price, 0.5), 4))
}

// pace predicts how long a request takes before it is tokenized: by the predictions for
// recent requests, for each unit of their size. The zero value predicts 0.
type pace struct{ alone, size float64 }

// note adds a request.
func (p *pace) note(alone time.Duration, size int) {
	p.alone = keepExperience*p.alone + float64(alone)
	p.size = keepExperience*p.size + float64(size)
}

// predict returns the predicted duration of a request of this size.
func (p *pace) predict(size int) time.Duration {
	if p.size <= 0 {
		return 0
	}
	return time.Duration(p.alone / p.size * float64(size))
}

// size returns about how much text a request has, in bytes. A token id counts as four.
func (r *Request) size() int {
	of := func(p Part) int { return len(p.Text) + 4*len(p.Tokens) }
	n := of(r.Query)
	for _, item := range r.Items {
		n += of(item)
	}
	for _, query := range r.Queries {
		n += len(query)
	}
	return n
}
