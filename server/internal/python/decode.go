package python

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError is json.JSONDecodeError: its message, and the position in characters, not bytes.
type SyntaxError struct {
	Message string
	Pos     int
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s: char %d", e.Message, e.Pos) }

// Error is any other exception that json.loads raises: undecodable bytes, a number with too many digits, deep nesting.
type Error string

func (e Error) Error() string { return string(e) }

const (
	maxDigits = 4300 // sys.get_int_max_str_digits()
	maxDepth  = 990  // close to where the interpreter's recursion limit of 1000 ends json.loads inside a web server
)

// Decode is json.loads of a request body: the encoding is detected, and NaN, Infinity and -Infinity are numbers.
func Decode(body []byte) (v Value, err error) {
	text, err := decodeText(body)
	if err != nil {
		return nil, err
	}
	d := &decoder{text: text}
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case *SyntaxError:
			v, err = nil, fault
		case Error:
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

// decoder walks over WTF-8 text by bytes; positions become characters when an error needs one.
type decoder struct {
	text string
	at   int
}

func (d *decoder) fail(message string, at int) {
	panic(&SyntaxError{message, utf8.RuneCountInString(d.text[:at])})
}

func (d *decoder) blanks() {
	for d.at < len(d.text) && strings.IndexByte(" \t\n\r", d.text[d.at]) >= 0 {
		d.at++
	}
}

func (d *decoder) peek() byte {
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) value(depth int) Value {
	if depth > maxDepth {
		panic(Error("maximum recursion depth exceeded"))
	}
	rest := d.text[d.at:]
	switch c := d.peek(); {
	case c == '"':
		d.at++
		return d.str()
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
	for _, constant := range [...]struct {
		word  string
		value Value
	}{{"null", nil}, {"true", true}, {"false", false}, {"NaN", math.NaN()}, {"Infinity", math.Inf(1)}, {"-Infinity", math.Inf(-1)}} {
		if strings.HasPrefix(rest, constant.word) {
			d.at += len(constant.word)
			return constant.value
		}
	}
	d.fail("Expecting value", d.at)
	return nil
}

func (d *decoder) object(depth int) *Object {
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

func (d *decoder) array(depth int) []Value {
	list := []Value{}
	d.blanks()
	if d.peek() == ']' {
		d.at++
		return list
	}
	for {
		list = append(list, d.value(depth+1))
		d.blanks()
		switch d.peek() {
		case ']':
			d.at++
			return list
		case ',':
			d.at++
			d.blanks()
		default:
			d.fail("Expecting ',' delimiter", d.at)
		}
	}
}

// numberLength measures -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?; 0 if there is no number.
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

func number(s string) Value {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // out of range gives an infinity, as in Python
		return f
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int{Small: n}
	}
	return ParseInt(s)
}

// ParseInt reads a decimal integer of any size, as int() does; too many digits end in an Error by panic.
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
