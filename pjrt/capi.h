// The calls that Go makes on a plugin's own table. Go cannot call through a function
// pointer, and must not put pointers to its memory into C structs that outlive a call,
// so each call has a plain C function here.
//
// A returned PJRT_Error must go to scored_error_text or scored_free_error. A returned
// string is not a copy: it lives as long as the client, device or executable that it
// describes. Results must be zero before a call: if the plugin lacks the function, the
// call returns NULL and they stay so.
#ifndef SCORED_PJRT_CAPI_H_
#define SCORED_PJRT_CAPI_H_

#include "pjrt_c_api.h"

// Loads the shared object for good and returns its table. On failure returns NULL and
// sets *why to a sentence, which the caller frees.
const PJRT_Api* scored_dlopen(const char* path, char** why);

// Returns the name of a function that go-xla or this package calls and the plugin
// lacks; NULL if it has them all.
const char* scored_missing_function(const PJRT_Api* api);

// The same for the functions that only compiling for a topology calls.
const char* scored_missing_topology_function(const PJRT_Api* api);

// Returns the error's message, which the caller frees, sets *code, and frees the error.
char* scored_error_text(const PJRT_Api* api, PJRT_Error* err, int* code);
void scored_free_error(const PJRT_Api* api, PJRT_Error* err);

PJRT_Error* scored_plugin_initialize(const PJRT_Api* api);
PJRT_Error* scored_client_platform(const PJRT_Api* api, PJRT_Client* client, const char** name,
                                   size_t* name_size, const char** version, size_t* version_size);
PJRT_Error* scored_client_devices(const PJRT_Api* api, PJRT_Client* client,
                                  PJRT_Device* const** devices, size_t* count);
PJRT_Error* scored_device_kind(const PJRT_Api* api, PJRT_Device* device, const char** kind,
                               size_t* size);

// Calls PJRT_Client_Compile of the plugin itself. The caller destroys args->executable.
PJRT_Error* scored_compile(const PJRT_Api* api, PJRT_Client_Compile_Args* args);
// Makes an executable of serialized bytes. The caller destroys it.
PJRT_Error* scored_load(const PJRT_Api* api, PJRT_Client* client, const void* bytes, size_t size,
                        PJRT_LoadedExecutable** loaded);

// Returns the description of a loaded executable, which the caller frees with
// scored_executable_destroy. The loaded executable does not need it.
PJRT_Error* scored_executable(const PJRT_Api* api, PJRT_LoadedExecutable* loaded,
                              PJRT_Executable** executable);
void scored_executable_destroy(const PJRT_Api* api, PJRT_Executable* executable);
PJRT_Error* scored_executable_name(const PJRT_Api* api, PJRT_Executable* executable,
                                   const char** name, size_t* size);
PJRT_Error* scored_executable_outputs(const PJRT_Api* api, PJRT_Executable* executable,
                                      size_t* outputs);
PJRT_Error* scored_executable_memory(const PJRT_Api* api, PJRT_Executable* executable,
                                     PJRT_Executable_GetCompiledMemoryStats_Args* stats);
PJRT_Error* scored_executable_cost(const PJRT_Api* api, PJRT_Executable* executable, double* flops,
                                   double* bytes_accessed);
// Returns the program after the compiler's passes, a serialized
// HloModuleProtoWithConfig, which the caller frees. *code stays NULL if the plugin
// shows no program.
PJRT_Error* scored_optimized_program(const PJRT_Api* api, PJRT_Executable* executable, char** code,
                                     size_t* size);

// A serialized executable. The bytes are the plugin's and live until
// scored_serialized_free.
typedef struct {
  const char* bytes;
  size_t size;
  PJRT_SerializedExecutable* owner;
  void (*deleter)(PJRT_SerializedExecutable*);
} scored_serialized;
PJRT_Error* scored_serialize(const PJRT_Api* api, PJRT_Executable* executable,
                             scored_serialized* out);
void scored_serialized_free(scored_serialized* s);

// Describes a TPU topology without its devices. chips is the number of one host's chips
// along each of the three axes. The caller frees it with scored_topology_destroy.
PJRT_Error* scored_topology_of_chips(const PJRT_Api* api, const char* name, size_t size,
                                     const int64_t chips[3], PJRT_TopologyDescription** topology);
// The same for one GPU. config is the text of a GpuTargetConfigProto.
PJRT_Error* scored_topology_of_card(const PJRT_Api* api, const char* config, size_t size,
                                    PJRT_TopologyDescription** topology);
void scored_topology_destroy(const PJRT_Api* api, PJRT_TopologyDescription* topology);
PJRT_Error* scored_topology_platform(const PJRT_Api* api, PJRT_TopologyDescription* topology,
                                     const char** name, size_t* size);
PJRT_Error* scored_topology_devices(const PJRT_Api* api, PJRT_TopologyDescription* topology,
                                    PJRT_DeviceDescription* const** devices, size_t* count);
PJRT_Error* scored_description_kind(const PJRT_Api* api, PJRT_DeviceDescription* description,
                                    const char** kind, size_t* size);
// Compiles StableHLO for the topology. The executable cannot run here; the caller frees
// it with scored_executable_destroy.
PJRT_Error* scored_topology_compile(const PJRT_Api* api, PJRT_TopologyDescription* topology,
                                    const void* program, size_t program_size, const void* options,
                                    size_t options_size, PJRT_Executable** executable);

#endif
