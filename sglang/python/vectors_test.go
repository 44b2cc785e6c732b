package python

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"scored/tests/vectors"
)

// TestAgainstCPython reads thousands of bodies, sound and damaged, and wants CPython's
// repr, or its error and position.
func TestAgainstCPython(t *testing.T) {
	count := 0
	for line := range bytes.Lines(vectors.Read(t, "../../tests/contract/python.jsonl.gz")) {
		count++
		var want struct {
			Body    []byte
			Repr    *string
			Error   string
			Pos     int
			Refused bool
		}
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		v, err := Decode(want.Body, 1<<30)
		var syntax *SyntaxError
		switch {
		case want.Repr != nil:
			if err != nil || Repr(v) != *want.Repr {
				t.Errorf("body %q is %s with error %v, want %s", want.Body, Repr(v), err, *want.Repr)
			}
			checkWithin(t, v, *want.Repr, count%40)
		case want.Refused:
			if err == nil || errors.As(err, &syntax) {
				t.Errorf("body %q gives error %v, want an Error", want.Body, err)
			}
		default:
			if !errors.As(err, &syntax) || syntax.Message != want.Error || syntax.Pos != want.Pos {
				t.Errorf("body %q gives error %v, want %s at %d", want.Body, err, want.Error, want.Pos)
			}
		}
	}
	if count < 4000 {
		t.Fatalf("%d bodies were read", count)
	}
}

// checkWithin wants a repr of at most so many bytes to begin as the whole one does, and
// to say where it ends early.
func checkWithin(t *testing.T, v Value, whole string, most int) {
	t.Helper()
	got := ReprWithin(v, most)
	if len(whole) <= most {
		if got != whole {
			t.Errorf("repr within %d bytes is %s, want %s", most, got, whole)
		}
		return
	}
	if begin, cut := strings.CutSuffix(got, "..."); !cut || len(begin) < most || begin[:most] != whole[:most] {
		t.Errorf("repr within %d bytes is %s, want the beginning of %s", most, got, whole)
	}
}

// TestDepth has the limit measured with CPython 3.12.1 inside FastAPI.
func TestDepth(t *testing.T) {
	const limit = 1493
	for _, bracket := range []string{"[", `{"a":`} {
		closing := map[string]string{"[": "]", `{"a":`: "}"}[bracket]
		var other Error
		if _, err := Decode([]byte(strings.Repeat(bracket, limit)+"1"+strings.Repeat(closing, limit)), 1<<30); err != nil {
			t.Errorf("%d of %s give error %v", limit, bracket, err)
		}
		for _, depth := range []int{limit + 1, 100_000} {
			if _, err := Decode([]byte(strings.Repeat(bracket, depth)), 1<<30); !errors.As(err, &other) {
				t.Errorf("%d of %s give error %v, want an Error", depth, bracket, err)
			}
		}
	}
}
