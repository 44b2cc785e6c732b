package python

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// FuzzDecode: whatever a body holds, it is a value or an error of json.loads. A value
// prints in one line that is text, and the same document in UTF-16 or UTF-32 is the same
// value or the same error.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{``, `{}`, `[1,-0,1.5e-7,1e400,-Infinity,NaN,null,true,false,99999999999999999999]`, `"\ud83d\ude00 \ud83d é\u0000'"`,
		`{"a":{"a":[]},"a":"it's \"\\"}`, "\xed\xa0\x80", "[\"\xed\xa0\x80\"]", "\xef\xbb\xbf[]", "{\x00}\x00", "\xff\xfe[\x00]\x00", strings.Repeat("[", 1000),
		`"\u12`, `"\ud800\u12`, `{"a" 1}`, `[1,]`, "\"\x01\"", `12345678901234567890.`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := Decode(bytes.Clone(body), 1<<30)
		text := show(t, v, err)
		if !utf8.Valid(body) || strings.Contains(string(body), "\x00") || strings.HasPrefix(string(body), "\ufeff") {
			return // Python sees another encoding, or none
		}
		wide := []byte{0xff, 0xfe}
		for _, unit := range utf16.Encode([]rune(string(body))) {
			wide = binary.LittleEndian.AppendUint16(wide, unit)
		}
		v, err = Decode(wide, 1<<30)
		if got := show(t, v, err); got != text {
			t.Fatalf("%q is %s, and in UTF-16 %s", body, text, got)
		}
		wide = []byte{0xff, 0xfe, 0, 0}
		for _, r := range string(body) {
			wide = binary.LittleEndian.AppendUint32(wide, uint32(r))
		}
		v, err = Decode(wide, 1<<30)
		if got := show(t, v, err); got != text {
			t.Fatalf("%q is %s, and in UTF-32 %s", body, text, got)
		}
	})
}

// TestUTF32TakesNoCopy: a body in UTF-32 is decoded in its own memory, so that a large
// one is not held twice.
func TestUTF32TakesNoCopy(t *testing.T) {
	text := `"` + strings.Repeat("\U0001f600", 1<<20) + `"`
	var body []byte
	for _, r := range text {
		body = binary.BigEndian.AppendUint32(body, uint32(r))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := Decode(body, 1<<30)
	runtime.ReadMemStats(&after)
	if got, ok := v.(String); err != nil || !ok || string(got) != text[1:len(text)-1] {
		t.Fatalf("decoded %d bytes, %v", len(got), err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(len(body))/4 {
		t.Errorf("decoding %d bytes allocates %d", len(body), took)
	}
}

// show is a value's repr, or its error.
func show(t *testing.T, v Value, err error) string {
	if err != nil {
		if syntax := (*SyntaxError)(nil); !errors.As(err, &syntax) && !errors.As(err, new(Error)) {
			t.Fatalf("error %v is none of json.loads", err)
		}
		return err.Error()
	}
	text := Repr(v)
	for _, r := range text {
		if !printable(r) {
			t.Fatalf("repr %q holds %U", text, r)
		}
	}
	if !utf8.ValidString(text) {
		t.Fatalf("repr %q is not UTF-8", text)
	}
	return text
}
