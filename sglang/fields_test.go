package sglang

import (
	"errors"
	"strings"
	"testing"

	"scored/score"
	"scored/sglang/python"
)

func fields(t *testing.T, body string) *Fields {
	t.Helper()
	o, err := DecodeObject([]string{"application/json"}, []byte(body), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return &Fields{Object: o}
}

// TestFields: one reading gives pydantic's list of faults, and the first of them in plain
// words with its field and index.
func TestFields(t *testing.T) {
	read := map[string]func(f *Fields){
		"b": func(f *Fields) { f.Bool("b", true) },
		"i": func(f *Fields) { f.Int("i") },
		"s": func(f *Fields) { f.Text("s") },
		"t": func(f *Fields) { f.Texts("t") },
		"n": func(f *Fields) { f.Ints("n") },
		"o": func(f *Fields) { f.TextOf(f.Get("o"), "o", "text", 3) },
	}
	for body, want := range map[string]struct{ param, message, listed string }{
		`{"b":"maybe"}`:         {"b", "b is no boolean. Input should be a valid boolean, unable to interpret input", "'bool_parsing', 'loc': ('body', 'b')"},
		`{"i":1.5}`:             {"i", "i is no integer. Input should be a valid integer, got", "'int_from_float', 'loc': ('body', 'i')"},
		`{"s":[]}`:              {"s", "s must be a string", "'string_type', 'loc': ('body', 's')"},
		`{"t":"a"}`:             {"t", "t must be a list", "'list_type', 'loc': ('body', 't')"},
		`{"t":["a",1,2]}`:       {"t[1]", "t[1] must be a string", "'loc': ('body', 't', 2)"},
		`{"n":[1,"x","2","y"]}`: {"n[1]", "n[1]: Input should be a valid integer", "'loc': ('body', 'n', 3)"},
		`{"o":5}`:               {"o.text[3]", "o.text[3] must be a string", "('body', 'o', 'text', 3)"},
		`{"b":null}`:            {}, `{"i":null}`: {}, `{"s":null}`: {}, `{"t":null}`: {}, `{"n":null}`: {}, `{"i":"7"}`: {}, `{"t":["a"]}`: {},
	} {
		f := fields(t, body)
		read[body[2:3]](f)
		var fault *score.Error
		switch err := f.Err(); {
		case want.param == "":
			if err != nil || f.Failed() {
				t.Errorf("%s: error %v", body, err)
			}
		case !errors.As(err, &fault) || fault.Param != want.param || !strings.HasPrefix(fault.Message, want.message):
			t.Errorf("%s: error %v of %+v, want %q of %s", body, err, fault, want.message, want.param)
		case !strings.Contains(Describe(f.Faults), want.listed):
			t.Errorf("%s: faults %s lack %s", body, Describe(f.Faults), want.listed)
		}
	}
	f := fields(t, `{"b":2,"i":"9"}`)
	if n, ok := f.Int("i"); !ok || n.Int64() != 9 || f.Failed() {
		t.Errorf("9 is read as %v, %v", n, ok)
	}
	f.Refuse(errors.New("first"))
	f.Bool("b", false)
	f.Refuse(errors.New("third"))
	if err := f.Err(); err == nil || err.Error() != "first" || len(f.Faults) != 2 {
		t.Errorf("the error is %v of %d, want the first of 2", err, len(f.Faults))
	}
}

// TestMaxFaults: each list tells no more than so many, and the next field's come after
// them.
func TestMaxFaults(t *testing.T) {
	f := fields(t, `{"t":[`+strings.Repeat("1,", MaxFaults)+`1],"n":[`+strings.Repeat(`null,`, MaxFaults)+`1],"s":5}`)
	f.Texts("t")
	f.Ints("n")
	f.Text("s")
	if len(f.Faults) != 2*MaxFaults+1 {
		t.Errorf("%d faults, want %d and %d and 1", len(f.Faults), MaxFaults, MaxFaults)
	}
}

// TestDecodeOptional: a body may be absent or null, and of any content type, though only
// JSON is read.
func TestDecodeOptional(t *testing.T) {
	for _, c := range []struct {
		contentType, body string
		object            bool
		message           string
	}{
		{"application/json", ``, false, ""},
		{"application/json", `null`, false, ""},
		{"text/plain", ``, false, ""},
		{"application/json", `{"a":1}`, true, ""},
		{"", `{"a":1}`, true, ""},
		{"text/plain", `{"a":1}`, false, "dataclass_type"},
		{"application/json", `[1]`, false, "{'class_name': 'C'}"},
		{"application/json", `{`, false, "json_invalid"},
	} {
		o, err := DecodeOptional("C", []string{c.contentType}, []byte(c.body), 1<<20)
		var bad *BodyError
		if (o != nil) != c.object || (c.message != "") != errors.As(err, &bad) || bad != nil && (!strings.Contains(bad.Message, c.message) || bad.Plainly == "") {
			t.Errorf("%s of %s: object %v, error %v, want %q", c.body, c.contentType, o, err, c.message)
		}
	}
	if _, err := DecodeObject([]string{"application/json"}, []byte(`["`+strings.Repeat("x", 100)+`"]`), 50); !errors.As(err, new(*python.TooLarge)) {
		t.Errorf("a body of more memory than there is: %v", err)
	}
}
