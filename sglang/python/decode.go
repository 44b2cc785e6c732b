package python

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError is json.JSONDecodeError: its message, and the position in characters, not
// bytes.
type SyntaxError struct {
	Message string
	Pos     int
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s: char %d", e.Message, e.Pos) }

// Error is any other exception of json.loads: undecodable bytes, a number with too many
// digits, deep nesting.
type Error string

func (e Error) Error() string { return string(e) }

const (
	maxDigits = 4300 // sys.get_int_max_str_digits()
	maxDepth  = 1493 // at which json.loads fails in a web server: CPython 3.12 allows 1500 C calls
)

// TooLarge is the error of a document whose values take more memory than Decode may
// use. Field is the key of the outermost object whose value it was reading.
type TooLarge struct{ Field string }

func (e *TooLarge) Error() string { return "values take too much memory" }

// Decode is json.loads of a request body. It detects the encoding, and accepts NaN,
// Infinity and -Infinity as numbers. The values may take about memory bytes, besides
// the text. They share memory with body, which must not be changed afterwards. Errors
// are *SyntaxError, Error and *TooLarge.
func Decode(body []byte, memory int) (v Value, err error) {
	text, err := decodeText(body)
	if err != nil {
		return nil, err
	}
	d := &decoder{text: text, memory: memory}
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case *SyntaxError:
			v, err = nil, fault
		case Error:
			v, err = nil, fault
		case *TooLarge:
			v, err = nil, fault
		default:
			panic(fault)
		}
	}()
	d.blanks()
	v = d.value(0)
	d.blanks()
	if d.at < len(d.text) {
		d.fail("Extra data", d.at)
	}
	return v, nil
}

// decoder reads WTF-8 text by bytes. Positions are converted to characters only for
// errors.
type decoder struct {
	text   string
	at     int
	memory int    // bytes that values may still take
	field  string // key of the outermost object whose value is being read
}

// Approximate memory of values in bytes: an element of a list and what it points to, an
// empty list or object, and an entry of an object in its map and its list of keys.
const (
	elementBytes   = 16
	referredBytes  = 16
	containerBytes = 48
	entryBytes     = 96
)

// spend counts memory that is about to be used. It panics with *TooLarge if there is
// none left.
func (d *decoder) spend(bytes int) {
	if d.memory -= bytes; d.memory < 0 {
		panic(&TooLarge{d.field})
	}
}

// fail panics with a SyntaxError at byte offset at.
func (d *decoder) fail(message string, at int) {
	pos := 0
	for i := range at {
		if utf8.RuneStart(d.text[i]) { // RuneCountInString would count the bytes of a lone surrogate
			pos++
		}
	}
	panic(&SyntaxError{message, pos})
}

// blanks skips blanks.
func (d *decoder) blanks() { d.at += blanksOf(d.text[d.at:]) }

// blanksOf returns the number of leading blanks.
func blanksOf(s string) (n int) {
	for n < len(s) && strings.IndexByte(" \t\n\r", s[n]) >= 0 {
		n++
	}
	return n
}

// peek returns the next byte, or 0 at the end.
func (d *decoder) peek() byte {
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

// value reads a value inside of depth lists and objects.
func (d *decoder) value(depth int) Value {
	rest := d.text[d.at:]
	switch c := d.peek(); {
	case c == '"':
		d.at++
		return d.str()
	case (c == '{' || c == '[') && depth >= maxDepth:
		panic(Error("maximum recursion depth exceeded"))
	case c == '{':
		d.at++
		return d.object(depth)
	case c == '[':
		d.at++
		return d.array(depth)
	case c == '-' || c >= '0' && c <= '9':
		if n := numberLength(rest); n > 0 {
			d.at += n
			return number(rest[:n])
		}
	}
	for _, word := range [...]string{"null", "true", "false", "NaN", "Infinity", "-Infinity"} {
		if strings.HasPrefix(rest, word) {
			d.at += len(word)
			return wordValue(word)
		}
	}
	d.fail("Expecting value", d.at)
	return nil
}

// wordValue returns the value of a word such as true.
func wordValue(word string) Value {
	switch word {
	case "true", "false":
		return word == "true"
	case "NaN":
		return math.NaN()
	case "Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	return nil
}

// object reads an object whose opening brace has been read.
func (d *decoder) object(depth int) *Object {
	d.spend(containerBytes)
	o := &Object{}
	d.blanks()
	if d.peek() == '}' {
		d.at++
		return o
	}
	for {
		if d.peek() != '"' {
			d.fail("Expecting property name enclosed in double quotes", d.at)
		}
		d.at++
		key := d.str()
		d.blanks()
		if d.peek() != ':' {
			d.fail("Expecting ':' delimiter", d.at)
		}
		d.at++
		d.blanks()
		if depth == 0 {
			d.field = string(key)
		}
		d.spend(entryBytes)
		o.set(key, d.value(depth+1))
		d.blanks()
		switch d.peek() {
		case '}':
			d.at++
			return o
		case ',':
			d.at++
			d.blanks()
		default:
			d.fail("Expecting ',' delimiter", d.at)
		}
	}
}

// numberLength returns the length of the number that s begins with, of the form
// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?; 0 if there is none.
func numberLength(s string) int {
	digits := func(i int) int {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	end := digits(i)
	if end == i {
		return 0
	}
	if s[i] == '0' {
		end = i + 1
	}
	if end < len(s) && s[end] == '.' {
		if after := digits(end + 1); after > end+1 {
			end = after
		}
	}
	if end < len(s) && (s[end] == 'e' || s[end] == 'E') {
		sign := end + 1
		if sign < len(s) && (s[sign] == '-' || s[sign] == '+') {
			sign++
		}
		if after := digits(sign); after > sign {
			end = after
		}
	}
	return end
}

// number returns the value of a number.
func number(s string) Value {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // infinity if it is out of range, as in Python
		return f
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int{Small: n}
	}
	return ParseInt(s)
}

// ParseInt reads a decimal integer of any size, as int() does. It panics with an Error
// if there are too many digits.
func ParseInt(s string) Int {
	if len(strings.TrimLeft(s, "+-")) > maxDigits {
		panic(Error("exceeds the limit (4300 digits) for integer string conversion"))
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic(Error("invalid literal for int()"))
	}
	if n.IsInt64() {
		return Int{Small: n.Int64()}
	}
	return Int{Big: n}
}
