package python

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// str reads a string whose opening quotation mark has been read. Without escapes, as
// most are, the string shares the memory of the text.
func (d *decoder) str() String {
	begin := d.at - 1
	if end := strings.IndexAny(d.text[d.at:], "\"\\"); end >= 0 && d.text[d.at+end] == '"' &&
		!hasControl(d.text[d.at:d.at+end]) {
		s := d.text[d.at : d.at+end]
		d.at += end + 1 // the quotation mark, too
		return String(s)
	}
	s := make([]byte, 0, d.unescapedBytes())
	for {
		if d.at >= len(d.text) {
			d.fail("Unterminated string starting at", begin)
		}
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			return String(noCopy(s))
		case c == '\\':
			d.at++
			s = appendRune(s, d.escape(begin))
		case c < 0x20:
			d.fail("Invalid control character at", d.at)
		default:
			s = append(s, c)
			d.at++
		}
	}
}

// unescapedBytes returns an upper bound of the size of the string that begins here, and
// counts it as memory. An escape is never shorter than the character that it stands for.
func (d *decoder) unescapedBytes() int {
	end := d.at
	for end < len(d.text) && d.text[end] != '"' {
		if d.text[end] == '\\' {
			end++
		}
		end++
	}
	n := min(end, len(d.text)) - d.at
	d.spend(n)
	return n
}

// hasControl reports whether a string has control characters, which JSON forbids.
func hasControl(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 }) >= 0
}

// escape reads the characters after a backslash. The two halves of a surrogate pair are
// one character. begin is where the string begins.
func (d *decoder) escape(begin int) rune {
	if d.at >= len(d.text) {
		d.fail("Unterminated string starting at", begin)
	}
	c := d.text[d.at]
	if c != 'u' {
		plain := strings.IndexByte(`"\/bfnrt`, c)
		if plain < 0 {
			d.fail("Invalid \\escape", d.at-1)
		}
		d.at++
		return rune("\"\\/\b\f\n\r\t"[plain])
	}
	r := d.unit(d.at)
	d.at += 5
	if utf16.IsSurrogate(r) && r < 0xdc00 && d.at+6 < len(d.text) &&
		strings.HasPrefix(d.text[d.at:], `\u`) {
		if low := d.unit(d.at + 1); low >= 0xdc00 && low <= 0xdfff {
			d.at += 6
			return utf16.DecodeRune(r, low)
		}
	}
	return r
}

// unit reads the four hexadecimal digits after the u at offset at. As in CPython,
// something must follow them.
func (d *decoder) unit(at int) (r rune) {
	if at+5 >= len(d.text) {
		d.fail("Invalid \\uXXXX escape", at)
	}
	for _, c := range []byte(d.text[at+1 : at+5]) {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 || c < '0' {
			d.fail("Invalid \\uXXXX escape", at)
		}
		r = r<<4 | rune(digit)
	}
	return r
}

// appendRune encodes r, even if it is a lone surrogate, which utf8.AppendRune would
// replace.
func appendRune(s []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(s, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf)
	}
	return utf8.AppendRune(s, r)
}

// Surrogate reports whether the string has a lone surrogate, so that it is not valid
// text.
func (s String) Surrogate() bool { return !utf8.ValidString(string(s)) }

// decodeText is json.detect_encoding and bytes.decode(…, "surrogatepass"): a byte order
// mark tells the encoding, else the zero bytes among the first four do, as JSON begins
// with two ASCII characters (RFC 4627, section 3).
func decodeText(b []byte) (string, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0, 0, 0xfe, 0xff}):
		return utf32(b[4:], binary.BigEndian)
	case bytes.HasPrefix(b, []byte{0xff, 0xfe, 0, 0}):
		return utf32(b[4:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return utf16Text(b[2:], binary.BigEndian)
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return utf16Text(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xef, 0xbb, 0xbf}):
		return utf8Text(b[3:])
	}
	zero := func(i int) bool { return i < len(b) && b[i] == 0 }
	switch {
	case len(b) >= 4 && zero(0) && zero(1):
		return utf32(b, binary.BigEndian)
	case len(b) >= 4 && zero(0):
		return utf16Text(b, binary.BigEndian)
	case len(b) >= 4 && zero(1) && zero(2) && zero(3):
		return utf32(b, binary.LittleEndian)
	case len(b) >= 4 && zero(1):
		return utf16Text(b, binary.LittleEndian)
	case len(b) == 2 && zero(0):
		return utf16Text(b, binary.BigEndian)
	case len(b) == 2 && zero(1):
		return utf16Text(b, binary.LittleEndian)
	}
	return utf8Text(b)
}

// undecodable is the error of bytes that are not in the detected encoding.
const undecodable = Error("body cannot be decoded")

// noCopy returns b as a string without a copy. b must not be changed afterwards.
func noCopy(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// utf8Text accepts UTF-8 and, as surrogatepass does, surrogates encoded in three bytes.
func utf8Text(b []byte) (string, error) {
	if utf8.Valid(b) {
		return noCopy(b), nil
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			// ed a0 80 .. ed bf bf are U+D800 .. U+DFFF.
			if i+2 >= len(b) || b[i] != 0xed || b[i+1] < 0xa0 || b[i+1] > 0xbf || b[i+2]&0xc0 != 0x80 {
				return "", undecodable
			}
			n = 3
		}
		i += n
	}
	return noCopy(b), nil
}

// utf16Text decodes UTF-16. Lone surrogates are kept.
func utf16Text(b []byte, order binary.ByteOrder) (string, error) {
	if len(b)%2 != 0 {
		return "", undecodable
	}
	s := make([]byte, 0, len(b)/2*3) // three bytes for each unit at most
	for ; len(b) > 0; b = b[2:] {
		r := rune(order.Uint16(b))
		if r >= 0xd800 && r < 0xdc00 && len(b) >= 4 {
			if low := rune(order.Uint16(b[2:])); low >= 0xdc00 && low <= 0xdfff {
				r = utf16.DecodeRune(r, low)
				b = b[2:]
			}
		}
		s = appendRune(s, r)
	}
	return noCopy(s), nil
}

// utf32 decodes UTF-32 within the memory of b, as no character takes more bytes in UTF-8.
// A second copy of a large body would hold memory until the next collection. Surrogates
// are kept.
func utf32(b []byte, order binary.ByteOrder) (string, error) {
	if len(b)%4 != 0 {
		return "", undecodable
	}
	s := b[:0] // four bytes for each character at most
	for ; len(b) > 0; b = b[4:] {
		r := order.Uint32(b)
		if r > utf8.MaxRune {
			return "", undecodable
		}
		s = appendRune(s, rune(r))
	}
	return noCopy(s), nil
}
