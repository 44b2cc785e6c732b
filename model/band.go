package model

// band is how a step's tokens attend to each other where no row is longer than a
// bucket's Length: a block of tokens at a time, to keys from so far before the block's
// first token on that every row of the block has begun, up to the block's end. Most
// pairs of tokens of different rows are then never computed.
type band struct {
	block int // tokens
	// batched blocks all have as many keys, those of the block and of the one before
	// it, and attend at once. Others have no key before the step's first one, and
	// attend one after the other.
	batched bool
}

// Blocks that attend one after the other are few, and not short: more of them compute
// fewer pairs that no token sees, in smaller products.
const (
	mostBlocks    = 4
	shortestBlock = 128
)

// bandOf is the way that computes the fewest pairs; of equal ones, the one with the
// fewest blocks.
func bandOf(tokens, length int) band {
	best := band{block: tokens}
	for blocks := 2; blocks <= mostBlocks; blocks++ {
		b := band{block: tokens / blocks}
		if tokens%blocks == 0 && b.block >= shortestBlock &&
			b.pairs(tokens, length) < best.pairs(tokens, length) {
			best = b
		}
	}
	for block := max(length, 1); block <= tokens/2; block++ {
		if b := (band{block, true}); tokens%block == 0 {
			if b.pairs(tokens, length) < best.pairs(tokens, length) {
				best = b
			}
			break // longer ones compute more
		}
	}
	return best
}

// keys are those of the block that begins at from: first … end-1, of which the last is
// the block's own.
func (b band) keys(from, tokens, length int) (first, end int) {
	return max(0, from-length+1) / b.block * b.block, min(from+b.block, tokens)
}

// pairs counts the pairs of a token and a key that are computed.
func (b band) pairs(tokens, length int) (pairs int) {
	if b.batched {
		return tokens * 2 * b.block
	}
	for from := 0; from < tokens; from += b.block {
		first, end := b.keys(from, tokens, length)
		pairs += (end - from) * (end - first)
	}
	return pairs
}
