package server

import (
	"context"
	"errors"
	"strings"
	"sync"

	"scored/score"
)

// mostParts is how many requests for scores one body may hold. atOnce is how many of
// them are in the queue at a time: enough to fill a step, and few beside those of other
// clients.
const (
	mostParts = 1024
	atOnce    = 64
)

// errSibling ends the other parts of a body when one has failed.
var errSibling = errors.New("another part of the request failed")

// scoreAll scores several parts at once and joins their answers. The first failure ends
// all parts: the dialects with several parts have no answer for a body that failed in
// part. It returns when no part runs any more.
func (s *scoring) scoreAll(ctx context.Context, m *loaded, parts []part,
	join func([]string) string) (*reply, error) {
	if err := checkParts(m, parts); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	replies, errs := make([]*reply, len(parts)), make([]error, len(parts))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, p := range parts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if replies[i], errs[i] = s.score(ctx, m, p); errs[i] != nil {
				cancel(errSibling)
			}
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil && !errors.Is(err, errSibling) {
			return nil, withPrefix(parts[i].prefix, err)
		}
	}
	return joined(replies, join), nil
}

// joined combines the replies of parts that ran at the same time. Of each stage it
// keeps the longest time, as a sum would be more than the request took.
func joined(replies []*reply, join func([]string) string) *reply {
	joint := &reply{body: func() string {
		bodies := make([]string, len(replies))
		for i, r := range replies {
			bodies[i] = r.body()
		}
		return join(bodies)
	}}
	for _, r := range replies {
		joint.rows += r.rows
		joint.timing.Encode = max(joint.timing.Encode, r.timing.Encode)
		joint.timing.Wait = max(joint.timing.Wait, r.timing.Wait)
		joint.timing.Run = max(joint.timing.Run, r.timing.Run)
	}
	return joint
}

// checkParts bounds the numbers of all parts together by the bound of one answer. The
// Scorer checks each part alone, and the answer holds all of them.
func checkParts(m *loaded, parts []part) error {
	numbers, most := 0, m.Scorer.MaxScores()
	for _, p := range parts {
		if numbers += p.request.Numbers(); numbers > most {
			return score.Errorf(score.TooLarge, "instances",
				"instances make an answer of more than %d numbers, which is what the server takes; "+
					"split the request", most)
		}
	}
	return nil
}

// withPrefix puts the path of a part before the field that its error names. Errors that
// are not the part's fault stay as they are.
func withPrefix(prefix string, err error) error {
	var fault *score.Error
	var answer *apiError
	switch {
	case errors.As(err, &fault) && (fault.Param != "" || fault.Kind == score.Invalid):
		return &score.Error{Kind: fault.Kind, Param: strings.TrimSuffix(prefix+fault.Param, "."),
			Message: prefixField(fault.Message, prefix, fault.Param), Err: fault.Err}
	case errors.As(err, &answer):
		there := *answer
		there.param = strings.TrimSuffix(prefix+answer.param, ".")
		there.message, there.plainly = prefixField(answer.said(), prefix, answer.param), ""
		return &there
	}
	return err
}

// prefixField puts the prefix before the field where the message first names it, or else
// before the message.
func prefixField(message, prefix, field string) string {
	if field != "" && strings.Contains(message, field) {
		return strings.Replace(message, field, prefix+field, 1)
	}
	return strings.TrimSuffix(prefix, ".") + ": " + message
}
