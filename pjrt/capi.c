#include "capi.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "interpose.h"

// Declares the argument struct NAME of PJRT function FN, zero but for its size. Plugins
// compare the size with the one that they were built with, and leave alone the fields
// that an older caller does not have.
#define ARGS(FN, NAME)  \
  FN##_Args NAME = {0}; \
  NAME.struct_size = FN##_Args_STRUCT_SIZE

const PJRT_Api* scored_dlopen(const char* path, char** why) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    const char* text = dlerror();
    *why = strdup(text != NULL ? text : "dlopen failed");
    return NULL;
  }
  const PJRT_Api* (*get)(void) = (const PJRT_Api* (*)(void))dlsym(handle, "GetPjrtApi");
  if (get == NULL) {
    *why = strdup("it does not export GetPjrtApi");
    dlclose(handle);
    return NULL;
  }
  const PJRT_Api* api = get();
  if (api == NULL) *why = strdup("GetPjrtApi returned nothing");
  return api;
}

#define NEED(fn) \
  if (!SCORED_HAS(api, fn)) return #fn

// The list has go-xla's calls, too: a NULL among them would end the process.
const char* scored_missing_function(const PJRT_Api* api) {
  NEED(PJRT_Error_Destroy);
  NEED(PJRT_Error_Message);
  NEED(PJRT_Error_GetCode);
  NEED(PJRT_Plugin_Initialize);
  NEED(PJRT_Plugin_Attributes);
  NEED(PJRT_Event_Destroy);
  NEED(PJRT_Event_Await);
  NEED(PJRT_Client_Create);
  NEED(PJRT_Client_Destroy);
  NEED(PJRT_Client_PlatformName);
  NEED(PJRT_Client_PlatformVersion);
  NEED(PJRT_Client_ProcessIndex);
  NEED(PJRT_Client_Devices);
  NEED(PJRT_Client_AddressableDevices);
  NEED(PJRT_Client_Compile);
  NEED(PJRT_Client_BufferFromHostBuffer);
  NEED(PJRT_Device_GetDescription);
  NEED(PJRT_Device_IsAddressable);
  NEED(PJRT_Device_LocalHardwareId);
  NEED(PJRT_DeviceDescription_Kind);
  NEED(PJRT_Executable_Destroy);
  NEED(PJRT_Executable_Name);
  NEED(PJRT_Executable_NumOutputs);
  NEED(PJRT_Executable_GetCompiledMemoryStats);
  NEED(PJRT_LoadedExecutable_Destroy);
  NEED(PJRT_LoadedExecutable_GetExecutable);
  NEED(PJRT_LoadedExecutable_Execute);
  NEED(PJRT_Buffer_Destroy);
  NEED(PJRT_Buffer_Dimensions);
  NEED(PJRT_Buffer_ElementType);
  NEED(PJRT_Buffer_Device);
  NEED(PJRT_Buffer_CopyToDevice);
  NEED(PJRT_Buffer_ToHostBuffer);
  return NULL;
}

const char* scored_missing_topology_function(const PJRT_Api* api) {
  NEED(PJRT_TopologyDescription_Create);
  NEED(PJRT_TopologyDescription_Destroy);
  NEED(PJRT_TopologyDescription_PlatformName);
  NEED(PJRT_TopologyDescription_GetDeviceDescriptions);
  NEED(PJRT_Compile);
  return NULL;
}

void scored_free_error(const PJRT_Api* api, PJRT_Error* err) {
  if (err == NULL) return;
  ARGS(PJRT_Error_Destroy, args);
  args.error = err;
  api->PJRT_Error_Destroy(&args);
}

char* scored_error_text(const PJRT_Api* api, PJRT_Error* err, int* code) {
  ARGS(PJRT_Error_Message, message);
  message.error = err;
  api->PJRT_Error_Message(&message);
  ARGS(PJRT_Error_GetCode, get);
  get.error = err;
  get.code = PJRT_Error_Code_UNKNOWN;
  scored_free_error(api, api->PJRT_Error_GetCode(&get));
  *code = (int)get.code;
  char* text = strndup(message.message, message.message_size);
  scored_free_error(api, err);
  return text;
}

PJRT_Error* scored_plugin_initialize(const PJRT_Api* api) {
  ARGS(PJRT_Plugin_Initialize, args);
  return api->PJRT_Plugin_Initialize(&args);
}

PJRT_Error* scored_client_platform(const PJRT_Api* api, PJRT_Client* client, const char** name,
                                   size_t* name_size, const char** version, size_t* version_size) {
  ARGS(PJRT_Client_PlatformName, n);
  n.client = client;
  PJRT_Error* err = api->PJRT_Client_PlatformName(&n);
  if (err != NULL) return err;
  *name = n.platform_name;
  *name_size = n.platform_name_size;
  ARGS(PJRT_Client_PlatformVersion, v);
  v.client = client;
  err = api->PJRT_Client_PlatformVersion(&v);
  if (err != NULL) return err;
  *version = v.platform_version;
  *version_size = v.platform_version_size;
  return NULL;
}

PJRT_Error* scored_client_devices(const PJRT_Api* api, PJRT_Client* client,
                                  PJRT_Device* const** devices, size_t* count) {
  ARGS(PJRT_Client_AddressableDevices, args);
  args.client = client;
  PJRT_Error* err = api->PJRT_Client_AddressableDevices(&args);
  if (err != NULL) return err;
  *devices = args.addressable_devices;
  *count = args.num_addressable_devices;
  return NULL;
}

PJRT_Error* scored_device_kind(const PJRT_Api* api, PJRT_Device* device, const char** kind,
                               size_t* size) {
  ARGS(PJRT_Device_GetDescription, d);
  d.device = device;
  PJRT_Error* err = api->PJRT_Device_GetDescription(&d);
  if (err != NULL) return err;
  return scored_description_kind(api, d.device_description, kind, size);
}

PJRT_Error* scored_description_kind(const PJRT_Api* api, PJRT_DeviceDescription* description,
                                    const char** kind, size_t* size) {
  ARGS(PJRT_DeviceDescription_Kind, args);
  args.device_description = description;
  PJRT_Error* err = api->PJRT_DeviceDescription_Kind(&args);
  if (err != NULL) return err;
  *kind = args.device_kind;
  *size = args.device_kind_size;
  return NULL;
}

PJRT_Error* scored_compile(const PJRT_Api* api, PJRT_Client_Compile_Args* args) {
  return api->PJRT_Client_Compile(args);
}

PJRT_Error* scored_load(const PJRT_Api* api, PJRT_Client* client, const void* bytes, size_t size,
                        PJRT_LoadedExecutable** loaded) {
  if (!SCORED_HAS(api, PJRT_Executable_DeserializeAndLoad)) return NULL;
  ARGS(PJRT_Executable_DeserializeAndLoad, args);
  args.client = client;
  args.serialized_executable = bytes;
  args.serialized_executable_size = size;
  PJRT_Error* err = api->PJRT_Executable_DeserializeAndLoad(&args);
  if (err == NULL) *loaded = args.loaded_executable;
  return err;
}

PJRT_Error* scored_executable(const PJRT_Api* api, PJRT_LoadedExecutable* loaded,
                              PJRT_Executable** executable) {
  ARGS(PJRT_LoadedExecutable_GetExecutable, args);
  args.loaded_executable = loaded;
  PJRT_Error* err = api->PJRT_LoadedExecutable_GetExecutable(&args);
  if (err == NULL) *executable = args.executable;
  return err;
}

void scored_executable_destroy(const PJRT_Api* api, PJRT_Executable* executable) {
  ARGS(PJRT_Executable_Destroy, args);
  args.executable = executable;
  scored_free_error(api, api->PJRT_Executable_Destroy(&args));
}

PJRT_Error* scored_executable_name(const PJRT_Api* api, PJRT_Executable* executable,
                                   const char** name, size_t* size) {
  ARGS(PJRT_Executable_Name, args);
  args.executable = executable;
  PJRT_Error* err = api->PJRT_Executable_Name(&args);
  if (err != NULL) return err;
  *name = args.executable_name;
  *size = args.executable_name_size;
  return NULL;
}

PJRT_Error* scored_executable_outputs(const PJRT_Api* api, PJRT_Executable* executable,
                                      size_t* outputs) {
  ARGS(PJRT_Executable_NumOutputs, args);
  args.executable = executable;
  PJRT_Error* err = api->PJRT_Executable_NumOutputs(&args);
  if (err == NULL) *outputs = args.num_outputs;
  return err;
}

PJRT_Error* scored_executable_memory(const PJRT_Api* api, PJRT_Executable* executable,
                                     PJRT_Executable_GetCompiledMemoryStats_Args* stats) {
  memset(stats, 0, sizeof(*stats));
  if (!SCORED_HAS(api, PJRT_Executable_GetCompiledMemoryStats)) return NULL;
  stats->struct_size = PJRT_Executable_GetCompiledMemoryStats_Args_STRUCT_SIZE;
  stats->executable = executable;
  return api->PJRT_Executable_GetCompiledMemoryStats(stats);
}

// The value of a property as a number; 0 if it is none.
static double number(const PJRT_NamedValue* v) {
  switch (v->type) {
    case PJRT_NamedValue_kFloat:
      return v->float_value;
    case PJRT_NamedValue_kInt64:
      return (double)v->int64_value;
    default:
      return 0;
  }
}

// Names in PJRT have a size and no NUL at their end.
static bool named(const PJRT_NamedValue* v, const char* name) {
  return v->name_size == strlen(name) && memcmp(v->name, name, v->name_size) == 0;
}

PJRT_Error* scored_executable_cost(const PJRT_Api* api, PJRT_Executable* executable, double* flops,
                                   double* bytes_accessed) {
  if (!SCORED_HAS(api, PJRT_Executable_GetCostAnalysis)) return NULL;
  ARGS(PJRT_Executable_GetCostAnalysis, args);
  args.executable = executable;
  PJRT_Error* err = api->PJRT_Executable_GetCostAnalysis(&args);
  if (err != NULL) return err;
  for (size_t i = 0; i < args.num_properties; i++) {
    const PJRT_NamedValue* property = &args.properties[i];
    if (named(property, "flops")) *flops = number(property);
    if (named(property, "bytes accessed")) *bytes_accessed = number(property);
  }
  return NULL;
}

PJRT_Error* scored_optimized_program(const PJRT_Api* api, PJRT_Executable* executable, char** code,
                                     size_t* size) {
  if (!SCORED_HAS(api, PJRT_Executable_OptimizedProgram)) return NULL;
  PJRT_Program program = {0};
  program.struct_size = PJRT_Program_STRUCT_SIZE;
  ARGS(PJRT_Executable_OptimizedProgram, args);
  args.executable = executable;
  args.program = &program;
  PJRT_Error* err = api->PJRT_Executable_OptimizedProgram(&args);  // sets code_size only
  if (err != NULL) return err;
  program.code = malloc(program.code_size);
  if (program.code == NULL) return NULL;
  err = api->PJRT_Executable_OptimizedProgram(&args);
  if (err != NULL) {
    free(program.code);
    return err;
  }
  *code = program.code;
  *size = program.code_size;
  return NULL;
}

PJRT_Error* scored_serialize(const PJRT_Api* api, PJRT_Executable* executable,
                             scored_serialized* out) {
  if (!SCORED_HAS(api, PJRT_Executable_Serialize)) return NULL;
  ARGS(PJRT_Executable_Serialize, args);
  args.executable = executable;
  PJRT_Error* err = api->PJRT_Executable_Serialize(&args);
  if (err != NULL) return err;
  out->bytes = args.serialized_bytes;
  out->size = args.serialized_bytes_size;
  out->owner = args.serialized_executable;
  out->deleter = args.serialized_executable_deleter;
  return NULL;
}

void scored_serialized_free(scored_serialized* s) {
  if (s->deleter != NULL) s->deleter(s->owner);
}

static PJRT_Error* create_topology(const PJRT_Api* api, const char* name, size_t size,
                                   const PJRT_NamedValue* options, size_t count,
                                   PJRT_TopologyDescription** topology) {
  ARGS(PJRT_TopologyDescription_Create, args);
  args.topology_name = name;
  args.topology_name_size = size;
  args.create_options = options;
  args.num_options = count;
  PJRT_Error* err = api->PJRT_TopologyDescription_Create(&args);
  if (err == NULL) *topology = args.topology;
  return err;
}

PJRT_Error* scored_topology_of_chips(const PJRT_Api* api, const char* name, size_t size,
                                     const int64_t chips[3], PJRT_TopologyDescription** topology) {
  PJRT_NamedValue bounds = {0};
  bounds.struct_size = PJRT_NamedValue_STRUCT_SIZE;
  bounds.name = "chips_per_host_bounds";  // libtpu's name
  bounds.name_size = strlen(bounds.name);
  bounds.type = PJRT_NamedValue_kInt64List;
  bounds.int64_array_value = chips;
  bounds.value_size = 3;
  return create_topology(api, name, size, &bounds, 1, topology);
}

// An option with a string for its value. name and text must outlive it.
static PJRT_NamedValue text_option(const char* name, const char* text, size_t size) {
  PJRT_NamedValue option = {0};
  option.struct_size = PJRT_NamedValue_STRUCT_SIZE;
  option.name = name;
  option.name_size = strlen(name);
  option.type = PJRT_NamedValue_kString;
  option.string_value = text;
  option.value_size = size;
  return option;
}

PJRT_Error* scored_topology_of_card(const PJRT_Api* api, const char* config, size_t size,
                                    PJRT_TopologyDescription** topology) {
  const char* one = "1x1x1";  // slices, hosts of a slice, devices of a host
  PJRT_NamedValue options[] = {text_option("target_config", config, size),
                               text_option("topology", one, strlen(one))};
  return create_topology(api, "", 0, options, 2, topology);
}

void scored_topology_destroy(const PJRT_Api* api, PJRT_TopologyDescription* topology) {
  ARGS(PJRT_TopologyDescription_Destroy, args);
  args.topology = topology;
  scored_free_error(api, api->PJRT_TopologyDescription_Destroy(&args));
}

PJRT_Error* scored_topology_platform(const PJRT_Api* api, PJRT_TopologyDescription* topology,
                                     const char** name, size_t* size) {
  ARGS(PJRT_TopologyDescription_PlatformName, args);
  args.topology = topology;
  PJRT_Error* err = api->PJRT_TopologyDescription_PlatformName(&args);
  if (err != NULL) return err;
  *name = args.platform_name;
  *size = args.platform_name_size;
  return NULL;
}

PJRT_Error* scored_topology_devices(const PJRT_Api* api, PJRT_TopologyDescription* topology,
                                    PJRT_DeviceDescription* const** devices, size_t* count) {
  ARGS(PJRT_TopologyDescription_GetDeviceDescriptions, args);
  args.topology = topology;
  PJRT_Error* err = api->PJRT_TopologyDescription_GetDeviceDescriptions(&args);
  if (err != NULL) return err;
  *devices = args.descriptions;
  *count = args.num_descriptions;
  return NULL;
}

PJRT_Error* scored_topology_compile(const PJRT_Api* api, PJRT_TopologyDescription* topology,
                                    const void* program, size_t program_size, const void* options,
                                    size_t options_size, PJRT_Executable** executable) {
  PJRT_Program source = {0};
  source.struct_size = PJRT_Program_STRUCT_SIZE;
  source.code = (char*)program;
  source.code_size = program_size;
  source.format = "mlir";
  source.format_size = strlen(source.format);
  ARGS(PJRT_Compile, args);
  args.topology = topology;
  args.program = &source;
  args.compile_options = options;
  args.compile_options_size = options_size;
  PJRT_Error* err = api->PJRT_Compile(&args);
  if (err == NULL) *executable = args.executable;
  return err;
}
