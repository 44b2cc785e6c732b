package checkpoint

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/bits"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
)

// Generated is a Source of pseudo-random weights for a model of any shape, for tests and
// measurements without a checkpoint. tests/golden/weights.py computes the same numbers.
//
// Element i of a tensor is a function of the seed, the tensor's name and i alone: byte
// i%8 of the word i/8 of a SplitMix64 sequence (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014) whose key comes from seed and name, looked up
// in a table of 256 numbers that depends on the tensor's kind. Every number has at most
// eight significant bits, so it is exact in bfloat16 and runs in either dtype have the
// very same weights.
//
// The scales are such that a network of any depth behaves like a trained one:
// activations stay near 1, attention is neither flat nor fixed on one key, and logits
// have a standard deviation of about 2.
type Generated struct {
	seed  uint64
	specs map[string]TensorSpec
}

// Generate returns the weights of a model for a seed. Numbers are computed as they are
// read.
func Generate(cfg Config, seed uint64) *Generated {
	g := &Generated{seed: seed, specs: make(map[string]TensorSpec)}
	for _, spec := range cfg.Tensors() {
		g.specs[spec.Name] = spec
	}
	return g
}

// Tensor implements Source.
func (g *Generated) Tensor(name string) (Tensor, error) {
	spec, ok := g.specs[name]
	if !ok {
		return Tensor{}, fmt.Errorf("tensor %s is not part of the generated model", name)
	}
	s := &sequence{key: sequenceKey(g.seed, name), table: generatedTable(spec)}
	for i, x := range s.table {
		s.short[i] = bfloat16.FromBits(uint16(math.Float32bits(x) >> 16))
	}
	return Tensor{TensorSpec: spec, DType: dtypes.BFloat16, Numbers: s}, nil
}

// Close implements Source. There is nothing to release.
func (g *Generated) Close() error { return nil }

// generatedTable returns the number that each byte stands for. Biases lie in (-1/2,
// 1/2). Norms are 1 + [-1/4, 1/4), those of queries and keys 1 + [0, 1/2), which
// sharpens attention. Matrices are symmetric around 0: the odd numbers -255 … 255 times
// a power of two, with a standard deviation near 1/sqrt(in), twice that for the
// embedding and the vocabulary head.
func generatedTable(spec TensorSpec) (table [256]float32) {
	if strings.HasSuffix(spec.Name, ".bias") {
		for b := range table {
			table[b] = float32(2*b-255) / 512
		}
		return table
	}
	if len(spec.Shape) == 1 {
		lowest := 96
		if strings.HasSuffix(spec.Name, ".q_norm.weight") ||
			strings.HasSuffix(spec.Name, ".k_norm.weight") {
			lowest = 128
		}
		for b := range table {
			table[b] = float32(lowest+b%64) / 128
		}
		return table
	}
	// The odd numbers' standard deviation is 147.8, about 2^7.
	exponent := 7 + (bits.Len(uint(spec.Shape[1]-1))+1)/2
	if spec.Name == EmbeddingName || spec.Name == headName {
		exponent--
	}
	for b := range table {
		table[b] = float32(math.Ldexp(float64(2*b-255), -exponent))
	}
	return table
}

// sequence holds the Numbers of one generated tensor. Both tables hold the same numbers.
type sequence struct {
	key   uint64
	table [256]float32
	short [256]bfloat16.BFloat16
}

// Float32s implements Numbers.
func (s *sequence) Float32s(dst []float32, from int) { lookUp(&s.table, s.key, dst, from) }

// BFloat16s implements Numbers.
func (s *sequence) BFloat16s(dst []bfloat16.BFloat16, from int) {
	lookUp(&s.short, s.key, dst, from)
}

// lookUp fills dst with the elements from, from+1, …. Each 64-bit word of the sequence
// makes eight of them, so only the first and the last word may be used in part.
func lookUp[T any](table *[256]T, key uint64, dst []T, from int) {
	word := uint64(from / 8)
	if skip := from % 8; skip != 0 {
		n := min(8-skip, len(dst))
		w := splitMix(key, word) >> (8 * skip)
		for i := range n {
			dst[i] = table[byte(w>>(8*i))]
		}
		dst = dst[n:]
		word++
	}
	for ; len(dst) >= 8; word++ {
		w := splitMix(key, word)
		d := dst[:8:8]
		d[0], d[1], d[2], d[3] = table[byte(w)], table[byte(w>>8)], table[byte(w>>16)], table[byte(w>>24)]
		d[4], d[5], d[6], d[7] = table[byte(w>>32)], table[byte(w>>40)], table[byte(w>>48)],
			table[byte(w>>56)]
		dst = dst[8:]
	}
	w := splitMix(key, word)
	for i := range dst {
		dst[i] = table[byte(w>>(8*i))]
	}
}

// sequenceKey returns the start of a tensor's sequence.
func sequenceKey(seed uint64, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return mix(h.Sum64() ^ mix(seed))
}

// splitMix returns word n of the SplitMix64 sequence that starts at key.
func splitMix(key, n uint64) uint64 { return mix(key + (n+1)*0x9e3779b97f4a7c15) }

// mix is SplitMix64's finalizer: each bit of z changes about half of the result's.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
