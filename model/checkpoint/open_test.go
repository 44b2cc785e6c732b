package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
)

// testdata/checkpoint was written by transformers (tests/golden/checkpoint.py) with the
// weights of seed 1, in four shards.
func TestOpenTransformersCheckpoint(t *testing.T) {
	dir := filepath.Join("testdata", "checkpoint")
	cfg, err := LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, cfg)
	if cfg.TieEmbeddings || cfg.TorchDtype != "bfloat16" {
		t.Errorf("config is %+v, want an untied one in bfloat16", cfg)
	}
	sameNumbers(t, cfg, c, Generate(cfg, 1), dtypes.BFloat16)
}

// What our own test writer stores in any dtype, in one file or several, comes back as
// it was generated.
func TestOpenRoundTrip(t *testing.T) {
	for _, test := range []struct {
		name   string
		dtype  string
		want   dtypes.DType
		shards int
	}{
		{"float32", "F32", dtypes.Float32, 1},
		{"bfloat16", "BF16", dtypes.BFloat16, 1},
		{"float16", "F16", dtypes.Float16, 1},
		{"float32 in shards", "F32", dtypes.Float32, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, cfg := t.TempDir(), smallConfig()
			write := newWriter(t, Generate(cfg, 9), cfg.Tensors(), test.dtype)
			write.save(dir, test.shards)
			c := open(t, dir, cfg)
			if len(c.Unused()) != 0 {
				t.Errorf("unused tensors are %v, want none", c.Unused())
			}
			sameNumbers(t, cfg, c, Generate(cfg, 9), test.want)
		})
	}
}

// Each case damages a good checkpoint, of one file or of two shards.
func TestOpenDamaged(t *testing.T) {
	const query, norm = "model.layers.1.self_attn.q_proj.weight", "model.norm.weight"
	for _, test := range []struct {
		name   string
		shards int
		change func(w *writer)              // before it is saved
		damage func(dir string) error       // after
		want   []string                     // parts of the error; none: it opens
		check  func(t *testing.T, c *Files) // if it opens
	}{
		{name: "missing tensor", shards: 1, change: func(w *writer) { w.remove(query) },
			want: []string{"model.safetensors lacks", query, "(1 of the model's 35"}},
		{name: "missing in shards", shards: 2, change: func(w *writer) { w.remove(query) }, want: []string{indexFile, "lacks", query}},
		{name: "wrong shape", shards: 1, change: func(w *writer) { w.entry(query).Shape = []int{32, 128} },
			want: []string{"model.safetensors", query, "[32 128]", "[64 64]"}},
		{name: "transposed norm", shards: 1, change: func(w *writer) { w.entry(norm).Shape = []int{1, 64} }, want: []string{norm, "[1 64]"}},
		{name: "integer dtype", shards: 1, change: func(w *writer) { w.entry(query).DType = "I32" }, want: []string{query, "I32"}},
		{name: "quantized", shards: 1, change: func(w *writer) { e := w.entry(query); e.DType, e.data = "F8_E4M3", e.data[:64*64] },
			want: []string{query, "F8_E4M3", "unquantized"}},
		{name: "tied head shipped all the same", shards: 1, change: func(w *writer) { w.add(headName, "F32", 512, 64) },
			check: func(t *testing.T, c *Files) {
				if len(c.Unused()) != 0 {
					t.Errorf("unused tensors are %v, want none", c.Unused())
				}
				if _, err := c.Tensor(headName); err == nil {
					t.Error("a tied head is given all the same")
				}
			}},
		{name: "tensors of no use", shards: 2, change: func(w *writer) {
			w.add("visual.patch.bias", "I64", 3)
			w.add("adapter.scale", "F64")
		}, check: func(t *testing.T, c *Files) {
			if want := []string{"adapter.scale", "visual.patch.bias"}; !slices.Equal(c.Unused(), want) {
				t.Errorf("unused tensors are %v, want %v", c.Unused(), want)
			}
		}},
		{name: "a parameter of another family", shards: 1, change: func(w *writer) { w.add("model.layers.1.self_attn.q_proj.bias", "F32", 64) },
			want: []string{"model.safetensors holds", "model.layers.1.self_attn.q_proj.bias", "config.json"}},
		{name: "more layers than the config says", shards: 2, change: func(w *writer) { w.add("model.layers.3.input_layernorm.weight", "F32", 64) },
			want: []string{shardName(1) + " holds", "model.layers.3.input_layernorm.weight"}},
		{name: "rotary frequencies as old checkpoints keep them", shards: 1,
			change: func(w *writer) { w.add("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", 8) },
			check:  func(*testing.T, *Files) {}},
		{name: "no files", shards: 1, damage: func(dir string) error { return os.Remove(filepath.Join(dir, singleFile)) },
			want: []string{"neither", singleFile, indexFile}},
		{name: "cut file", shards: 1, damage: func(dir string) error { return cut(filepath.Join(dir, singleFile), -1) },
			want: []string{"model.safetensors", `tensor "model.norm.weight"`, "downloaded completely"}},
		{name: "cut header", shards: 1, damage: func(dir string) error { return cut(filepath.Join(dir, singleFile), 100) },
			want: []string{"model.safetensors", "header", "downloaded completely"}},
		{name: "empty file", shards: 1, damage: func(dir string) error { return cut(filepath.Join(dir, singleFile), 0) },
			want: []string{"model.safetensors", "empty"}},
		{name: "missing shard", shards: 2, damage: func(dir string) error { return os.Remove(filepath.Join(dir, shardName(1))) },
			want: []string{indexFile, shardName(1), "missing"}},
		{name: "cut shard", shards: 2, damage: func(dir string) error { return cut(filepath.Join(dir, shardName(1)), -1) },
			want: []string{shardName(1), "downloaded completely"}},
		{name: "index puts a tensor elsewhere", shards: 2, damage: func(dir string) error {
			return replace(filepath.Join(dir, indexFile), `"model.norm.weight":"`+shardName(1), `"model.norm.weight":"`+shardName(0))
		}, want: []string{shardName(0), norm, "is missing"}},
		{name: "index leads out of the folder", shards: 2, damage: func(dir string) error {
			return replace(filepath.Join(dir, indexFile), shardName(1), "../"+shardName(1))
		}, want: []string{indexFile, "weight_map", "../"}},
		{name: "index is no JSON", shards: 2, damage: func(dir string) error { return cut(filepath.Join(dir, indexFile), -1) },
			want: []string{indexFile, "not valid"}},
		{name: "index without a map", shards: 2, damage: func(dir string) error {
			return replace(filepath.Join(dir, indexFile), "weight_map", "weights")
		}, want: []string{indexFile, "weight_map"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, cfg := t.TempDir(), smallConfig()
			w := newWriter(t, Generate(cfg, 9), cfg.Tensors(), "F32")
			if test.change != nil {
				test.change(w)
			}
			w.save(dir, test.shards)
			if test.damage != nil {
				if err := test.damage(dir); err != nil {
					t.Fatal(err)
				}
			}
			if test.check != nil {
				test.check(t, open(t, dir, cfg))
				return
			}
			_, err := Open(dir, cfg)
			wantNamed(t, err, test.want)
		})
	}
}

// wantNamed checks that an error contains all parts.
func wantNamed(t *testing.T, err error, all []string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range all {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %q", err, part)
		}
	}
}

func TestCloseTwice(t *testing.T) {
	dir, cfg := t.TempDir(), smallConfig()
	newWriter(t, Generate(cfg, 9), cfg.Tensors(), "BF16").save(dir, 2)
	c, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Tensor(NormName); err == nil {
		t.Error("a closed checkpoint still gives tensors")
	}
}

// Every half and its neighbourhood in float32 is converted as arithmetic says.
func TestConversions(t *testing.T) {
	for h := range 1 << 16 {
		exponent, fraction := h>>10&31, float64(h&1023)
		want := math.Ldexp(1024+fraction, exponent-25)
		switch {
		case exponent == 0:
			want = math.Ldexp(fraction, -24)
		case exponent == 31 && fraction == 0:
			want = math.Inf(1)
		case exponent == 31:
			want = math.NaN()
		}
		if h&0x8000 != 0 {
			want = math.Copysign(want, -1)
		}
		got := float64(math.Float32frombits(widenFloat16(uint16(h))))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != math.Signbit(want) && !math.IsNaN(want) {
			t.Fatalf("half %#04x is %v, want %v", h, got, want)
		}
	}
	for _, test := range []struct {
		in   uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0x3f817fff, 0x3f81}, // ties to even
		{0x80000000, 0x8000}, {0x00000001, 0x0000}, {0x00018000, 0x0002}, // zeros and subnormals
		{0x7f7fffff, 0x7f80}, {0xff7fffff, 0xff80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, // overflow and infinity
		{0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, {0x7fc00000, 0x7fc0}, // NaN stays NaN
	} {
		if got := roundToBFloat16(test.in); got.Bits() != test.want {
			t.Errorf("float32 %#08x rounds to bfloat16 %#04x, want %#04x", test.in, got.Bits(), test.want)
		}
	}
}

// sameNumbers compares every tensor of two sources, as a whole in both dtypes and in
// ranges that start anywhere.
func sameNumbers(t *testing.T, cfg Config, got, want Source, dtype dtypes.DType) {
	t.Helper()
	for _, spec := range cfg.Tensors() {
		a, err := got.Tensor(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := want.Tensor(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		if a.DType != dtype || !slices.Equal(a.Shape, b.Shape) {
			t.Errorf("%s is %s %v, want %s %v", spec.Name, a.DType, a.Shape, dtype, b.Shape)
		}
		whole := float32sOf(b)
		if !slices.Equal(float32sOf(a), whole) {
			t.Errorf("%s differs", spec.Name)
		}
		for from := range 9 {
			part, short := make([]float32, 7), make([]bfloat16.BFloat16, 7)
			a.Float32(part, from)
			a.BFloat16(short, from)
			for i := range part {
				if part[i] != whole[from+i] || short[i].Float32() != whole[from+i] {
					t.Errorf("%s[%d] is %v and in bfloat16 %v, want %v", spec.Name, from+i, part[i], short[i].Float32(), whole[from+i])
				}
			}
		}
	}
}

func open(t *testing.T, dir string, cfg Config) *Files {
	t.Helper()
	c, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// writer makes safetensors files, good ones and bad ones.
type writer struct {
	t       *testing.T
	entries []*written
}

type written struct {
	name string
	headerEntry
	data []byte
}

func newWriter(t *testing.T, source Source, specs []TensorSpec, dtype string) *writer {
	w := &writer{t: t}
	for _, spec := range specs {
		tensor, err := source.Tensor(spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		e := w.add(spec.Name, dtype, spec.Shape...)
		e.data = e.data[:0]
		for _, x := range float32sOf(tensor) {
			switch dtype {
			case "F32":
				e.data = binary.LittleEndian.AppendUint32(e.data, math.Float32bits(x))
			case "BF16":
				e.data = binary.LittleEndian.AppendUint16(e.data, uint16(math.Float32bits(x)>>16))
			case "F16": // the generated numbers are normal halves with at most eight significant bits
				bits := math.Float32bits(x)
				e.data = binary.LittleEndian.AppendUint16(e.data, uint16(bits>>16&0x8000|(bits>>13&0x3ffff-112<<10)))
			}
		}
	}
	return w
}

// add appends a tensor of zeros.
func (w *writer) add(name, dtype string, shape ...int) *written {
	size := safetensorsBits(dtype) / 8 * TensorSpec{Shape: shape}.Size()
	w.entries = append(w.entries, &written{name, headerEntry{DType: dtype, Shape: append([]int{}, shape...)}, make([]byte, size)})
	return w.entries[len(w.entries)-1]
}

func (w *writer) entry(name string) *written {
	i := slices.IndexFunc(w.entries, func(e *written) bool { return e.name == name })
	if i < 0 {
		w.t.Fatalf("no tensor %s", name)
	}
	return w.entries[i]
}

func (w *writer) remove(name string) {
	e := w.entry(name)
	w.entries = slices.DeleteFunc(w.entries, func(other *written) bool { return other == e })
}

// save writes one file, or shards of about as many tensors each and their index.
func (w *writer) save(dir string, shards int) {
	if shards == 1 {
		w.write(filepath.Join(dir, singleFile), safetensors(w.t, w.entries))
		return
	}
	where := map[string]string{}
	i := 0
	for part := range slices.Chunk(w.entries, len(w.entries)/shards+1) {
		w.write(filepath.Join(dir, shardName(i)), safetensors(w.t, part))
		for _, e := range part {
			where[e.name] = shardName(i)
		}
		i++
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": where})
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(filepath.Join(dir, indexFile), index)
}

func (w *writer) write(path string, data []byte) {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func safetensors(t testing.TB, entries []*written) []byte {
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for _, e := range entries {
		e.Offsets = []int{len(data), len(data) + len(e.data)}
		header[e.name] = e.headerEntry
		data = append(data, e.data...)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
}

func shardName(i int) string { return "model-" + string(rune('a'+i)) + ".safetensors" }

// cut shortens a file to size bytes or, if negative, by as many.
func cut(path string, size int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if size < 0 {
		size += info.Size()
	}
	return os.Truncate(path, size)
}

func replace(path, old, new string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, new)), 0o600)
}
