package python

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// SyntaxError is json.JSONDecodeError: its message, and the position in characters, not
// bytes. FastAPI repeats both to the client.
type SyntaxError struct {
	Message string
	Pos     int
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s: char %d", e.Message, e.Pos) }

// Error is any other exception of json.loads: undecodable bytes, a number with too many
// digits, deep nesting. FastAPI answers all of them alike, so the text is for logs only.
type Error string

// Error implements error.
func (e Error) Error() string { return string(e) }

// maxDepth is how many lists and objects may stand in each other. CPython 3.12 allows
// 1500 nested C calls, of which FastAPI has made some before json.loads begins; measured
// there.
const maxDepth = 1493

// TooLarge is the error of a document whose values take more memory than Decode may
// use. CPython has no such bound. Field is the key of the outermost object whose value
// it was reading; "" if there is none.
type TooLarge struct{ Field string }

// Error implements error.
func (e *TooLarge) Error() string { return "values take too much memory" }

// Decode is json.loads of a request body. It detects the encoding, and accepts NaN,
// Infinity and -Infinity as numbers. The values may take about memory bytes, besides
// the text. They share memory with body, which belongs to Decode from then on. Errors
// are *SyntaxError, Error and *TooLarge.
//
// The parser follows Lib/json/decoder.py and Modules/_json.c of CPython 3.12 in the order
// of its checks, because the position in an error depends on it. It reports faults by
// panics of its own, so that the recursive methods need not pass errors on.
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

// decoder reads WTF-8 text by bytes: see String. Positions are converted to characters
// only for errors. Its methods move at behind the text that they have read.
type decoder struct {
	text   string
	at     int    // of the next byte
	memory int    // bytes that values may still take
	field  string // key of the outermost object whose value is being read
}

// Approximate memory of values in bytes: an element of a list and what it points to, an
// empty list or object, and an entry of an object in its map and its list of keys. A
// body of "[[[[" or of one-letter keys takes tens of times its own bytes.
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

// blanks skips JSON's blanks. They are fewer than Unicode's.
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

// value reads a value inside of depth lists and objects. at must be at its first byte.
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

// object reads an object whose opening brace has been read. A comma before the closing
// brace is a fault, at the position of the missing key.
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
		if depth == 0 { // the field of the body, for TooLarge
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
