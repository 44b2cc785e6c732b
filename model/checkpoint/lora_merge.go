package checkpoint

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
)

// merged is a Source that merges adapters into tensors when their numbers are read.
type merged struct {
	Source
	adapters []*Adapter
}

// Merge returns source, which has the weights of cfg, with adapters merged into it one
// after the other, as PEFT's merge_and_unload does. A sum W + scale·B·A is computed in
// float64 and rounded once. An adapter of another model is refused by the name of a
// module. Closing the result closes source; after an error source is still open.
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
		// A module that is to be replaced must not keep the model's weights unnoticed.
		for _, spec := range cfg.Tensors() {
			if _, has := a.saved[spec.Name]; a.saves(spec.Name) && !has {
				return nil, fmt.Errorf("adapter %s names the module of %s in modules_to_save, but has no "+
					"weights for it; save it again", a.dir, spec.Name)
			}
		}
	}
	return merged{source, adapters}, nil
}

// checkPlace checks that the model has a parameter of this name and shape. specs are
// the model's parameters by name.
func (a *Adapter) checkPlace(cfg Config, specs map[string]TensorSpec, name string,
	shape []int) error {
	if cfg.TieEmbeddings && (name == headName || name == EmbeddingName) {
		return fmt.Errorf("adapter %s changes %s alone, but the model has one matrix for embedding and "+
			"head; untie them before training", a.dir, name)
	}
	spec, ok := specs[name]
	if !ok {
		return fmt.Errorf("adapter %s changes %s, which the model does not have; it may be "+
			"an adapter of another model", a.dir, name)
	}
	if !slices.Equal(spec.Shape, shape) {
		return fmt.Errorf("adapter %s changes %s in shape %v, the model's is %v; it may be an adapter "+
			"of another model", a.dir, name, shape, spec.Shape)
	}
	return nil
}

// Tensor implements Source. A tensor that no adapter changes is source's own, in its
// dtype; a merged one is float32. A saved parameter replaces what earlier adapters have
// added.
func (m merged) Tensor(name string) (Tensor, error) {
	tensor, err := m.Source.Tensor(name)
	if err != nil {
		return tensor, err
	}
	sum := sums{Numbers: tensor.Numbers, columns: tensor.Shape[len(tensor.Shape)-1]}
	changed := false
	for _, a := range m.adapters {
		if saved, ok := a.saved[name]; ok {
			sum.Numbers, sum.products, changed = floats(saved.numbers), nil, true
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

// sums are the Numbers of a matrix with products added to them as they are read: the sum
// is never in memory as a whole, and device memory is filled from it directly.
type sums struct {
	Numbers
	columns  int
	products []product
}

// Float32s implements Numbers.
func (s sums) Float32s(dst []float32, from int) {
	s.Numbers.Float32s(dst, from)
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

// BFloat16s implements Numbers. It rounds each sum to float32, and that to bfloat16.
func (s sums) BFloat16s(dst []bfloat16.BFloat16, from int) {
	wide := make([]float32, len(dst))
	s.Float32s(wide, from)
	floats(wide).BFloat16s(dst, 0)
}

// addTo adds the product's numbers in a row, from column at on, to dst. It takes four of
// A's rows at a time, so that dst is read and written a quarter as often.
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

// floats are Numbers in memory.
type floats []float32

// Float32s implements Numbers.
func (f floats) Float32s(dst []float32, from int) { copy(dst, f[from:]) }

// BFloat16s implements Numbers.
func (f floats) BFloat16s(dst []bfloat16.BFloat16, from int) {
	for i := range dst {
		dst[i] = roundToBFloat16(math.Float32bits(f[from+i]))
	}
}
