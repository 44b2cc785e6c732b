package pjrt

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodeOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		code Code
		ok   bool
		name string
	}{
		{nil, OK, false, "OK"},
		{errors.New("disk on fire"), Unknown, false, "UNKNOWN"},
		{errors.New("PJRT error (code=8): Out of memory"), ResourceExhausted, true, "RESOURCE_EXHAUSTED"},
		{fmt.Errorf("step: %w", errors.New("backend: PJRT error (code=13): PJRT error (code=8)")), Internal, true, "INTERNAL"},
		{fmt.Errorf("load: %w", &Error{Code: Unimplemented, Message: "no"}), Unimplemented, true, "UNIMPLEMENTED"},
		{errors.New("PJRT error (code=77): new"), Code(77), true, "CODE_77"},
	} {
		code, ok := CodeOf(test.err)
		if code != test.code || ok != test.ok || code.String() != test.name {
			t.Errorf("%v: %s (%d) %t", test.err, code, code, ok)
		}
	}
}
