package pjrt

/*
#include <stdlib.h>
#include "capi.h"
*/
import "C"

import (
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// compiler stands between GoMLX and PJRT_Client_Compile: it changes programs and their
// options as Options say, and takes executables from the compile cache where it can.
// Its fields do not change once the plugin is open, so any goroutine may use it.
type compiler struct {
	library  library
	options  Options
	cache    *cache                 // nil: none
	digest   func() (string, error) // of the plugin's file; takes a second at first
	device   target                 // without the digest
	folders  map[string]string      // those of Options.Folders, with their paths
	programs *programs
	log      *slog.Logger
}

// compile does what PJRT_Client_Compile does. It leaves args as they were, but for the
// executable, which belongs to the caller.
func (c *compiler) compile(args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	// All three belong to the caller of PJRT_Client_Compile, who keeps them until it
	// returns.
	format := goString(args.program.format, args.program.format_size)
	program := unsafe.Slice((*byte)(unsafe.Pointer(args.program.code)), int(args.program.code_size))
	options := unsafe.Slice((*byte)(unsafe.Pointer(args.compile_options)),
		int(args.compile_options_size))
	if len(c.options.Compile) > 0 {
		options = withOverrides(options, c.options.Compile)
		defer replaceOptions(args, options)()
	}
	if c.options.Rewrite != nil {
		program = c.options.Rewrite(program)
		defer replaceProgram(args, program)()
	}
	if c.options.CaptureOnly {
		c.options.Capture("", program, options)
		return c.compileNothing(args)
	}

	key, cached := c.key(format, program, options)
	if len(c.folders) > 0 { // after the key, which no path may change
		defer replaceOptions(args, withOverrides(options, c.folders))()
	}
	start := time.Now()
	entry := Program{}
	if cached {
		entry.Key = key.String()
		args.executable = c.load(key, args.client)
		entry.Cached = args.executable != nil
	}
	if !entry.Cached {
		start = time.Now() // a file that does not load is not part of compiling
		if err := C.scored_compile(c.library.api, args); err != nil {
			return err
		}
	}
	entry.Compile = time.Since(start)
	entry.Name = c.loaded(args.executable, entry, func(inner *C.PJRT_Executable) {
		if cached && !entry.Cached {
			c.store(key, inner)
		}
	})
	if c.options.Capture != nil {
		c.options.Capture(entry.Name, program, options)
	}
	return nil
}

// compileNothing compiles a program that does nothing in place of the caller's.
func (c *compiler) compileNothing(args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	restore := replaceProgram(args, []byte("module @nothing { func.func public @main() { return } }"))
	err := C.scored_compile(c.library.api, args)
	restore()
	if err == nil {
		c.loaded(args.executable, Program{}, func(*C.PJRT_Executable) {})
	}
	return err
}

// key returns the program's key in the compile cache. It returns false if there is no
// cache to use: none was asked for, or the plugin's file cannot be read.
func (c *compiler) key(format string, program, options []byte) (key cacheKey, cached bool) {
	if c.cache == nil {
		return cacheKey{}, false
	}
	digest, err := c.digest()
	if err != nil {
		c.cacheFailed("compile cache is not used", key, err)
		return cacheKey{}, false
	}
	device := c.device
	device.plugin = digest
	return device.key(format, program, options), true
}

// load takes the executable from the cache; nil if it is not there or does not load.
func (c *compiler) load(key cacheKey, client *C.PJRT_Client) executable {
	serialized, err := c.cache.get(key)
	var found executable
	if err == nil {
		found, err = c.library.load(client, serialized)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.cacheFailed("compile cache entry is unusable, compiling anew", key, err)
	}
	c.programs.cacheAnswered(err == nil)
	if err != nil {
		return nil
	}
	return found
}

// loaded adds a new executable to the programs, with the name and cost that it gives of
// itself, and returns its name. store gets the executable in the form that can be
// serialized, unless the plugin has none; it must not keep it.
func (c *compiler) loaded(id executable, program Program, store func(*C.PJRT_Executable)) string {
	var inner *C.PJRT_Executable
	err := c.library.err(C.scored_executable(c.library.api, id, &inner))
	if err == nil {
		defer C.scored_executable_destroy(c.library.api, inner)
		program.Name, program.outputs, program.Cost, err = c.library.describe(inner)
	}
	if err != nil {
		c.log.Warn("executable does not describe itself", "error", err)
	}
	if inner != nil {
		store(inner)
	}
	c.programs.add(id, program)
	return program.Name
}

// store writes the executable to the cache.
func (c *compiler) store(key cacheKey, inner *C.PJRT_Executable) {
	serialized, err := c.library.serialize(inner)
	if err == nil {
		err = c.cache.put(key, serialized)
	}
	if err != nil {
		c.cacheFailed("compiled program is not stored", key, err)
	}
}

// cacheFailed reports an error of the cache, which costs time and nothing else.
func (c *compiler) cacheFailed(what string, key cacheKey, err error) {
	c.log.Warn(what, "key", key.String(), "error", err)
	c.programs.cacheFailed()
}

// replaceProgram puts another text into the arguments until restore is called. C may
// not keep memory of Go's, so the text is copied.
func replaceProgram(args *C.PJRT_Client_Compile_Args, text []byte) (restore func()) {
	theirs, ours := *args.program, C.CBytes(text)
	args.program.code, args.program.code_size = (*C.char)(ours), C.size_t(len(text))
	return func() {
		*args.program = theirs
		C.free(ours)
	}
}

// replaceOptions puts other compile options into the arguments until restore is called.
func replaceOptions(args *C.PJRT_Client_Compile_Args, options []byte) (restore func()) {
	theirs, size, ours := args.compile_options, args.compile_options_size, C.CBytes(options)
	args.compile_options, args.compile_options_size = (*C.char)(ours), C.size_t(len(options))
	return func() {
		args.compile_options, args.compile_options_size = theirs, size
		C.free(ours)
	}
}

// Numbers of fields in xla/pjrt/proto/compile_options.proto.
const (
	// of CompileOptionsProto: map<string, OptionOverrideProto> env_option_overrides.
	fieldOverrides protowire.Number = 7
	fieldKey       protowire.Number = 1 // of an entry of a map
	fieldValue     protowire.Number = 2
	fieldString    protowire.Number = 1 // of OptionOverrideProto
)

// withOverrides returns a serialized CompileOptionsProto with overrides of XLA's own
// options added. They are sorted by name, so that equal options have equal cache keys.
// Of two entries of a protobuf map with the same key the later one counts.
func withOverrides(options []byte, overrides map[string]string) []byte {
	out := slices.Clone(options)
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		value := protowire.AppendString(protowire.AppendTag(nil, fieldString, protowire.BytesType),
			overrides[name])
		entry := protowire.AppendString(protowire.AppendTag(nil, fieldKey, protowire.BytesType), name)
		entry = protowire.AppendBytes(protowire.AppendTag(entry, fieldValue, protowire.BytesType), value)
		out = protowire.AppendBytes(protowire.AppendTag(out, fieldOverrides, protowire.BytesType), entry)
	}
	return out
}
