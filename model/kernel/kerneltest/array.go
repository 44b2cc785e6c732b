// Package kerneltest holds the text of attention's kernels, run in plain Go, to attention by its definition: the arrays
// that runners of kernels work on, and the cases that kernels for every device must pass.
package kerneltest

import "math"

// Array is a number or an array in row-major order, each number one that its element type has.
type Array struct {
	Element string // f32, bf16, i32, i1 or index
	Dims    []int
	Data    []float64
}

// New is an array of zeros.
func New(element string, dims ...int) *Array {
	size := 1
	for _, d := range dims {
		size *= d
	}
	return &Array{element, dims, make([]float64, size)}
}

// Round makes each number one that the element type has.
func (a *Array) Round() {
	for i, x := range a.Data {
		switch a.Element {
		case "f32":
			a.Data[i] = float64(float32(x))
		case "bf16":
			a.Data[i] = BFloat16(x)
		case "i32":
			a.Data[i] = float64(int32(int64(x)))
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
