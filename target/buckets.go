package target

import "scored/score/plan"

// narrow is the ladder of processors. Linear layers cost by the token, padding
// included, so token counts are closely spaced. Steps with a context have up to 512
// tokens; beyond that a token costs more and other requests wait longer.
//
// Attention to the context costs what is there of it, so a single size of context
// suffices. Attention within rows costs by the bucket's length, so each of the larger
// token counts exists for short rows, too.
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

// mostRows is the most rows of a processor's step: as many as the output head reads in
// one run.
const mostRows = 64

// shortRow is the length in tokens up to which an item is short. Most items are titles
// or phrases and no longer.
const shortRow = 32

// wide is an accelerator's ladder for native attention. There a step of less than about
// 500 tokens takes the time of reading the weights, however few tokens it has. So small
// shapes are left out, and larger ones hold several long rows.
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

// packed is the ladder for kernels. They take packed rows of any length, so a step need
// not choose its rows' length, and attend only to the part of a context that is there.
// Token counts are multiples of the kernels' blocks of 256 tokens, which bounds
// padding. For long contexts, where attention dominates, there are few counts. The
// whole context is gathered for each step, which takes time by its size, so there are
// several sizes.
func packed(contextLength int) []plan.Bucket {
	var l list
	for _, context := range append([]int{0}, contexts(128, contextLength, 512)...) { // blocks of keys
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

// long is packed with additional steps of 4,096 and 8,192 tokens, for a GPU: its host
// takes as long to launch a small step as a large one.
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

// add adds a shape. Its cost is computed later, for the model.
func (l *list) add(tokens, rows, length, context int) {
	l.all = append(l.all, plan.Bucket{Tokens: tokens, Rows: rows, Length: length, Context: context})
}

// shortContext is the largest context, in tokens, for which there are steps of all
// sizes.
const shortContext = 2048

// contexts returns sizes that grow by a factor of four, from first up to contextLength
// rounded up to a multiple.
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

// roundUp rounds n up to a multiple of multiple.
func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }
