package target

import "scored/score"

// narrow is a processor's ladder, on padded rows. Linear layers cost by the packed token, so token counts are closely
// spaced for rows that stand alone, where a step often holds a single prompt. Steps of many rows have up to 512 tokens,
// beyond which a token costs more and others wait longer. Attention is paid for padded rows and for every prefix key, so
// each token count comes with few long rows, and with many short ones. Prefixes too long for one step are computed in
// slices of the largest shape.
func narrow(contextLength int) []score.Bucket {
	var l list
	for _, tokens := range []int{
		16, 32, 64, // a short prompt alone
		128, 192, 256, 320, 384, 512, // at most a fifth of padding at these lengths
		768, 1024,
	} {
		l.add(tokens, 1, tokens, 0)
	}
	l.add(256, 16, 32, 0) // many short items without a shared query
	l.add(256, 3, 128, 0) // a few long ones
	l.add(384, 24, 32, 0)
	l.add(384, 4, 128, 0)
	l.add(512, 32, 32, 0)
	l.add(512, 6, 128, 0)
	for _, prefix := range prefixSizes(contextLength, 8) {
		if prefix > shortPrefix {
			l.add(256, 16, 32, prefix)
			l.add(256, 1, 256, prefix)
			continue
		}
		l.add(64, 16, 8, prefix) // labels of a word or two
		l.add(64, 6, 32, prefix) // a few short items, a third of the longest on average
		l.add(128, 12, 32, prefix)
		l.add(256, 64, 8, prefix) // a hundred items of a word or two
		l.add(512, 6, 128, prefix)
		l.add(256, 16, 32, prefix)
		l.add(256, 1, 256, prefix) // one long item, or a slice of the prefix
		l.add(384, 24, 32, prefix)
		l.add(384, 2, 256, prefix)
		l.add(512, 32, 32, prefix)
		l.add(512, 3, 256, prefix)
	}
	return l.all
}

// wide is an accelerator's ladder for native attention. There a step of less than some 500 tokens waits for the weights,
// however few it has, so small shapes are left out and larger ones take several long rows.
func wide(contextLength int) []score.Bucket {
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
	for _, prefix := range prefixSizes(contextLength, 8) {
		if prefix > shortPrefix {
			l.add(256, 16, 32, prefix)
			l.add(256, 1, 256, prefix)
			continue
		}
		l.add(256, 64, 8, prefix)
		l.add(512, 6, 128, prefix)
		l.add(256, 16, 32, prefix)
		l.add(256, 1, 256, prefix)
		for _, tokens := range []int{512, 1024, 2048} {
			l.add(tokens, tokens/16, 32, prefix)
			l.add(tokens, 3*tokens/512, 256, prefix)
		}
	}
	return l.all
}

// packed is a ladder for kernels: they take rows of any length as they lie, so that a step need not choose its rows'
// length. Sizes are whole blocks of 256 tokens, which bounds padding; a long prefix, whose steps attention rules, has few.
func packed(contextLength int) []score.Bucket {
	var l list
	for _, prefix := range append([]int{0}, prefixSizes(contextLength, 512)...) { // whole blocks of keys
		sizes := []int{256, 1024, 2048}
		if prefix <= shortPrefix {
			sizes = []int{256, 512, 768, 1024, 1280, 1536, 1792, 2048}
		}
		for _, tokens := range sizes {
			l.add(tokens, tokens/4, tokens, prefix)
		}
	}
	return l.all
}

// list collects shapes.
type list struct{ all []score.Bucket }

func (l *list) add(tokens, rows, length, prefix int) {
	l.all = append(l.all, score.Bucket{Tokens: tokens, Rows: rows, Length: length, Prefix: prefix})
}

// shortPrefix is up to where a prefix comes with steps of all sizes.
const shortPrefix = 2048

// prefixSizes grow by fours, up to the context rounded up to a multiple of a number: keys that no token sees still cost, but
// less than linear layers do.
func prefixSizes(contextLength, multiple int) (sizes []int) {
	whole := (contextLength + multiple - 1) / multiple * multiple
	for prefix := 128; ; prefix *= 4 {
		prefix = min(prefix, whole)
		sizes = append(sizes, prefix)
		if prefix >= contextLength {
			return sizes
		}
	}
}
