package target

import "scored/score/plan"

// narrow is a processor's ladder. Linear layers cost by the token, padding included, so token counts are closely spaced.
// Steps on a context have up to 512 tokens, beyond which a token costs more and others wait longer. Attention to the
// context costs what is seen of it, so one size of context does for all; and attention within rows what bands of a
// bucket's length have, so each of the larger token counts comes for short rows as well.
func narrow(contextLength int) []plan.Bucket {
	var l list
	for _, tokens := range []int{
		16, 32, 64, 128, // a short prompt alone
		256, 320, 384, 512, // at most a fifth of padding at these lengths
		1024,
	} {
		l.add(tokens, min(tokens/4, mostRows), tokens, 0)
	}
	for _, tokens := range []int{256, 512} {
		l.add(tokens, mostRows, shortRow, 0) // many short items without a shared query
	}
	context := roundUp(contextLength, plan.PageTokens)
	for _, tokens := range []int{64, 128, 256, 384, 512} {
		l.add(tokens, mostRows, shortRow, context)
	}
	for _, tokens := range []int{256, 384, 512} {
		l.add(tokens, mostRows, tokens, context) // long items, or a slice of a prefix
	}
	return l.all
}

// mostRows is the most rows of a processor's step: the head reads as many in one run.
const mostRows = 64

// shortRow is up to how many tokens an item is short: most are, of a document's title or a phrase.
const shortRow = 32

// wide is an accelerator's ladder for native attention. There a step of less than some 500 tokens waits for the weights,
// however few it has, so small shapes are left out and larger ones take several long rows.
func wide(contextLength int) []plan.Bucket {
	var l list
	for _, tokens := range []int{256, 512, 1024} {
		l.add(tokens, 1, tokens, 0)
	}
	l.add(256, 16, 32, 0)
	l.add(256, 3, 128, 0)
	for _, tokens := range []int{512, 1024, 2048} {
		l.add(tokens, tokens/16, 32, 0)
		l.add(tokens, 3*tokens/256, 128, 0)
		if tokens > 512 {
			l.add(tokens, 3*tokens/1024, 512, 0)
		}
	}
	for _, context := range contexts(128, contextLength, 8) {
		if context > shortContext {
			l.add(256, 16, 32, context)
			l.add(256, 1, 256, context)
			continue
		}
		l.add(256, 64, 8, context)
		l.add(512, 6, 128, context)
		l.add(256, 16, 32, context)
		l.add(256, 1, 256, context)
		for _, tokens := range []int{512, 1024, 2048} {
			l.add(tokens, tokens/16, 32, context)
			l.add(tokens, 3*tokens/512, 256, context)
		}
	}
	return l.all
}

// packed is a ladder for kernels: they take rows of any length as they lie, so that a step need not choose its rows'
// length, and attend to what is seen of a context. Sizes are whole blocks of 256 tokens, which bounds padding; steps on a
// long context, which attention rules, have few. A context is gathered whole, which takes time by its size: hence several.
func packed(contextLength int) []plan.Bucket {
	var l list
	for _, context := range append([]int{0}, contexts(128, contextLength, 512)...) { // whole blocks of keys
		sizes := []int{256, 1024, 2048}
		if context <= shortContext {
			sizes = []int{256, 512, 768, 1024, 1280, 1536, 1792, 2048}
		}
		for _, tokens := range sizes {
			l.add(tokens, tokens/4, tokens, context)
		}
	}
	return l.all
}

// long is packed with steps of 4,096 and 8,192 tokens for a GPU: its host takes as long to launch a step of any size, and so
// much work is in flight at a time.
func long(contextLength int) []plan.Bucket {
	l := list{packed(contextLength)}
	for _, context := range append([]int{0}, contexts(128, contextLength, 512)...) {
		for _, tokens := range []int{4096, 8192} {
			l.add(tokens, tokens/4, tokens, context)
		}
	}
	return l.all
}

// list collects shapes.
type list struct{ all []plan.Bucket }

func (l *list) add(tokens, rows, length, context int) {
	l.all = append(l.all, plan.Bucket{Tokens: tokens, Rows: rows, Length: length, Context: context})
}

// shortContext is up to where a context comes with steps of all sizes.
const shortContext = 2048

// contexts grow by fours from the first, up to the longest prompt rounded up to a multiple of a number.
func contexts(first, contextLength, multiple int) (sizes []int) {
	whole := roundUp(contextLength, multiple)
	for size := first; ; size *= 4 {
		size = min(size, whole)
		sizes = append(sizes, size)
		if size >= contextLength {
			return sizes
		}
	}
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }
