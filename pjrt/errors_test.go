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

// TestLost: sticky errors are told from others, through this package and through
// go-xla, and only a plugin's count.
func TestLost(t *testing.T) {
	launch := "CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure"
	for text, c := range map[string]struct {
		err  error
		lost bool
	}{
		"ours":          {fmt.Errorf("program does not run: %w", &Error{Internal, "Failed to synchronize: " + launch}), true},
		"go-xla's":      {errors.New(`PJRT error (code=13): "INTERNAL: ` + launch + `"`), true},
		"a TPU's":       {&Error{Internal, "Core halted unexpectedly: INTERNAL: Accelerator device halted prematurely"}, true},
		"no memory":     {&Error{ResourceExhausted, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"}, false},
		"another fault": {&Error{Internal, "Failed to load in-memory CUBIN"}, false},
		"no plugin's":   {errors.New(launch), false},
		"none":          {nil, false},
	} {
		if got := Lost(c.err); got != c.lost {
			t.Errorf("%s: lost %t, want %t", text, got, c.lost)
		}
	}
}
