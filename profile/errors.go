package profile

import (
	"errors"
	"fmt"
)

var (
	// ErrRunning is returned by Start while a session records or writes its files.
	ErrRunning = errors.New("profiling is already in progress: stop it first, or wait until its " +
		"files are written")
	// ErrIdle is returned by Stop if there is no session to stop.
	ErrIdle = errors.New("profiling is not in progress: start it first")
	// ErrClosed is returned by Start after Close.
	ErrClosed = errors.New("profiler is closed: the server is shutting down")
)

// OptionError names the one of the Options that is invalid. It is the client's fault.
type OptionError struct {
	Option string // the field's name in JSON, e.g. "num_steps"
	Reason string
}

func (e *OptionError) Error() string { return e.Option + " " + e.Reason }

// DirFault is the reason why a folder cannot hold traces. The server chooses a status by
// it: the first two are the client's fault, the others are not.
type DirFault int

// The faults of folders.
const (
	DirInvalid   DirFault = iota // relative, a URL, or not a folder
	DirForbidden                 // no permission, or outside Config.Root
	DirFull                      // no space left, or over a quota
	DirBroken                    // any other failure of the file system
)

// DirError is the error of an output folder that cannot be used. Its text names the
// remedy. If Start returns it, the profiler is as it was before. Stop returns it if the
// folder filled up later, or was removed.
type DirError struct {
	Dir   string
	Fault DirFault
	Err   error
}

func (e *DirError) Error() string {
	switch e.Fault {
	case DirInvalid, DirForbidden:
		return fmt.Sprintf("output_dir %q cannot be used: %v; name an absolute path of a folder "+
			"this server may write", e.Dir, e.Err)
	case DirFull:
		return fmt.Sprintf("output_dir %q is full: %v; free some space or name another folder",
			e.Dir, e.Err)
	default:
		return fmt.Sprintf("output_dir %q cannot be written: %v; see whether its disk is healthy "+
			"or name another folder", e.Dir, e.Err)
	}
}

func (e *DirError) Unwrap() error { return e.Err }
