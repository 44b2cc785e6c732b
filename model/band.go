package model

// band divides the attention of a step's tokens to each other, if no row is longer than
// a bucket's Length. A block of tokens attends to a run of keys that ends with the block
// and begins where its earliest row may begin, Length-1 tokens before it. Most pairs of
// tokens of different rows are then never computed.
type band struct {
	block int // tokens
	// batched blocks all have the same number of keys, those of the block and of the one
	// before it, and attend in one product. Others are cut off at the step's first token
	// and attend one after the other.
	batched bool
}

// Blocks that attend one after the other are few, and not short. With more of them,
// fewer pairs are computed in vain, but in smaller products.
const (
	mostBlocks    = 4
	shortestBlock = 128
)

// bandOf returns the band that computes the fewest pairs; of equal ones, that with the
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

// keys returns the run of keys of the block that begins at token from: first … end-1.
func (b band) keys(from, tokens, length int) (first, end int) {
	return max(0, from-length+1) / b.block * b.block, min(from+b.block, tokens)
}

// pairs returns how many pairs of a token and a key are computed.
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
