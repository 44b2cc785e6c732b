// Package kerneltest compares the text of attention's kernels, run in plain Go, with
// attention by its definition. It has the arrays that runners of kernels work on, the
// arithmetic that both dialects of MLIR share, and the cases that the kernels of every
// device must pass.
//
// It must not know how a kernel is written: runners (mosaictest, tritontest) give it
// Kernels. Begin with TestAttention.
package kerneltest

import "math"

// Array is a number or an array in row-major order. Each number is one that its element
// type has: operations are computed in float64 and rounded by Round.
type Array struct {
	Element string // f32, bf16, i32, i1 or index
	Dims    []int  // nil for a number
	Data    []float64
}

// New returns an array of zeros.
func New(element string, dims ...int) *Array {
	size := 1
	for _, d := range dims {
		size *= d
	}
	return &Array{element, dims, make([]float64, size)}
}

// Round rounds each number to one that the element type has. Types without a case hold
// small integers, which are exact.
func (a *Array) Round() {
	for i, x := range a.Data {
		switch a.Element {
		case "f32":
			a.Data[i] = float64(float32(x))
		case "bf16":
			a.Data[i] = BFloat16(x)
		case "i32":
			a.Data[i] = float64(int32(int64(x))) // wraps around, as MLIR's arith does
		}
	}
}

// BFloat16 rounds to the nearest number of bfloat16, ties to even.
func BFloat16(x float64) float64 {
	bits := math.Float32bits(float32(x))
	if bits&0x7fffffff > 0x7f800000 {
		return math.NaN()
	}
	bits += 0x7fff + bits>>16&1
	return float64(math.Float32frombits(bits &^ 0xffff))
}

// AddProduct adds a·b, of [rows, n] and [n, columns], to out, of [rows, columns], without
// rounding. Each sum's terms are added in their order.
func AddProduct(out, a, b *Array) {
	rows, n, columns := a.Dims[0], a.Dims[1], b.Dims[1]
	for r := range rows {
		sums := out.Data[r*columns : (r+1)*columns]
		for i, x := range a.Data[r*n : (r+1)*n] {
			for column, y := range b.Data[i*columns : (i+1)*columns] {
				sums[column] += x * y
			}
		}
	}
}
