package checkpoint

import (
	"encoding/binary"
	"math"

	"github.com/gomlx/compute/dtypes/bfloat16"
)

// The Numbers of a tensor as its file holds them: little-endian, at any alignment, so
// they are read byte by byte and not cast. Each loop is in the form that Go's compiler
// turns into plain loads and stores of 4 or 8 bytes; 0.6 billion numbers take about a
// second.
type (
	float32Bytes  []byte
	float16Bytes  []byte
	bfloat16Bytes []byte
)

// Float32s implements Numbers.
func (b float32Bytes) Float32s(dst []float32, from int) {
	src := b[4*from : 4*(from+len(dst))]
	for ; len(dst) >= 2 && len(src) >= 8; dst, src = dst[2:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		dst[0], dst[1] = math.Float32frombits(uint32(w)), math.Float32frombits(uint32(w>>32))
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// BFloat16s implements Numbers.
func (b float32Bytes) BFloat16s(dst []bfloat16.BFloat16, from int) {
	src := b[4*from : 4*(from+len(dst))]
	for i := range dst {
		dst[i] = roundToBFloat16(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// Float32s implements Numbers.
func (b bfloat16Bytes) Float32s(dst []float32, from int) {
	src := b[2*from : 2*(from+len(dst))]
	for ; len(dst) >= 4 && len(src) >= 8; dst, src = dst[4:], src[8:] {
		low, high := binary.LittleEndian.Uint32(src), binary.LittleEndian.Uint32(src[4:])
		dst[0], dst[1] = math.Float32frombits(low<<16), math.Float32frombits(low&0xffff0000)
		dst[2], dst[3] = math.Float32frombits(high<<16), math.Float32frombits(high&0xffff0000)
	}
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// BFloat16s implements Numbers.
func (b bfloat16Bytes) BFloat16s(dst []bfloat16.BFloat16, from int) {
	src := b[2*from : 2*(from+len(dst))]
	for ; len(dst) >= 4 && len(src) >= 8; dst, src = dst[4:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		dst[0], dst[1] = bfloat16.BFloat16(w), bfloat16.BFloat16(w>>16)
		dst[2], dst[3] = bfloat16.BFloat16(w>>32), bfloat16.BFloat16(w>>48)
	}
	for i := range dst {
		dst[i] = bfloat16.BFloat16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// Float32s implements Numbers.
func (b float16Bytes) Float32s(dst []float32, from int) {
	src := b[2*from : 2*(from+len(dst))]
	for i := range dst {
		dst[i] = math.Float32frombits(widenFloat16(binary.LittleEndian.Uint16(src[2*i:])))
	}
}

// BFloat16s implements Numbers.
func (b float16Bytes) BFloat16s(dst []bfloat16.BFloat16, from int) {
	src := b[2*from : 2*(from+len(dst))]
	for i := range dst {
		dst[i] = roundToBFloat16(widenFloat16(binary.LittleEndian.Uint16(src[2*i:])))
	}
}

// roundToBFloat16 rounds the float32 with these bits to the nearest bfloat16, ties to
// even. NaN stays NaN.
func roundToBFloat16(x uint32) bfloat16.BFloat16 {
	if x&0x7fffffff > 0x7f800000 {
		// the payload's upper bits may all be zero: that would be infinity
		return bfloat16.BFloat16(x>>16 | 0x40)
	}
	return bfloat16.BFloat16((x + 0x7fff + x>>16&1) >> 16)
}

// widenFloat16 returns the bits of the float32 that equals an IEEE 754 half. The biases
// of the exponents differ by 127-15 = 112. It multiplies by 2^112 instead of adding to
// the exponent, which would be wrong for subnormal halves.
func widenFloat16(h uint16) uint32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)<<13
	if h&0x7c00 == 0x7c00 { // infinity or NaN
		return sign | rest | 0x7f800000
	}
	return sign | math.Float32bits(math.Float32frombits(rest)*0x1p112)
}
