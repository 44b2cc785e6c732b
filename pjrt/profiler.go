package pjrt

/*
#include <stdlib.h>
#include "profiler.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Profiler traces a plugin's devices with the plugin's own tracer. libtpu and the CUDA
// plugin have one, which records every operation on the device with its time and cost.
// Its methods may be called from any goroutine. Starting or stopping it while a program
// runs can crash the device, so the caller must do so between executions.
type Profiler struct {
	api *C.scored_profiler_api

	mu      sync.Mutex         // held while the plugin's tracer is called
	session *C.scored_profiler // nil: idle; p.mu must be held
}

// profiler finds the plugin's tracer. The error says what the plugin lacks.
func (l library) profiler() (*Profiler, error) {
	var why *C.char
	api := C.scored_profiler_find(l.api, &why)
	if api == nil {
		return nil, errors.New(C.GoString(why))
	}
	return &Profiler{api: api}, nil
}

// Start begins a trace, which Stop ends. The levels are those of XLA's ProfileOptions:
// hostLevel from 0, nothing, to 3, every event of the host; deviceLevel 0 for nothing, 1
// for all operations, and higher ones that the plugin defines. A device has one tracer,
// so an error may mean that another process uses it.
func (p *Profiler) Start(hostLevel, deviceLevel int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session != nil {
		return errors.New("device is being traced already: stop that trace first")
	}
	options := profileOptions(hostLevel, deviceLevel)
	var session *C.scored_profiler
	if err := p.err(C.scored_profiler_create(p.api, unsafe.Pointer(unsafe.SliceData(options)),
		C.size_t(len(options)), &session)); err != nil {
		return fmt.Errorf("device tracer cannot be made: %w", err)
	}
	if session == nil {
		return errors.New("device tracer cannot be made: the plugin returned nothing")
	}
	if err := p.err(C.scored_profiler_start(p.api, session)); err != nil {
		return errors.Join(fmt.Errorf("device tracer does not start: %w", err), p.destroy(session))
	}
	p.session = session
	return nil
}

// Stop ends the trace and returns it, a serialized XSpace. Even after an error the tracer
// is idle and its memory in the plugin is freed. If it returns both a trace and an error,
// the trace is complete, and the error is of what came after it.
func (p *Profiler) Stop() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	session := p.session
	if session == nil {
		return nil, errors.New("device is not being traced: start a trace first")
	}
	p.session = nil
	var trace []byte
	err := p.err(C.scored_profiler_stop(p.api, session))
	if err != nil {
		err = fmt.Errorf("device tracer does not stop: %w", err)
	} else if trace, err = p.collect(session); err != nil {
		err = fmt.Errorf("device trace cannot be had: %w", err)
	}
	return trace, errors.Join(err, p.destroy(session))
}

// abandon ends a trace, if there is one, and drops it.
func (p *Profiler) abandon() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	session := p.session
	if session == nil {
		return nil
	}
	p.session = nil
	return errors.Join(p.err(C.scored_profiler_stop(p.api, session)), p.destroy(session))
}

// maxTrace is protobuf's own bound in bytes: no reader could decode more.
const maxTrace = math.MaxInt32

// collect copies a stopped session's trace out of the plugin. p.mu must be held.
func (p *Profiler) collect(session *C.scored_profiler) ([]byte, error) {
	var trace C.scored_trace
	defer func() { C.free(trace.owned) }()
	if err := p.err(C.scored_profiler_collect(p.api, session, maxTrace, &trace)); err != nil {
		return nil, err
	}
	switch {
	case trace.size > maxTrace:
		return nil, fmt.Errorf("it has %d bytes and protobuf ends at %d: trace fewer steps",
			uint64(trace.size), maxTrace)
	case trace.size == 0:
		return []byte{}, nil
	case trace.bytes == nil:
		return nil, fmt.Errorf("there is no memory for its %d bytes: trace fewer steps",
			uint64(trace.size))
	}
	return message(append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(trace.bytes)),
		int(trace.size))...)), nil
}

// message cuts off the NUL that OpenXLA's plugins put behind the message and count with
// it. No field begins with that byte, so a NUL where a field should begin is not part of
// the message; a NUL at the end of a field is.
func message(data []byte) []byte {
	for rest := data; len(rest) > 0; {
		if len(rest) == 1 && rest[0] == 0 {
			return data[:len(data)-1]
		}
		_, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			break // not a message at all: its reader will return an error
		}
		rest = rest[n:]
	}
	return data
}

// Numbers of the fields of tensorflow.ProfileOptions, in
// tsl/profiler/protobuf/profiler_options.proto.
const (
	optionHostLevel   protowire.Number = 2
	optionDeviceLevel protowire.Number = 3
	optionVersion     protowire.Number = 5 // 1: levels count as they are given, 0 too
	// 1 puts the programs into the trace, which viewers need for their tables of ops.
	optionHLO protowire.Number = 7
)

// profileOptions encodes a ProfileOptions with these levels.
func profileOptions(hostLevel, deviceLevel int) []byte {
	var b []byte
	for _, option := range []struct {
		number protowire.Number
		value  uint64
	}{
		{optionHostLevel, uint64(hostLevel)}, {optionDeviceLevel, uint64(deviceLevel)},
		{optionVersion, 1}, {optionHLO, 1},
	} {
		b = protowire.AppendVarint(protowire.AppendTag(b, option.number, protowire.VarintType),
			option.value)
	}
	return b
}

// destroy frees a session, which must not be used again.
func (p *Profiler) destroy(session *C.scored_profiler) error {
	if err := p.err(C.scored_profiler_destroy(p.api, session)); err != nil {
		return fmt.Errorf("device tracer is not freed: %w", err)
	}
	return nil
}

// err turns an error of the plugin's profiler into an *Error and frees it. It returns nil
// for nil.
func (p *Profiler) err(e *C.scored_profiler_error) error {
	if e == nil {
		return nil
	}
	var code C.int
	text := C.scored_profiler_error_text(p.api, e, &code)
	defer C.free(unsafe.Pointer(text))
	return &Error{Code: Code(code), Message: C.GoString(text)}
}
