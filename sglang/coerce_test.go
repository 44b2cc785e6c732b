package sglang

import (
	"bytes"
	"testing"

	"scored/sglang/python"
)

// FuzzLax: what is read as an integer or a bool is itself when it is read again, an
// integer also from its digits, and what is not has a fault that can be described.
func FuzzLax(f *testing.F) {
	for _, seed := range []string{`1`, `-1`, `1.0`, `1.5`, `1e400`, `NaN`, `-9223372036854775808`, `9223372036854775808.0`, `123456789012345678901234567890`, `true`, `null`,
		`"+1_000.00"`, `" 7 "`, `"-0"`, `"1_"`, `"on"`, `"FALSE"`, `"\ud800"`, `"٣"`, `[1,"2",{}]`, `{"a":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := python.Decode(bytes.Clone(body), 1<<20)
		if err != nil {
			return
		}
		n, kind := ReadInt(v)
		if describeFault(t, kind, v) {
			for _, same := range []python.Value{n, python.String(n.String())} {
				if again, kind := ReadInt(same); kind != "" || again.String() != n.String() {
					t.Fatalf("%s is %v, and that is %v (%s)", python.Repr(v), n, again, kind)
				}
			}
		}
		value, kind := ReadBool(v)
		if describeFault(t, kind, v) {
			if again, kind := ReadBool(value); kind != "" || again != value {
				t.Fatalf("%s is %t, and that is %t (%s)", python.Repr(v), value, again, kind)
			}
		}
		ints, faults := ReadInts(v, "items", 0)
		if list, ok := python.List(v); ok && len(ints.Small) != len(list) {
			t.Fatalf("%d integers of %d", len(ints.Small), len(list))
		}
		Describe(faults)
	})
}

// describeFault tells whether there is none; if there is, it must be a known one.
func describeFault(t *testing.T, kind string, v python.Value) bool {
	if kind == "" {
		return true
	}
	if texts[kind] == "" {
		t.Fatalf("%s has the unknown fault %q", python.Repr(v), kind)
	}
	Describe([]Fault{NewFault(kind, v)})
	return false
}
