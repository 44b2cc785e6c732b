package hlo

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of these tests are written field by field, as xla/service/hlo.proto and
// xla/xla_data.proto number them.
func number(to []byte, field protowire.Number, n int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, field, protowire.VarintType), uint64(n))
}

func submessage(to []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), m)
}

// float32s is an array of so many numbers in a memory space.
func float32s(count, space int64) []byte {
	s := number(nil, 2, 11)
	s = submessage(s, 3, protowire.AppendVarint(nil, uint64(count))) // packed
	return submessage(s, 5, number(nil, 8, space))
}

// parameter is one that is not the first.
func parameter(id int64, shape []byte, n int64) []byte {
	return number(op(id, "parameter", shape), 9, n)
}

func tuple(parts ...[]byte) []byte {
	s := number(nil, 2, 13)
	for _, part := range parts {
		s = submessage(s, 4, part)
	}
	return s
}

// op is an instruction; those it calls follow its operands after a negative number.
func op(id int64, opcode string, shape []byte, references ...int64) []byte {
	i := number(submessage(submessage(nil, 2, []byte(opcode)), 3, shape), 35, id)
	field := protowire.Number(36)
	for _, r := range references {
		if r < 0 {
			field = 38
			continue
		}
		i = number(i, field, r)
	}
	return i
}

// estimated is an instruction with libtpu's estimate of its cycles.
func estimated(instruction []byte, cycles string) []byte {
	return submessage(instruction, 43, []byte(`{"flag_configs":[],"window_config":{"kernel_window_bounds":[],"estimated_cycles":"`+cycles+`"}}`))
}

// rooted is a computation whose result is the instruction of that id.
func rooted(c []byte, id int64) []byte { return number(c, 6, id) }

func encoded(entry []byte, others ...[]byte) []byte {
	m := number(nil, 6, 1)
	m = submessage(m, 3, number(entry, 5, 1))
	for i, c := range others {
		m = submessage(m, 3, number(c, 5, int64(i)+2))
	}
	return submessage(nil, 1, m)
}

func computation(instructions ...[]byte) (c []byte) {
	for _, i := range instructions {
		c = submessage(c, 2, i)
	}
	return c
}

func TestTraffic(t *testing.T) {
	const fast = 1
	update := rooted(computation(
		op(1, "parameter", float32s(1000, 0)), op(2, "bitcast", float32s(1000, 0), 1), parameter(3, float32s(10, fast), 1), op(4, "constant", float32s(1, fast)),
		op(5, "dynamic-update-slice", float32s(1000, 0), 2, 3, 4), op(6, "bitcast", float32s(1000, 0), 5)), 6)
	both := rooted(computation(
		op(1, "parameter", float32s(1000, 0)), parameter(2, float32s(10, 0), 1), op(3, "dynamic-update-slice", float32s(1000, 0), 1, 2, 2),
		op(4, "negate", float32s(20, 0), 2), op(5, "tuple", tuple(float32s(1000, 0), float32s(20, 0)), 3, 4)), 5)
	gather := computation(op(1, "parameter", float32s(1000, 0)), op(2, "gather", float32s(10, 0), 1))
	for name, c := range map[string]struct {
		module []byte
		want   int64
	}{
		"reads and writes main memory": {encoded(computation(
			op(1, "parameter", float32s(100, 0)), op(2, "add", float32s(100, 0), 1, 1))), 1200},
		"fast memory is not counted": {encoded(computation(
			op(1, "parameter", float32s(100, 0)), op(2, "copy", float32s(100, fast), 1),
			op(3, "negate", float32s(100, fast), 2), op(4, "tuple", tuple(float32s(100, fast)), 3))), 400},
		"a copy between memories counts once": {encoded(computation(
			op(1, "parameter", float32s(100, 0)),
			op(2, "copy-start", tuple(float32s(100, fast), float32s(100, 0), float32s(1, fast)), 1),
			op(3, "copy-done", float32s(100, fast), 2))), 400},
		"a gather reads what it yields": {encoded(computation(
			op(1, "parameter", float32s(1000, 0)), op(2, "fusion", float32s(10, 0), 1, -1, 2)), gather), 80},
		"asynchronous, too": {encoded(computation(
			op(1, "parameter", float32s(1000, 0)),
			op(2, "async-start", tuple(tuple(float32s(1000, 0)), float32s(10, fast), float32s(1, fast)), 1, -1, 2),
			op(3, "async-done", float32s(10, fast), 2)), gather), 40},
		"of what is updated in place, the update is written": {encoded(computation(
			op(1, "parameter", float32s(1000, 0)), op(2, "parameter", float32s(10, fast)),
			op(3, "dynamic-update-slice", float32s(1000, 0), 1, 2, 2))), 40},
		"of what is scattered into in place, the updates are": {encoded(computation(
			op(1, "parameter", float32s(1000, 0)), op(2, "parameter", float32s(1, fast)), op(3, "parameter", float32s(10, fast)),
			op(4, "scatter", float32s(1000, 0), 1, 2, 3))), 40},
		"in a fusion, too": {encoded(computation(
			op(1, "parameter", float32s(1000, 0)), op(2, "parameter", float32s(10, fast)),
			op(3, "fusion", float32s(1000, 0), 1, 2, -1, 2)), update), 40},
		"what a fusion only passes on is read": {encoded(computation(
			op(1, "parameter", float32s(100, 0)), op(2, "fusion", float32s(100, fast), 1, -1, 2)),
			rooted(computation(op(1, "parameter", float32s(100, 0)), op(2, "bitcast", float32s(100, 0), 1)), 2)), 400},
		"and beside another result": {encoded(computation(
			op(1, "parameter", float32s(1000, 0)), op(2, "parameter", float32s(10, 0)),
			op(3, "fusion", tuple(float32s(1000, 0), float32s(20, 0)), 1, 2, -1, 2)), both), 40 + 40 + 80},
		"a called computation counts": {encoded(computation(
			op(1, "parameter", float32s(100, 0)), op(2, "call", float32s(100, 0), 1, -1, 2)),
			computation(op(1, "parameter", float32s(100, 0)), op(2, "negate", float32s(100, 0), 1))), 800},
	} {
		m, err := parse(c.module)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := m.traffic(m.entry); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}

// TestCycles: the estimates of the operations that run add up; those within a fusion
// are in that of the fusion.
func TestCycles(t *testing.T) {
	m, err := parse(encoded(
		computation(op(1, "parameter", float32s(100, 0)), estimated(op(2, "fusion", float32s(100, 0), 1, -1, 2), "1000"),
			estimated(op(3, "while", float32s(100, 0), 2, -1, 3), "10"), submessage(op(4, "copy", float32s(100, 0), 3), 43, []byte("not JSON"))),
		computation(estimated(op(1, "negate", float32s(100, 0)), "500")),
		computation(estimated(op(1, "negate", float32s(100, 0)), "7"))))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.cycles(m.entry); got != 1017 {
		t.Errorf("%d cycles, want 1017", got)
	}
}

func TestParseHLORefuses(t *testing.T) {
	whole := encoded(computation(op(1, "parameter", float32s(100, 0))))
	if _, err := parse(whole); err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) - 1 {
		if m, err := parse(whole[:n]); err == nil {
			m.traffic(m.entry) // a cut between fields leaves a message; it must not panic
			t.Errorf("the first %d of %d bytes are taken", n, len(whole))
		}
	}
}
