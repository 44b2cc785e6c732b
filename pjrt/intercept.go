package pjrt

/*
#include "capi.h"
#include "interpose.h"
*/
import "C"

import (
	"fmt"
	"sync"
	"time"
	"unsafe"

	goxla "github.com/gomlx/go-xla/pjrt"
)

// executable identifies a loaded executable of a plugin.
type executable = *C.PJRT_LoadedExecutable

// slots is the one piece of process-wide state here. A PJRT function gets no context
// that could lead to a Plugin, so each plugin's table has functions of its own, which
// know the number of a slot. go-xla keeps every table that it was given for the life of
// the process, so a library keeps its slot, and a reopened file finds its table again.
var slots struct {
	sync.Mutex
	library [C.SCORED_SLOTS]library // by slot; zero: never used
	plugin  [C.SCORED_SLOTS]*Plugin // by slot; nil: no plugin is open
}

// slot is the number of a table whose functions call this package.
type slot C.int

// openSlot loads the plugin's library and gives it a slot, whose table calls p from now
// until release. It is the slot that the library had before, or else a free one.
func openSlot(path string, p *Plugin, async bool) (slot, library, error) {
	lib, err := openLibrary(path)
	if err != nil {
		return 0, library{}, err
	}
	if name := lib.missing(); name != "" {
		return 0, library{}, fmt.Errorf("plugin %s lacks %s: use a newer plugin", path, name)
	}

	slots.Lock()
	defer slots.Unlock()
	s, found := slotFor(lib)
	if !found {
		return 0, library{}, fmt.Errorf("plugin %s is one too many: a process can open %d plugin files",
			path, len(slots.library))
	}
	if slots.plugin[s] != nil {
		return 0, library{}, fmt.Errorf("plugin %s is already open in this process: close it first",
			path)
	}
	if slots.library[s].api == nil {
		table := C.scored_interpose(C.int(s), lib.api)
		if table == nil {
			return 0, library{}, fmt.Errorf("plugin %s: out of memory", path)
		}
		if err := goxla.RegisterPreloadedPlugin(s.name(),
			uintptr(unsafe.Pointer(table))); err != nil {
			return 0, library{}, fmt.Errorf("plugin %s cannot be initialized: %w", path, err)
		}
		slots.library[s] = lib
	}
	slots.plugin[s] = p
	C.scored_set_async(C.int(s), C.bool(async))
	return s, lib, nil
}

// slotFor returns the slot of the library, or the lowest one that no library has. slots
// must be locked.
func slotFor(lib library) (s slot, found bool) {
	for i, taken := range slots.library {
		if taken == lib {
			return slot(i), true
		}
		if taken.api == nil && !found {
			s, found = slot(i), true
		}
	}
	return s, found
}

// name is the plugin's name for go-xla, which takes an absolute path as it is and would
// search the system's folders for any other name.
func (s slot) name() string { return fmt.Sprintf("/scored/plugin/%d", int(s)) }

// client is the PJRT client that was created last through the slot's table, nil after
// it is destroyed.
func (s slot) client() *C.PJRT_Client { return C.scored_client(C.int(s)) }

// buffers is the number of device buffers that are alive.
func (s slot) buffers() int64 { return int64(C.scored_buffers(C.int(s))) }

// release lets the slot's library be opened again. The client must be destroyed: what
// it left alive is not counted any more.
func (s slot) release() {
	slots.Lock()
	defer slots.Unlock()
	C.scored_forget_buffers(C.int(s))
	slots.plugin[s] = nil
}

// pluginAt is the open plugin of a slot, nil once it is closed.
func pluginAt(s C.int) *Plugin {
	slots.Lock()
	defer slots.Unlock()
	return slots.plugin[s]
}

// scoredCompile stands for PJRT_Client_Compile.
//
//export scoredCompile
func scoredCompile(slot C.int, args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	return pluginAt(slot).compiler.compile(args)
}

// scoredExecuted is called after each execution and returns how many outputs it has on
// each device.
//
//export scoredExecuted
func scoredExecuted(slot C.int, id *C.PJRT_LoadedExecutable, ns C.int64_t, failed C.int) C.int64_t {
	p := pluginAt(slot)
	if p == nil {
		return 0
	}
	return C.int64_t(p.programs.executed(id, time.Duration(ns), failed != 0))
}

// scoredForget returns 1 if the plugin may destroy the executable. It returns 0 for one
// that outlived its client: nothing may touch that any more.
//
//export scoredForget
func scoredForget(slot C.int, id *C.PJRT_LoadedExecutable) C.int {
	if p := pluginAt(slot); p != nil && p.programs.remove(id) {
		return 1
	}
	return 0
}
