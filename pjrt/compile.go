package pjrt

/*
#include <stdlib.h>
#include "capi.h"
*/
import "C"

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// compile does what PJRT_Client_Compile does, through the cache where there is one.
func (p *Plugin) compile(args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	// All three belong to the caller of PJRT_Client_Compile, who keeps them until it
	// returns.
	format := goString(args.program.format, args.program.format_size)
	program := unsafe.Slice((*byte)(unsafe.Pointer(args.program.code)), int(args.program.code_size))
	options := unsafe.Slice((*byte)(unsafe.Pointer(args.compile_options)),
		int(args.compile_options_size))
	if len(p.options.Compile) > 0 {
		options = withOverrides(options, p.options.Compile)
		defer replaceOptions(args, options)()
	}
	if p.options.Rewrite != nil {
		program = p.options.Rewrite(program)
		defer replaceProgram(args, program)()
	}

	if p.options.CaptureOnly {
		p.options.Capture("", program, options)
		return p.compileNothing(args)
	}
	cache, key := p.cache, cacheKey{}
	if cache != nil {
		if digest, err := p.digest(); err != nil {
			p.cacheFailed("compile cache is not used", key, err)
			cache = nil
		} else {
			key = target{digest, p.info.Platform, p.info.PlatformVersion, p.info.Devices}.key(format,
				program, options)
		}
	}
	if len(p.folders) > 0 { // after the key, which no path may change
		defer replaceOptions(args, withOverrides(options, p.folders))()
	}
	start := time.Now()
	entry := Program{}
	if cache != nil {
		entry.Key = key.String()
		args.executable = p.cached(key, args.client)
		entry.Cached = args.executable != nil
	}
	if !entry.Cached {
		start = time.Now()
		if err := C.scored_compile(p.library.api, args); err != nil {
			return err
		}
	}
	entry.Compile = time.Since(start)
	p.loaded(args.executable, cache, key, entry, program, options)
	return nil
}

// compileNothing compiles a program that does nothing in place of the caller's.
func (p *Plugin) compileNothing(args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	restore := replaceProgram(args, []byte("module @nothing { func.func public @main() { return } }"))
	err := C.scored_compile(p.library.api, args)
	restore()
	if err == nil {
		p.loaded(args.executable, nil, cacheKey{}, Program{}, nil, nil)
	}
	return err
}

// replaceProgram puts another text into the arguments until restore is called.
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

// withOverrides adds overrides of XLA's own options to a serialized
// CompileOptionsProto. Of two with the same name the later counts, so ours come last.
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

// cached loads the executable from the cache; nil if it is not there or does not load.
func (p *Plugin) cached(key cacheKey, client *C.PJRT_Client) executable {
	serialized, err := p.cache.get(key)
	var found executable
	if err == nil {
		found, err = p.library.load(client, serialized)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.cacheFailed("compile cache entry is unusable, compiling anew", key, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.stats.CacheMisses++
		return nil
	}
	p.stats.CacheHits++
	return found
}

func (p *Plugin) cacheFailed(what string, key cacheKey, err error) {
	p.log.Warn(what, "key", key.String(), "error", err)
	p.mu.Lock()
	p.stats.CacheErrors++
	p.mu.Unlock()
}

// loaded takes note of a new executable, completes what is known of it, and stores it
// if it was compiled.
func (p *Plugin) loaded(id executable, cache *cache, key cacheKey, entry Program, program,
	options []byte) {
	var inner *C.PJRT_Executable
	err := p.library.err(C.scored_executable(p.library.api, id, &inner))
	if err == nil {
		defer C.scored_executable_destroy(p.library.api, inner)
		entry.Name, entry.outputs, entry.Cost, err = p.library.describe(inner)
	}
	if err != nil {
		p.log.Warn("executable does not describe itself", "error", err)
	}
	if inner != nil && cache != nil && !entry.Cached {
		p.store(key, inner)
	}

	p.mu.Lock()
	p.order++
	entry.order = p.order
	p.executables[id] = &entry
	p.stats.CompileTime += entry.Compile
	if !entry.Cached {
		p.stats.Compiles++
	}
	p.mu.Unlock()
	if p.options.Capture != nil && !p.options.CaptureOnly {
		p.options.Capture(entry.Name, program, options)
	}
}

// store writes the executable to the cache.
func (p *Plugin) store(key cacheKey, inner *C.PJRT_Executable) {
	serialized, err := p.library.serialize(inner)
	if err == nil {
		err = p.cache.put(key, serialized)
	}
	if err != nil {
		p.cacheFailed("compiled program is not stored", key, err)
	}
}
