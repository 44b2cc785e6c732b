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

// slots is the one piece of process-wide state here: a PJRT function is called with
// nothing that could lead to a Plugin, only its table tells, and go-xla keeps every
// table it has been given for the life of the process.
var slots struct {
	sync.Mutex
	library [C.SCORED_SLOTS]library // by slot; zero: unused
	plugin  [C.SCORED_SLOTS]*Plugin // nil: none is open
}

func slotName(slot int) string {
	// go-xla takes an absolute path for the plugin's name as it is, and would search the
	// system's folders for others.
	return fmt.Sprintf("/scored/plugin/%d", slot)
}

// attach loads the library, and gives the plugin the slot of its table.
func (p *Plugin) attach(path string) error {
	lib, err := openLibrary(path)
	if err != nil {
		return err
	}
	if name := lib.missing(); name != "" {
		return fmt.Errorf("plugin %s lacks %s: use a newer plugin", path, name)
	}

	slots.Lock()
	defer slots.Unlock()
	slot := -1
	for i := len(slots.library) - 1; i >= 0; i-- {
		if slots.library[i] == lib || slots.library[i].api == nil &&
			(slot < 0 || slots.library[slot].api == nil) {
			slot = i
		}
	}
	if slot < 0 {
		return fmt.Errorf("plugin %s is one too many: a process can open %d plugin files", path,
			len(slots.library))
	}
	if slots.plugin[slot] != nil {
		return fmt.Errorf("plugin %s is already open in this process: close it first", path)
	}
	if slots.library[slot].api == nil {
		table := C.scored_interpose(C.int(slot), lib.api)
		if table == nil {
			return fmt.Errorf("plugin %s: out of memory", path)
		}
		if err := goxla.RegisterPreloadedPlugin(slotName(slot),
			uintptr(unsafe.Pointer(table))); err != nil {
			return fmt.Errorf("plugin %s cannot be initialized: %w", path, err)
		}
		slots.library[slot] = lib
	}
	slots.plugin[slot] = p
	p.slot, p.library = slot, lib
	C.scored_set_async(C.int(slot), C.bool(p.options.Async))
	return nil
}

// detach frees the slot for the next Open of the same file.
func (p *Plugin) detach() {
	slots.Lock()
	defer slots.Unlock()
	C.scored_forget_buffers(C.int(p.slot))
	slots.plugin[p.slot] = nil
}

// pluginAt is the open plugin of a slot, nil once it is closed.
func pluginAt(slot C.int) *Plugin {
	slots.Lock()
	defer slots.Unlock()
	return slots.plugin[slot]
}

func (p *Plugin) client() *C.PJRT_Client { return C.scored_client(C.int(p.slot)) }

func (p *Plugin) buffers() int64 { return int64(C.scored_buffers(C.int(p.slot))) }

// scoredCompile stands for PJRT_Client_Compile.
//
//export scoredCompile
func scoredCompile(slot C.int, args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	return pluginAt(slot).compile(args)
}

// scoredExecuted is told of every execution and returns the number of its outputs per
// device.
//
//export scoredExecuted
func scoredExecuted(slot C.int, id *C.PJRT_LoadedExecutable, ns C.int64_t, failed C.int) C.int64_t {
	p := pluginAt(slot)
	if p == nil {
		return 0
	}
	return C.int64_t(p.executed(id, time.Duration(ns), failed != 0))
}

// scoredForget says whether the plugin may destroy the executable: not one that
// outlived its client.
//
//export scoredForget
func scoredForget(slot C.int, id *C.PJRT_LoadedExecutable) C.int {
	p := pluginAt(slot)
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.executables[id]; !ok {
		return 0
	}
	delete(p.executables, id)
	return 1
}
