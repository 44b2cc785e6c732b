package pjrt

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "capi.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// library is a plugin's own API table, whose calls do not pass through interpose.c. Its
// methods copy what the plugin returns, so that no result depends on the plugin's
// memory.
type library struct {
	api *C.PJRT_Api
}

// openLibrary loads a plugin. It refuses another major version of the API; minor
// versions add functions, which missing and capi.c look for one by one.
func openLibrary(path string) (library, error) {
	lib, err := loadLibrary(path)
	if err != nil {
		return library{}, fmt.Errorf("plugin %s cannot be loaded: %w", path, err)
	}
	if major, minor := lib.version(); major != C.PJRT_API_MAJOR {
		return library{}, fmt.Errorf("plugin %s has PJRT API %d.%d and this program needs %d.x: use a "+
			"plugin of that major version", path, major, minor, C.PJRT_API_MAJOR)
	}
	return lib, nil
}

// loadLibrary maps the shared object into the process for good: plugins do not survive
// being unloaded. Loading a file again returns the same table.
func loadLibrary(path string) (library, error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var why *C.char
	api := C.scored_dlopen(cpath, &why)
	if api == nil {
		defer C.free(unsafe.Pointer(why))
		return library{}, errors.New(C.GoString(why))
	}
	return library{api}, nil
}

// err turns a plugin's error into an *Error and frees it. It returns nil for nil.
func (l library) err(e *C.PJRT_Error) error {
	if e == nil {
		return nil
	}
	var code C.int
	text := C.scored_error_text(l.api, e, &code)
	defer C.free(unsafe.Pointer(text))
	return &Error{Code: Code(code), Message: C.GoString(text)}
}

// version is that of the PJRT API that the plugin was built with.
func (l library) version() (major, minor int) {
	v := l.api.pjrt_api_version
	return int(v.major_version), int(v.minor_version)
}

// missing returns the name of a function that go-xla or this package calls and the
// plugin lacks; "" if it has them all.
func (l library) missing() string {
	name := C.scored_missing_function(l.api)
	if name == nil {
		return ""
	}
	return C.GoString(name)
}

// platform returns the name of the client's platform in lower case, such as "cpu", and
// its version, which is a text of any form.
func (l library) platform(client *C.PJRT_Client) (name, version string, err error) {
	var n, v *C.char
	var nameSize, versionSize C.size_t
	if err := l.err(C.scored_client_platform(l.api, client, &n, &nameSize, &v,
		&versionSize)); err != nil {
		return "", "", err
	}
	return strings.ToLower(goString(n, nameSize)), goString(v, versionSize), nil
}

// deviceKinds returns the kind of every device that this process can use, in order.
func (l library) deviceKinds(client *C.PJRT_Client) ([]string, error) {
	var list **C.PJRT_Device
	var count C.size_t
	if err := l.err(C.scored_client_devices(l.api, client, &list, &count)); err != nil {
		return nil, err
	}
	var kinds []string
	for _, device := range unsafe.Slice(list, int(count)) {
		var kind *C.char
		var size C.size_t
		if err := l.err(C.scored_device_kind(l.api, device, &kind, &size)); err != nil {
			return nil, err
		}
		kinds = append(kinds, goString(kind, size))
	}
	return kinds, nil
}

// load makes an executable of serialized bytes, which the caller must destroy. It fails
// for bytes that another plugin wrote.
func (l library) load(client *C.PJRT_Client, serialized []byte) (*C.PJRT_LoadedExecutable, error) {
	if len(serialized) == 0 {
		return nil, errors.New("serialized executable is empty")
	}
	var loaded *C.PJRT_LoadedExecutable
	data := unsafe.Pointer(unsafe.SliceData(serialized))
	if err := l.err(C.scored_load(l.api, client, data, C.size_t(len(serialized)),
		&loaded)); err != nil {
		return nil, err
	}
	if loaded == nil {
		return nil, errors.New("plugin cannot load serialized executables")
	}
	return loaded, nil
}

// serialize returns a copy of the executable's serialized bytes.
func (l library) serialize(executable *C.PJRT_Executable) ([]byte, error) {
	var s C.scored_serialized
	if err := l.err(C.scored_serialize(l.api, executable, &s)); err != nil {
		return nil, err
	}
	defer C.scored_serialized_free(&s)
	if s.size == 0 {
		return nil, errors.New("plugin cannot serialize executables")
	}
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(s.bytes)), int(s.size))...), nil
}

// describe returns an executable's name, its number of outputs on each device, and its
// cost as far as the plugin has figures.
func (l library) describe(executable *C.PJRT_Executable) (name string, outputs int, cost Cost,
	err error) {
	var text *C.char
	var size, count C.size_t
	if err := l.err(C.scored_executable_name(l.api, executable, &text, &size)); err != nil {
		return "", 0, Cost{}, err
	}
	if err := l.err(C.scored_executable_outputs(l.api, executable, &count)); err != nil {
		return "", 0, Cost{}, err
	}
	return goString(text, size), int(count), l.cost(executable), nil
}

// cost returns an executable's cost. A function that the plugin lacks or that fails
// leaves its fields zero: no program needs them to run.
func (l library) cost(executable *C.PJRT_Executable) Cost {
	var cost Cost
	var flops, accessed C.double
	if l.err(C.scored_executable_cost(l.api, executable, &flops, &accessed)) == nil {
		cost.Flops, cost.BytesAccessed = float64(flops), float64(accessed)
	}
	var m C.PJRT_Executable_GetCompiledMemoryStats_Args
	if l.err(C.scored_executable_memory(l.api, executable, &m)) == nil {
		cost.CodeBytes = int64(m.generated_code_size_in_bytes)
		cost.ArgumentBytes = int64(m.argument_size_in_bytes)
		cost.OutputBytes = int64(m.output_size_in_bytes)
		cost.AliasBytes = int64(m.alias_size_in_bytes)
		cost.TempBytes = int64(m.temp_size_in_bytes)
		cost.PeakBytes = int64(m.peak_memory_in_bytes)
	}
	return cost
}

// goString copies a string of C that has a size and no NUL at its end.
func goString(text *C.char, size C.size_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(text)), int(size)))
}
