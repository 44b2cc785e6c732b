package checkpoint

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// file is a safetensors file of this header and as many data bytes, all zero.
func file(header string, data int) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, data)...)
}

func TestParseSafetensors(t *testing.T) {
	got, err := parseSafetensors(file(`{"__metadata__":{"format":"pt"},`+
		`"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},`+
		`"empty":{"dtype":"F32","shape":[0,5],"data_offsets":[4,4]},`+
		`"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   `, 16))
	if err != nil {
		t.Fatal(err)
	}
	data := got["a"].begin
	want := map[string]stored{
		"a":     {"F32", []int{}, data, data + 4},
		"b":     {"BF16", []int{2, 3}, data + 4, data + 16},
		"empty": {"F32", []int{0, 5}, data + 4, data + 4},
	}
	for name, w := range want {
		g := got[name]
		if g.dtype != w.dtype || !slices.Equal(g.shape, w.shape) || g.begin != w.begin || g.end != w.end {
			t.Errorf("tensor %s is %+v, want %+v", name, g, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
}

func TestParseSafetensorsInvalid(t *testing.T) {
	one := func(entry string) string { return `{"a":` + entry + `}` }
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "too short"},
		{"seven bytes", make([]byte, 7), "too short"},
		{"header beyond the file", append(binary.LittleEndian.AppendUint64(nil, 3), "{}"...), "ends after the file"},
		{"absurd header", append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "{}"...), "not a safetensors file"},
		{"absurd header, a little", append(binary.LittleEndian.AppendUint64(nil, maxHeader+1), "{}"...), "not a safetensors file"},
		{"empty header", file(``, 0), "not a JSON object"},
		{"list", file(`[]`, 0), "not a JSON object"},
		{"cut JSON", file(`{"a":{"dtype":"F32"`, 0), `header entry "a"`},
		{"cut after an entry", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`)[:53], 4), "not valid JSON"},
		{"second value", file(`{}{}`, 0), "more than one"},
		{"name twice", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), `"a" twice`},
		{"metadata of numbers", file(`{"__metadata__":{"format":1}}`, 0), "__metadata__"},
		{"entry is a list", file(one(`[]`), 0), `header entry "a"`},
		{"unknown dtype", file(one(`{"dtype":"F128","shape":[1],"data_offsets":[0,16]}`), 16), `"F128" is unknown`},
		{"no shape", file(one(`{"dtype":"F32","data_offsets":[0,4]}`), 4), "missing"},
		{"no offsets", file(one(`{"dtype":"F32","shape":[1]}`), 4), "missing"},
		{"three offsets", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}`), 4), "missing"},
		{"fractional offset", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4.5]}`), 4), `header entry "a"`},
		{"backwards", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[4,0]}`), 4), "not a range"},
		{"negative offset", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}`), 4), "not a range"},
		{"offset overflow", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775803,9223372036854775807]}`), 4), "not a range"},
		{"negative size", file(one(`{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}`), 4), "not possible"},
		{"size overflow", file(one(`{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}`), 0), "not possible"},
		{"size and offsets disagree", file(one(`{"dtype":"F32","shape":[2],"data_offsets":[0,4]}`), 4), "hold 4 bytes"},
		{"half a byte", file(one(`{"dtype":"F4","shape":[3],"data_offsets":[0,1]}`), 1), "needs 12 bits"},
		{"beyond the end", file(one(`{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`), 7), "downloaded completely"},
		{"bytes before", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`), 8), "4 unused bytes before"},
		{"bytes after", file(one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`), 5), "1 unused bytes after"},
		{"overlap", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `"b" begins inside "a"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			tensors, err := parseSafetensors(test.file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v (tensors %v), want one with %q", err, tensors, test.want)
			}
		})
	}
}

// Whatever is accepted covers the file after its header exactly, each tensor with the
// bytes that its shape needs.
func FuzzSafetensorsHeader(f *testing.F) {
	f.Add(file(`{}`, 0))
	f.Add(file(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]}}`, 16))
	f.Add(file(`{"a":{"dtype":"F4","shape":[0,3],"data_offsets":[0,0]}}`, 0))
	f.Add(file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,9223372036854775807]}}`, 3))
	f.Add(append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), '{'))
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, err := parseSafetensors(data)
		if err != nil {
			return
		}
		covered := 8 + int(binary.LittleEndian.Uint64(data))
		for name, tensor := range tensors {
			if tensor.begin < 8 || tensor.end > len(data) || tensor.begin > tensor.end {
				t.Fatalf("tensor %q is at [%d:%d] of %d bytes", name, tensor.begin, tensor.end, len(data))
			}
			size := TensorSpec{Shape: tensor.shape}.Size() * safetensorsBits(tensor.dtype)
			if size != 8*(tensor.end-tensor.begin) {
				t.Fatalf("tensor %q of %d bits has %d bytes", name, size, tensor.end-tensor.begin)
			}
			covered += tensor.end - tensor.begin
		}
		if covered != len(data) {
			t.Fatalf("tensors cover %d of %d bytes", covered, len(data))
		}
	})
}
