// Package attend_test times the attention kernel on a GPU with several tiles, in one run.
// The table in model/triton/shape.go was made by:
//
//	SCORED_GOLDEN_PLUGIN=FILE go test -run - -bench . -benchtime 20x ./tests/attend
//
// where FILE is the CUDA plugin. A benchmark's us/layer is the time of one call; off is
// the largest difference between its numbers and those of the tile that the package
// chooses.
package attend_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"scored/model/kernel"
	"scored/model/triton"
	"scored/pjrt"
	"scored/target"
)

const layers = 28 // calls by which two timed programs differ

// load is a step of 2,048 tokens: some new tokens of the prefix, and rows of one length.
type load struct {
	name                string
	prefix, shared, new int
	row                 int
}

func loads() []load {
	return []load{
		{name: "w1", row: 300},
		{name: "w2", prefix: 128, shared: 120, new: 120, row: 180},
		{name: "w3", prefix: 2048, shared: 2000, row: 20},
		{name: "long", prefix: 8192, shared: 8000, row: 100},
	}
}

func (l load) shape(card string) triton.Shape {
	gpu, _ := target.Find("cuda", card)
	return triton.Shape{Shape: kernel.Shape{Tokens: 2048, Context: l.prefix, Heads: 16, KVHeads: 8, HeadDim: 128, Norm: true, Eps: 1e-6}, Shared: gpu.SharedMemory}
}

func (l load) sight(tokens int) (from, to, start []int32) {
	from, to, start = make([]int32, tokens), make([]int32, tokens), make([]int32, tokens)
	at := 0
	for ; at < l.new; at++ {
		to[at], start[at] = int32(l.shared-l.new+at+1), int32(at+1)
	}
	for ; at+l.row <= tokens; at += l.row {
		for i := range l.row {
			to[at+i], start[at+i] = int32(l.shared), int32(at)
		}
	}
	for ; at < tokens; at++ {
		start[at] = int32(at)
	}
	return from, to, start
}

func tiles() []triton.Tile {
	return []triton.Tile{
		{}, // the package's choice
		{Tokens: 32, Heads: 2, Keys: 64, Warps: 4, Stages: 2}, {Tokens: 32, Heads: 2, Keys: 32, Warps: 4, Stages: 3},
		{Tokens: 32, Heads: 2, Keys: 32, Warps: 4, Stages: 4}, {Tokens: 32, Heads: 2, Keys: 128, Warps: 4, Stages: 2},
		{Tokens: 64, Heads: 1, Keys: 64, Warps: 4, Stages: 3}, {Tokens: 64, Heads: 1, Keys: 64, Warps: 4, Stages: 2},
		{Tokens: 64, Heads: 2, Keys: 64, Warps: 8, Stages: 2}, {Tokens: 64, Heads: 2, Keys: 64, Warps: 8, Stages: 3},
		{Tokens: 64, Heads: 2, Keys: 128, Warps: 8, Stages: 2}, {Tokens: 16, Heads: 2, Keys: 64, Warps: 4, Stages: 2},
		{Tokens: 128, Heads: 1, Keys: 64, Warps: 8, Stages: 3}, {Tokens: 64, Heads: 2, Keys: 64, Warps: 4, Stages: 2},
	}
}

// program repeats a step's attention calls times, one after the other, on numbers that it
// makes up itself. It returns the numbers of every 64th token.
func program(s triton.Shape, calls int) string {
	e, width, every := s.HeadDim, (s.Heads+2*s.KVHeads)*s.HeadDim, 64
	var t strings.Builder
	line := func(format string, arguments ...any) { fmt.Fprintf(&t, "    "+format+"\n", arguments...) }
	waves := func(name, element string, step float64, rows, columns int) string {
		n, wide, kind := rows*columns, fmt.Sprintf("tensor<%dx%dxf32>", rows, columns), fmt.Sprintf("tensor<%dx%dx%s>", rows, columns, element)
		line("%%%s0 = stablehlo.iota dim = 0 : tensor<%dxf32>", name, n)
		line("%%%s1 = stablehlo.constant dense<%v> : tensor<%dxf32>", name, step, n)
		line("%%%s2 = stablehlo.multiply %%%s0, %%%s1 : tensor<%dxf32>", name, name, name, n)
		line("%%%s3 = stablehlo.sine %%%s2 : tensor<%dxf32>", name, name, n)
		line("%%%s4 = stablehlo.reshape %%%s3 : (tensor<%dxf32>) -> %s", name, name, n, wide)
		line("%%%s = stablehlo.convert %%%s4 : (%s) -> %s", name, name, wide, kind)
		return kind
	}
	spans, sight := fmt.Sprintf("tensor<%dxi32>", 3*s.Tokens/s.Blocks().Tokens), fmt.Sprintf("tensor<3x%dxi32>", s.Tokens)
	out, some := fmt.Sprintf("tensor<%dx%dxbf16>", s.Tokens, s.Heads*e), fmt.Sprintf("tensor<%dx%dx", s.Tokens/every, s.Heads*e)
	fmt.Fprintf(&t, "module @attend {\n  func.func public @main(%%spans: %s, %%sight: %s) -> %sf32> {\n", spans, sight, some)
	names, kinds := []string{"%spans", "%qkv", "%keys"}, []string{spans, waves("qkv", "bf16", 0.7548777, s.Tokens, width), waves("keys", "bf16", 0.4503599, s.Tokens, s.KVHeads*2*e)}
	if s.Context > 0 {
		names, kinds = append(names, "%context"), append(kinds, waves("context", "bf16", 0.5698403, s.Context, s.KVHeads*2*e))
	}
	one := fmt.Sprintf("tensor<1x%dxf32>", e)
	names, kinds = append(names, "%sight", "", "%angles"), append(kinds, sight, one, waves("angles", "f32", 0.3247180, s.Tokens, 2*e))
	line("%%zero = stablehlo.constant dense<0.0> : %s", one)
	line("%%weight0 = stablehlo.constant dense<%v> : %s", 2*math.Log2E/math.Sqrt(float64(e)), one)
	for i := range calls {
		names[len(names)-2] = fmt.Sprintf("%%weight%d", i)
		line("%s", triton.Attend(s).Call(names, kinds, fmt.Sprintf("%%out%d", i), out))
		// The next call waits for this one: its weight comes out of it, unchanged.
		line("%%a%d = stablehlo.slice %%out%d [0:1, 0:%d] : (%s) -> tensor<1x%dxbf16>", i, i, e, out, e)
		line("%%b%d = stablehlo.convert %%a%d : (tensor<1x%dxbf16>) -> %s", i, i, e, one)
		line("%%c%d = stablehlo.multiply %%b%d, %%zero : %s", i, i, one)
		line("%%weight%d = stablehlo.add %%c%d, %%weight%d : %s", i+1, i, i, one)
	}
	line("%%some = stablehlo.slice %%out%d [0:%d:%d, 0:%d] : (%s) -> %sbf16>", calls-1, s.Tokens, every, s.Heads*e, out, some)
	line("%%result = stablehlo.convert %%some : (%sbf16>) -> %sf32>", some, some)
	line("return %%result : %sf32>", some)
	t.WriteString("  }\n}\n")
	return t.String()
}

// device runs programs in place of graphs with the same inputs and outputs.
type device struct {
	plugin *pjrt.Plugin
	text   atomic.Pointer[string]
}

func open(b *testing.B) (*device, string) {
	path := os.Getenv("SCORED_GOLDEN_PLUGIN")
	if path == "" {
		b.Skip("SCORED_GOLDEN_PLUGIN names no plugin")
	}
	d := &device{}
	plugin, err := pjrt.Open(path, pjrt.Options{Async: true, Rewrite: func([]byte) []byte { return []byte(*d.text.Load()) },
		Compile: map[string]string{"xla_gpu_enable_command_buffer": ""}})
	if err != nil {
		b.Fatal(err)
	}
	d.plugin = plugin
	return d, plugin.Info().Devices[0]
}

// compile gives a function that runs the program once.
func (d *device) compile(s triton.Shape, l load, calls int) (run func() []float32, free func()) {
	text := program(s, calls)
	d.text.Store(&text)
	from, to, start := l.sight(s.Tokens)
	spans := tensors.FromFlatDataAndDimensions(s.Blocks().Spans(from, to, start), 3*s.Tokens/s.Blocks().Tokens)
	sight := tensors.FromFlatDataAndDimensions(slices.Concat(from, to, start), 3, s.Tokens)
	g := graph.NewGraph(d.plugin.Backend(), "attend")
	graph.Parameter(g, "spans", spans.Shape())
	graph.Parameter(g, "sight", sight.Shape())
	if err := g.Compile(graph.Zeros(g, shapes.Make(dtypes.Float32, s.Tokens/64, s.Heads*s.HeadDim))); err != nil {
		panic(err)
	}
	return func() []float32 {
		out := g.Run(spans, sight)[0]
		defer func() { _ = out.FinalizeAll() }()
		return tensors.MustCopyFlatData[float32](out)
	}, g.Finalize
}

func BenchmarkAttend(b *testing.B) {
	d, card := open(b)
	defer d.plugin.Close()
	for _, l := range loads() {
		var right []float32
		for _, tile := range tiles() {
			s := l.shape(card)
			s.Tile = tile
			if s.Check() != nil {
				continue
			}
			name := fmt.Sprintf("%s/%dx%d,%d,%d,%d", l.name, tile.Tokens, tile.Heads, tile.Keys, tile.Warps, tile.Stages)
			if tile == (triton.Tile{}) {
				name = l.name + "/chosen"
			}
			b.Run(name, func(b *testing.B) {
				defer func() { // GoMLX panics at a tile that does not compile; other tiles go on
					if fault := recover(); fault != nil {
						b.Errorf("tile does not run: %.2000v", fault)
					}
				}()
				few, freeFew := d.compile(s, l, 4)
				many, freeMany := d.compile(s, l, 4+layers)
				defer freeFew()
				defer freeMany()
				got := many()
				if right == nil {
					right = got
				}
				off := 0.0
				for i, x := range right {
					off = max(off, math.Abs(float64(got[i]-x)))
				}
				least := func(run func() []float32) float64 {
					began := time.Now()
					run()
					return time.Since(began).Seconds()
				}
				short, long := math.Inf(1), math.Inf(1)
				for b.Loop() {
					short, long = min(short, least(few)), min(long, least(many))
				}
				b.ReportMetric((long-short)/layers*1e6, "us/layer")
				b.ReportMetric(off, "off")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
