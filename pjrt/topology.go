package pjrt

/*
#include <stdlib.h>
#include "capi.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"scored/pjrt/hlo"
	"scored/pjrt/ptx"
	"scored/pjrt/wheel"
)

// Topology compiles programs for devices that this machine does not have. One goroutine
// at a time may use it.
type Topology struct {
	library library
	handle  *C.PJRT_TopologyDescription
	target  target
	cache   *cache // nil: none
	kernels kernelUses
}

// Compiled is a program that was compiled without its device.
type Compiled struct {
	Name       string // the module's
	Key        string // of its entry in the compile cache, for a host with the device
	Serialized []byte // the executable, for that plugin file and device alone
	Cost       Cost
	// Traffic is the bytes moved to and from the device's main memory by one execution; 0
	// if the plugin does not show the optimized program.
	Traffic float64
	// Cycles is the compiler's estimate of the time, without gathers; 0 if it has none.
	Cycles  float64
	Kernels hlo.Kernels // zero if the plugin does not show the optimized program
	// Uses is what the kernels that OpenCard was given use, by name; nil if the program
	// has none of them, or no assembler is installed beside the plugin.
	Uses map[string]ptx.Use
	Took time.Duration // to compile
}

// topologyName matches names such as "v6e:2x2": the generation, and the chips along two
// or three axes.
var topologyName = regexp.MustCompile(`^(v\w+):(\d+)x(\d+)(?:x(\d+))?$`)

// OpenTopology loads the TPU plugin to compile for a topology such as "v6e:1x1", all of
// whose chips belong to one host. Executables also go into the folder cacheDir, if it is
// not "". The caller must Close the topology.
//
// libtpu reads from environment variables alone that it must not look for a TPU. They
// are set for the whole process, unless they are set already, so a process that serves
// must not call this.
func OpenTopology(path, name, cacheDir string) (*Topology, error) {
	parts := topologyName.FindStringSubmatch(name)
	if parts == nil {
		return nil, fmt.Errorf("topology %q is malformed: give one such as v6e:1x1", name)
	}
	bounds, chips := [3]C.int64_t{1, 1, 1}, 1
	for i, axis := range parts[2:] {
		if axis == "" {
			continue
		}
		n, err := strconv.Atoi(axis)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("topology %q is malformed: give one such as v6e:1x1", name)
		}
		bounds[i] = C.int64_t(n)
		chips *= n
	}
	if err := wheel.Check(path); err != nil {
		return nil, err
	}
	if err := pretendTPU(fmt.Sprintf("%s-%d", parts[1], chips)); err != nil {
		return nil, err
	}
	return openTopology(path, name, cacheDir, func(t *Topology) *C.PJRT_Error {
		cname := C.CString(name)
		defer C.free(unsafe.Pointer(cname))
		return C.scored_topology_of_chips(t.library.api, cname, C.size_t(len(name)), &bounds[0],
			&t.handle)
	})
}

// OpenCard loads the CUDA plugin to compile for one GPU. XLA tunes matrix products on
// the card itself, so these executables show what a program needs, and are not for
// serving. Compiled.Uses tells of the kernels of these names, which a program has all of
// or none. The caller must Close the topology.
func OpenCard(path string, card Card, kernels ...string) (*Topology, error) {
	return openTopology(path, card.Device, "", func(t *Topology) *C.PJRT_Error {
		t.kernels = newKernelUses(path, kernels)
		text := C.CString(card.config)
		defer C.free(unsafe.Pointer(text))
		return C.scored_topology_of_card(t.library.api, text, C.size_t(len(card.config)), &t.handle)
	})
}

// openTopology loads the plugin and creates the topology with create, which sets
// t.handle. name is for errors.
func openTopology(path, name, cacheDir string,
	create func(t *Topology) *C.PJRT_Error) (*Topology, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := wheel.Check(path); err != nil {
		return nil, err
	}
	t := &Topology{}
	if t.library, err = openLibrary(path); err != nil {
		return nil, err
	}
	if lacks := C.scored_missing_topology_function(t.library.api); lacks != nil {
		return nil, fmt.Errorf("plugin %s lacks %s: give that of the device", path, C.GoString(lacks))
	}
	err = t.library.err(C.scored_plugin_initialize(t.library.api))
	if err == nil {
		err = t.library.err(create(t))
	}
	if err != nil {
		return nil, fmt.Errorf("topology %s: %w", name, err)
	}
	if err := t.prepare(path, cacheDir); err != nil {
		t.Close()
		return nil, fmt.Errorf("topology %s: %w", name, err)
	}
	return t, nil
}

// pretendTPU sets what libtpu would otherwise ask the machine's metadata server for, and
// lets it load beside a process that uses the TPU.
func pretendTPU(accelerator string) error {
	for _, variable := range [][2]string{
		{"TPU_SKIP_MDS_QUERY", "1"}, {"TPU_ACCELERATOR_TYPE", accelerator},
		{"TPU_WORKER_ID", "0"}, {"TPU_WORKER_HOSTNAMES", "localhost"},
		{"ALLOW_MULTIPLE_LIBTPU_LOAD", "1"},
	} {
		if _, set := os.LookupEnv(variable[0]); set {
			continue
		}
		if err := os.Setenv(variable[0], variable[1]); err != nil {
			return err
		}
	}
	return nil
}

// prepare opens the cache and fills t.target: the keys must be those that a Plugin on a
// host with the devices computes.
func (t *Topology) prepare(path, cacheDir string) (err error) {
	if cacheDir != "" {
		if t.cache, err = newCache(cacheDir, mostCacheBytes); err != nil {
			return err
		}
	}
	if t.target.plugin, err = fileDigest(path, cacheDir); err != nil {
		return err
	}
	var platform *C.char
	var size C.size_t
	if err := t.library.err(C.scored_topology_platform(t.library.api, t.handle, &platform,
		&size)); err != nil {
		return err
	}
	t.target.platform = strings.ToLower(goString(platform, size))
	var list **C.PJRT_DeviceDescription
	var count C.size_t
	if err := t.library.err(C.scored_topology_devices(t.library.api, t.handle, &list,
		&count)); err != nil {
		return err
	}
	for _, description := range unsafe.Slice(list, int(count)) {
		var kind *C.char
		var size C.size_t
		if err := t.library.err(C.scored_description_kind(t.library.api, description, &kind,
			&size)); err != nil {
			return err
		}
		t.target.devices = append(t.target.devices, goString(kind, size))
	}
	return nil
}

// Compile compiles a program in the form that Options.Capture gets. An error of the
// cache is returned together with the result, which can be used.
func (t *Topology) Compile(program, options []byte) (c Compiled, err error) {
	if len(program) == 0 {
		return Compiled{}, errors.New("program is empty")
	}
	if !t.kernels.in(program) {
		return t.compile(program, options)
	}
	uses, err := t.kernels.of(options, func(withFolder []byte) (err error) {
		c, err = t.compile(program, withFolder)
		return err
	})
	c.Uses, c.Key = uses, t.target.key("mlir", program, options).String()
	return c, err
}

// compile is Compile without Uses.
func (t *Topology) compile(program, options []byte) (Compiled, error) {
	start := time.Now()
	var executable *C.PJRT_Executable
	err := t.library.err(C.scored_topology_compile(t.library.api, t.handle,
		unsafe.Pointer(unsafe.SliceData(program)), C.size_t(len(program)),
		unsafe.Pointer(unsafe.SliceData(options)), C.size_t(len(options)), &executable))
	if err != nil {
		return Compiled{}, fmt.Errorf("program does not compile for the topology: %w", err)
	}
	defer C.scored_executable_destroy(t.library.api, executable)
	c := Compiled{Took: time.Since(start)}
	if c.Name, _, c.Cost, err = t.library.describe(executable); err != nil {
		return Compiled{}, err
	}
	if c.Serialized, err = t.library.serialize(executable); err != nil {
		return Compiled{}, fmt.Errorf("executable %s cannot be serialized: %w", c.Name, err)
	}
	shown, err := t.library.inspect(executable)
	if err != nil {
		return Compiled{}, fmt.Errorf("executable %s: %w", c.Name, err)
	}
	c.Traffic, c.Cycles, c.Kernels = shown.Traffic, shown.Cycles, shown.Kernels
	key := t.target.key("mlir", program, options)
	c.Key = key.String()
	if t.cache != nil {
		return c, t.cache.put(key, c.Serialized)
	}
	return c, nil
}

// inspect reads an executable's optimized program. The result is zero if the plugin
// does not show one.
func (l library) inspect(executable *C.PJRT_Executable) (hlo.Program, error) {
	var code *C.char
	var size C.size_t
	if err := l.err(C.scored_optimized_program(l.api, executable, &code, &size)); err != nil {
		return hlo.Program{}, fmt.Errorf("optimized program cannot be read: %w", err)
	}
	if code == nil {
		return hlo.Program{}, nil
	}
	defer C.free(unsafe.Pointer(code))
	program, err := hlo.Read(unsafe.Slice((*byte)(unsafe.Pointer(code)), int(size)))
	if err != nil {
		return hlo.Program{}, fmt.Errorf("optimized program cannot be read: %w", err)
	}
	return program, nil
}

// Close frees the topology. A second Close does nothing.
func (t *Topology) Close() {
	if t.handle != nil {
		C.scored_topology_destroy(t.library.api, t.handle)
		t.handle = nil
	}
}
