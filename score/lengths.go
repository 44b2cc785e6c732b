package score

// lengths decides which prompts of one request are too long, and how many tokens are
// kept of those that are cut. It never changes.
type lengths struct {
	req     *Request
	context int  // a prompt must have fewer tokens
	cut     bool // prompts that are too long are cut: Request.Truncate or Config.AllowTruncate
	tail    int  // tokens of the request's longest label behind a prompt; 0 if labels have one each
}

// MaxInput is the length in tokens that a prompt is cut to. A prompt that is not cut
// must be shorter. sglang-jax reserves one token for generation and five more.
func MaxInput(contextLength int) int { return max(contextLength-6, 1) }

// keep returns how many of a prompt's n tokens are kept: all, fewer if it is cut, or an
// error if it is too long. With more, n is a lower bound of the prompt's length.
func (l *lengths) keep(item, n int, more bool) (int, error) {
	err := l.check(item, n, more)
	if longest := MaxInput(l.context) - 1; err == nil && l.tail > 0 && n+l.tail > longest {
		field := l.req.itemField(item)
		err = Errorf(Invalid, field, "%s is too long: with its longest label its prompt is %d "+
			"tokens of at most %d. Use a shorter one.", field, n+l.tail+1, longest+1)
	}
	switch {
	case err == nil:
		return n, nil
	case n > 0 && l.cut:
		return MaxInput(l.context) - l.tail, nil
	}
	return 0, err
}

// keepInTemplate is keep for a prompt in the request's Template. alone is how many
// tokens the template's beginning and the query have. Neither n nor the result counts
// the tokens of the template's end.
func (l *lengths) keepInTemplate(item, n int, more bool, alone int) (int, error) {
	template := l.req.Template
	own := n - alone
	if template.ItemTokens > 0 {
		own = min(own, template.ItemTokens)
	}
	longest := l.longest()
	room := longest - len(template.After) - alone
	if own > room && !template.Cut {
		field := l.req.itemField(item)
		return 0, Errorf(Invalid, field, "%s is too long: its prompt is %s%d tokens of at most "+
			"%d. Use a shorter one%s.", field, atLeast(more),
			alone+own+len(template.After), longest, template.Remedy)
	}
	return alone + min(own, room), nil
}

// longest returns the longest prompt in tokens that the request's Template allows.
func (l *lengths) longest() int {
	longest := MaxInput(l.context) - 1
	if t := l.req.Template; t.Cut && t.PromptTokens > 0 {
		longest = min(longest, t.PromptTokens)
	}
	return longest
}

// tooMany reports whether a prompt of n tokens or more is refused for its length.
func (l *lengths) tooMany(n int) bool { return n >= l.context && !l.cut && l.req.Template == nil }

// check refuses a prompt of n tokens that is empty or too long. With more, n is a lower
// bound.
func (l *lengths) check(item, n int, more bool) error {
	longest := MaxInput(l.context) - 1
	if n > 0 && n <= longest {
		return nil
	}
	field := l.req.itemField(item)
	switch {
	case n > 0:
		return Errorf(Invalid, field, "%s is too long: its prompt is %s%d tokens of at most %d. "+
			"Use a shorter one.", field, atLeast(more), n, longest).
			because(TooLong{Tokens: n, Context: l.context, AtLeast: more})
	case l.req.Classify: // there is no query
		return Errorf(Invalid, field, "%s is empty; a text needs at least one token", field)
	}
	return Errorf(Invalid, field, "%s and query are both empty; a prompt needs at least one "+
		"token", field)
}

// atLeast stands before a number that is a lower bound, for errors.
func atLeast(more bool) string {
	if more {
		return "at least "
	}
	return ""
}
