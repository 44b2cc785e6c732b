package python

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Repr returns Python's repr of v. pydantic's faults hold it, so clients see it.
func Repr(v Value) string { return ReprWithin(v, math.MaxInt) }

// ReprWithin returns Python's repr of v if it has at most most bytes. Otherwise it cuts
// it soon after that and appends "...". It visits no more elements than it prints.
func ReprWithin(v Value, most int) string {
	p := printer{most: most}
	writeRepr(&p, v)
	if p.full() {
		p.WriteString("...")
	}
	return p.String()
}

// printer collects text up to about most bytes.
type printer struct {
	strings.Builder
	most int
}

// full reports that the rest would be cut.
func (p *printer) full() bool { return p.Len() > p.most }

// writeRepr writes the repr of v. It panics if v is no Value.
func writeRepr(b *printer, v Value) {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case Int:
		b.WriteString(v.String())
	case float64:
		b.WriteString(Float(v))
	case String:
		writeString(b, v)
	case Bytes:
		writeBytes(b, v)
	case Ints:
		writeItems(b, "[]", len(v), func(i int) { b.WriteString(strconv.FormatInt(v[i], 10)) })
	case []Value:
		writeItems(b, "[]", len(v), func(i int) { writeRepr(b, v[i]) })
	case *Object:
		writeItems(b, "{}", len(v.Keys), func(i int) {
			writeString(b, v.Keys[i])
			b.WriteString(": ")
			writeRepr(b, v.values[v.Keys[i]])
		})
	default:
		panic(fmt.Sprintf("%T is no Python value", v))
	}
}

// writeItems writes n elements between two brackets, with ", " between them. It stops
// when the printer is full, so that a cut repr of a long list does not read all of it.
func writeItems(b *printer, brackets string, n int, write func(i int)) {
	b.WriteByte(brackets[0])
	for i := range n {
		if b.full() {
			return
		}
		if i > 0 {
			b.WriteString(", ")
		}
		write(i)
	}
	b.WriteByte(brackets[1])
}

// Float returns repr(float), which json.dumps writes, too: the shortest digits that
// read back as the same number, in scientific notation from 1e16 on and below 1e-4. Go
// finds the same digits, but switches to the exponent elsewhere.
func Float(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// writeString quotes with ' unless the text has ' and no ". It escapes the characters
// that str.isprintable refuses, in the shortest of three forms. Source: unicode_repr in
// Objects/unicodeobject.c.
func writeString(b *printer, s String) {
	quote := quoteOf(string(s))
	b.WriteByte(quote)
	for i := 0; i < len(s) && !b.full(); {
		r, n := decodeRune(string(s[i:]))
		i += n
		switch {
		case writeEscape(b, r, quote):
		case printable(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
}

// writeBytes writes b'…': printable ASCII as it is, everything else in hexadecimal.
func writeBytes(b *printer, data Bytes) {
	quote := quoteOf(string(data))
	b.WriteByte('b')
	b.WriteByte(quote)
	for _, c := range data {
		if b.full() {
			break
		}
		switch {
		case writeEscape(b, rune(c), quote):
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
		default:
			fmt.Fprintf(b, `\x%02x`, c)
		}
	}
	b.WriteByte(quote)
}

// quoteOf returns the quotation mark that Python uses for a string.
func quoteOf(s string) byte {
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return '"'
	}
	return '\''
}

// writeEscape writes a character that has an escape of its own. It reports whether it
// has.
func writeEscape(b *printer, r rune, quote byte) bool {
	switch r {
	case '\\', rune(quote):
		b.WriteByte('\\')
		b.WriteRune(r)
	case '\n':
		b.WriteString(`\n`)
	case '\r':
		b.WriteString(`\r`)
	case '\t':
		b.WriteString(`\t`)
	default:
		return false
	}
	return true
}

// decodeRune reads a character of WTF-8 text, and returns its length in bytes. Of the
// three bytes of a surrogate utf8.DecodeRuneInString refuses the first.
func decodeRune(s string) (rune, int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 && len(s) >= 3 {
		return rune(s[0]&0x0f)<<12 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
	}
	return r, n
}

// printable is str.isprintable of one character. It is false for control, format,
// surrogate, private use and unassigned characters, and for separators other than the
// blank. Go's tables are of Unicode 15, like those of CPython 3.12.
func printable(r rune) bool {
	return r == ' ' || unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}
