package model

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
)

// merged is a Source whose tensors have adapters merged into them when they are read.
type merged struct {
	Source
	adapters []*Adapter
}

// Merge gives source, the weights of cfg, with adapters merged into it one after the
// other, as PEFT's merge_and_unload does. A sum W + scale·B·A is computed in float64
// and rounded once. It refuses, by the name of a module, an adapter of another model.
// Closing the result closes source.
func Merge(source Source, cfg Config, adapters ...*Adapter) (Source, error) {
	if len(adapters) == 0 {
		return source, nil
	}
	specs := map[string]TensorSpec{}
	for _, spec := range cfg.Tensors() {
		specs[spec.Name] = spec
	}
	for _, a := range adapters {
		for _, module := range slices.Sorted(maps.Keys(a.products)) {
			p := a.products[module]
			if err := a.checkPlace(cfg, specs, module+".weight", []int{p.b.shape[0],
				p.a.shape[1]}); err != nil {
				return nil, err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(a.saved)) {
			if err := a.checkPlace(cfg, specs, name, a.saved[name].shape); err != nil {
				return nil, err
			}
		}
		for name := range specs {
			if _, has := a.saved[name]; a.saves(name) && !has {
				return nil, fmt.Errorf("adapter %s names the module of %s in modules_to_save, but has no "+
					"weights for it; save it again", a.dir, name)
			}
		}
	}
	return merged{source, adapters}, nil
}

// checkPlace wants the model to have a parameter, in a shape.
func (a *Adapter) checkPlace(cfg Config, specs map[string]TensorSpec, name string,
	shape []int) error {
	if cfg.TieEmbeddings && (name == headName || name == embeddingName) {
		return fmt.Errorf("adapter %s changes %s alone, but the model has one matrix for embedding and "+
			"head; untie them before training", a.dir, name)
	}
	spec, ok := specs[name]
	if !ok {
		return fmt.Errorf("adapter %s changes %s, which the model has not; it may be an adapter of "+
			"another model", a.dir, name)
	}
	if !slices.Equal(spec.Shape, shape) {
		return fmt.Errorf("adapter %s changes %s in shape %v, the model's is %v; it may be an adapter "+
			"of another model", a.dir, name, shape, spec.Shape)
	}
	return nil
}

// Tensor implements Source.
func (m merged) Tensor(name string) (Tensor, error) {
	tensor, err := m.Source.Tensor(name)
	if err != nil {
		return tensor, err
	}
	sum := sums{numbers: tensor.numbers, columns: tensor.Shape[len(tensor.Shape)-1]}
	changed := false
	for _, a := range m.adapters {
		if saved, ok := a.saved[name]; ok {
			sum.numbers, sum.products, changed = floats(saved.numbers), nil, true
		}
		if p, ok := a.products[moduleOf(name)]; ok && moduleOf(name)+".weight" == name {
			sum.products, changed = append(sum.products, p), true
		}
	}
	if !changed {
		return tensor, nil
	}
	return Tensor{tensor.TensorSpec, dtypes.Float32, sum}, nil
}

// sums are a matrix's numbers with products added to them.
type sums struct {
	numbers
	columns  int
	products []product
}

func (s sums) float32s(dst []float32, from int) {
	s.numbers.float32s(dst, from)
	if len(s.products) == 0 {
		return
	}
	row := make([]float64, min(s.columns, len(dst)))
	for len(dst) > 0 {
		at := from % s.columns
		n := min(s.columns-at, len(dst))
		for i, x := range dst[:n] {
			row[i] = float64(x)
		}
		for _, p := range s.products {
			p.addTo(row[:n], from/s.columns, at)
		}
		for i, x := range row[:n] {
			dst[i] = float32(x)
		}
		dst, from = dst[n:], from+n
	}
}

func (s sums) bfloat16s(dst []bfloat16.BFloat16, from int) {
	wide := make([]float32, len(dst))
	s.float32s(wide, from)
	floats(wide).bfloat16s(dst, 0)
}

// addTo adds a row's numbers from column at on to dst, four of A's rows at a time: dst
// is read and written as often.
func (p product) addTo(dst []float64, row, at int) {
	rank, columns := p.a.shape[0], p.a.shape[1]
	b := p.b.numbers[row*rank : (row+1)*rank]
	a := func(k int) (float64, []float32) {
		return p.scale * float64(b[k]), p.a.numbers[k*columns+at:][:len(dst)]
	}
	k := 0
	for ; k+4 <= rank; k += 4 {
		b0, a0 := a(k)
		b1, a1 := a(k + 1)
		b2, a2 := a(k + 2)
		b3, a3 := a(k + 3)
		for i := range dst {
			dst[i] += b0*float64(a0[i]) + b1*float64(a1[i]) + b2*float64(a2[i]) + b3*float64(a3[i])
		}
	}
	for ; k < rank; k++ {
		b0, a0 := a(k)
		for i := range dst {
			dst[i] += b0 * float64(a0[i])
		}
	}
}

// floats are numbers in memory.
type floats []float32

func (f floats) float32s(dst []float32, from int) { copy(dst, f[from:]) }

func (f floats) bfloat16s(dst []bfloat16.BFloat16, from int) {
	for i := range dst {
		dst[i] = roundToBFloat16(math.Float32bits(f[from+i]))
	}
}
