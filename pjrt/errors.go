package pjrt

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Code is the kind of a PJRT error. The numbers are those of absl::StatusCode.
type Code int

// The codes, as absl/status/status.h names them.
const (
	OK                 Code = 0
	Cancelled          Code = 1
	Unknown            Code = 2
	InvalidArgument    Code = 3
	DeadlineExceeded   Code = 4
	NotFound           Code = 5
	AlreadyExists      Code = 6
	PermissionDenied   Code = 7
	ResourceExhausted  Code = 8 // as a rule, the device's memory
	FailedPrecondition Code = 9
	Aborted            Code = 10
	OutOfRange         Code = 11
	Unimplemented      Code = 12
	Internal           Code = 13
	Unavailable        Code = 14
	DataLoss           Code = 15
	Unauthenticated    Code = 16
)

// String is the code's name in absl, such as "RESOURCE_EXHAUSTED".
func (c Code) String() string {
	names := [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
		"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if c < 0 || int(c) >= len(names) {
		return fmt.Sprintf("CODE_%d", int(c))
	}
	return names[c]
}

// Error is an error that a plugin returned to this package. Errors that a plugin returns
// to go-xla have no type of their own: see CodeOf.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// goXLAError matches the text of a plugin's error in go-xla, which keeps the code nowhere
// else.
var goXLAError = regexp.MustCompile(`PJRT error \(code=(\d+)\)`)

// CodeOf returns the PJRT code of an error that came from a plugin, through this package
// or through GoMLX. It returns false for an error that came from no plugin.
func CodeOf(err error) (Code, bool) {
	if err == nil {
		return OK, false
	}
	var own *Error
	if errors.As(err, &own) {
		return own.Code, true
	}
	match := goXLAError.FindStringSubmatch(err.Error())
	if match == nil {
		return Unknown, false
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return Unknown, false
	}
	return Code(n), true
}

// lostDevices are texts in the errors after which a process cannot use its device any
// more. Of most of CUDA's, its documentation says that "the process must be terminated
// and relaunched" (CUresult, in the driver API); the others mean a device or a context
// that is gone. libtpu's means a core that has halted.
func lostDevices() []string {
	return []string{
		"CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_LAUNCH_TIMEOUT", "CUDA_ERROR_ASSERT",
		"CUDA_ERROR_HARDWARE_STACK_ERROR", "CUDA_ERROR_ILLEGAL_INSTRUCTION",
		"CUDA_ERROR_MISALIGNED_ADDRESS", "CUDA_ERROR_INVALID_ADDRESS_SPACE", "CUDA_ERROR_INVALID_PC",
		"CUDA_ERROR_LAUNCH_FAILED",
		"CUDA_ERROR_EXTERNAL_DEVICE", "CUDA_ERROR_ECC_UNCORRECTABLE", "CUDA_ERROR_NVLINK_UNCORRECTABLE",
		"CUDA_ERROR_CONTEXT_IS_DESTROYED", "CUDA_ERROR_MPS_CLIENT_TERMINATED", "CUDA_ERROR_DEINITIALIZED",
		"CUDA_ERROR_NO_DEVICE", "Core halted unexpectedly",
	}
}

// Lost reports whether an error of a plugin means that its device will never work again
// in this process. It knows a list of texts, so a lost device may have others: then the
// next executions fail as well.
func Lost(err error) bool {
	if _, ok := CodeOf(err); !ok {
		return false
	}
	text := err.Error()
	return slices.ContainsFunc(lostDevices(), func(lost string) bool {
		return strings.Contains(text, lost)
	})
}
