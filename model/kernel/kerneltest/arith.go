package kerneltest

import "math"

// Unary returns the function of one number that an operation of MLIR's dialects arith
// and math computes, before it is rounded to the result's type; nil if the operation is
// not known.
func Unary(operation string) func(x float64) float64 {
	switch operation {
	case "arith.extf", "arith.truncf":
		return func(x float64) float64 { return x } // the rounding is the operation
	case "math.exp2":
		return math.Exp2
	case "math.ceil":
		return math.Ceil
	case "math.rsqrt":
		return func(x float64) float64 { return 1 / math.Sqrt(x) }
	}
	return nil
}

// Binary is Unary for two numbers. predicate says how arith.cmpi and arith.cmpf
// compare, by MLIR's name; other operations have none.
func Binary(operation, predicate string) func(a, b float64) float64 {
	switch operation {
	case "arith.addf", "arith.addi":
		return func(a, b float64) float64 { return a + b }
	case "arith.subf", "arith.subi":
		return func(a, b float64) float64 { return a - b }
	case "arith.mulf", "arith.muli":
		return func(a, b float64) float64 { return a * b }
	case "arith.divf":
		return func(a, b float64) float64 { return a / b }
	case "arith.divsi":
		return func(a, b float64) float64 { return math.Trunc(a / b) }
	case "arith.remsi":
		return math.Mod
	case "arith.maximumf":
		return math.Max // NaN where either is NaN, as maximumf has it
	}
	switch operation + " " + predicate {
	case "arith.cmpi slt":
		return truth(func(a, b float64) bool { return a < b })
	case "arith.cmpi ult":
		return truth(func(a, b float64) bool { return uint32(int32(a)) < uint32(int32(b)) })
	case "arith.cmpf oeq": // ordered: false where either is NaN
		return truth(func(a, b float64) bool { return a == b })
	}
	return nil
}

// truth turns a predicate into a function whose result is an i1.
func truth(of func(a, b float64) bool) func(a, b float64) float64 {
	return func(a, b float64) float64 {
		if of(a, b) {
			return 1
		}
		return 0
	}
}
