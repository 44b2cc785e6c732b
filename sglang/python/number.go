package python

import (
	"math/big"
	"strconv"
	"strings"
)

// maxDigits is sys.get_int_max_str_digits(): how many digits int() takes.
const maxDigits = 4300

// numberLength returns the length of the number that s begins with, of the form
// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?; 0 if there is none. Like json.loads it
// stops at the first character that does not belong to the number: of "01" it takes "0",
// and the caller finds the 1.
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

// number returns the value of a number: a float if it has a point or an exponent, even
// if it is whole, and otherwise an integer. It panics as parseInt does.
func number(s string) Value {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // infinity if it is out of range, as in Python
		return f
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int{Small: n}
	}
	return parseInt(s)
}

// parseInt reads a decimal integer of any size, as int() does. It panics with an Error
// if there are too many digits: CPython bounds them, since the time of the conversion
// grows with their square (CVE-2020-10735).
func parseInt(s string) Int {
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
