// Interposers: functions that stand in a plugin's table in place of its own, and call
// those.
//
// A PJRT function gets no context but its arguments. So each opened plugin has a slot:
// a table of its own, and a set of C functions that know the slot's number. Go decides
// what they do (intercept.go). This file has only what must be C: the function
// pointers, waiting for events, and counting buffers.
//
// go-xla makes every argument struct that arrives here from the header that this file
// includes, so all its fields may be read. The tables differ from plugin to plugin: a
// field of one must be read with SCORED_HAS.

#include "interpose.h"

#include "capi.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "_cgo_export.h"

// real and table are set once, before the table is given to go-xla, and stay for the
// life of the process. The other fields are those of the plugin that is open now.
typedef struct {
  const PJRT_Api* real;          // the plugin's own table
  PJRT_Api* table;               // the copy with interposers
  _Atomic(PJRT_Client*) client;  // created last; NULL: none
  atomic_bool async;             // see scored_set_async
  atomic_int_fast64_t buffers;   // alive
} Slot;

static Slot slots[SCORED_SLOTS];

static int64_t monotonic_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static PJRT_Error* client_create(int n, PJRT_Client_Create_Args* args) {
  PJRT_Error* err = slots[n].real->PJRT_Client_Create(args);
  if (err == NULL) atomic_store(&slots[n].client, args->client);
  return err;
}

static PJRT_Error* client_destroy(int n, PJRT_Client_Destroy_Args* args) {
  PJRT_Client* gone = args->client;
  atomic_compare_exchange_strong(&slots[n].client, &gone, NULL);
  return slots[n].real->PJRT_Client_Destroy(args);
}

static PJRT_Error* client_compile(int n, PJRT_Client_Compile_Args* args) {
  return scoredCompile(n, args);
}

static void event_destroy(const PJRT_Api* api, PJRT_Event* event) {
  PJRT_Event_Destroy_Args args = {0};
  args.struct_size = PJRT_Event_Destroy_Args_STRUCT_SIZE;
  args.event = event;
  scored_free_error(api, api->PJRT_Event_Destroy(&args));
}

static PJRT_Error* await(const PJRT_Api* api, PJRT_Event* event) {
  PJRT_Event_Await_Args args = {0};
  args.struct_size = PJRT_Event_Await_Args_STRUCT_SIZE;
  args.event = event;
  return api->PJRT_Event_Await(&args);
}

// Frees the outputs and events of an execution that failed after its dispatch. The
// caller gets an error, so it would leak them.
static void discard_results(const PJRT_Api* api, PJRT_LoadedExecutable_Execute_Args* args,
                            int64_t outputs) {
  for (size_t device = 0; device < args->num_devices; device++) {
    event_destroy(api, args->device_complete_events[device]);
    args->device_complete_events[device] = NULL;
    for (int64_t i = 0; i < outputs; i++) {
      PJRT_Buffer_Destroy_Args destroy = {0};
      destroy.struct_size = PJRT_Buffer_Destroy_Args_STRUCT_SIZE;
      destroy.buffer = args->output_lists[device][i];
      scored_free_error(api, api->PJRT_Buffer_Destroy(&destroy));
      args->output_lists[device][i] = NULL;
    }
  }
}

// Plugins run asynchronously. go-xla asks for completion events and awaits them at
// once, so awaiting them here first costs nothing, and the measured time is that of the
// execution and not of its dispatch. An error of an event is returned as Execute's own,
// because go-xla would leak the outputs otherwise.
//
// In an asynchronous slot go-xla's request for events is removed, and with it the wait:
// reading an output waits for it, and returns its error.
static PJRT_Error* execute(int n, PJRT_LoadedExecutable_Execute_Args* args) {
  const PJRT_Api* api = slots[n].real;
  if (atomic_load(&slots[n].async)) args->device_complete_events = NULL;
  int64_t start = monotonic_ns();
  PJRT_Error* err = api->PJRT_LoadedExecutable_Execute(args);
  int dispatched = err == NULL;
  if (dispatched && args->device_complete_events != NULL) {
    for (size_t device = 0; device < args->num_devices; device++) {
      PJRT_Error* late = await(api, args->device_complete_events[device]);
      if (err == NULL) {
        err = late;
      } else {
        scored_free_error(api, late);
      }
    }
  }
  int64_t outputs = scoredExecuted(n, args->executable, monotonic_ns() - start, err != NULL);
  if (err == NULL) {
    atomic_fetch_add(&slots[n].buffers, outputs * (int64_t)args->num_devices);
  } else if (dispatched) {
    discard_results(api, args, outputs);
  }
  return err;
}

// An executable that outlived its client is leaked: the plugin would use the client's
// memory to destroy it.
static PJRT_Error* loaded_executable_destroy(int n, PJRT_LoadedExecutable_Destroy_Args* args) {
  if (!scoredForget(n, args->executable)) return NULL;
  return slots[n].real->PJRT_LoadedExecutable_Destroy(args);
}

// Every function that makes a buffer counts it, so that Close can report those that
// were never destroyed.
static PJRT_Error* buffer_from_host(int n, PJRT_Client_BufferFromHostBuffer_Args* args) {
  PJRT_Error* err = slots[n].real->PJRT_Client_BufferFromHostBuffer(args);
  if (err == NULL) atomic_fetch_add(&slots[n].buffers, 1);
  return err;
}

static PJRT_Error* buffer_view(int n, PJRT_Client_CreateViewOfDeviceBuffer_Args* args) {
  PJRT_Error* err = slots[n].real->PJRT_Client_CreateViewOfDeviceBuffer(args);
  if (err == NULL) atomic_fetch_add(&slots[n].buffers, 1);
  return err;
}

static PJRT_Error* buffer_copy_to_device(int n, PJRT_Buffer_CopyToDevice_Args* args) {
  PJRT_Error* err = slots[n].real->PJRT_Buffer_CopyToDevice(args);
  if (err == NULL) atomic_fetch_add(&slots[n].buffers, 1);
  return err;
}

static PJRT_Error* buffer_destroy(int n, PJRT_Buffer_Destroy_Args* args) {
  if (args->buffer != NULL) atomic_fetch_sub(&slots[n].buffers, 1);
  return slots[n].real->PJRT_Buffer_Destroy(args);
}

// SLOT(N) defines the interposers of slot N, which pass N on, and install_N, which puts
// them into a table. A function that the plugin lacks must stay NULL.
#define SLOT_FUNCTION(N, name, Args) \
  static PJRT_Error* name##_##N(Args* args) { return name(N, args); }

#define SLOT(N)                                                                            \
  SLOT_FUNCTION(N, client_create, PJRT_Client_Create_Args)                                 \
  SLOT_FUNCTION(N, client_destroy, PJRT_Client_Destroy_Args)                               \
  SLOT_FUNCTION(N, client_compile, PJRT_Client_Compile_Args)                               \
  SLOT_FUNCTION(N, execute, PJRT_LoadedExecutable_Execute_Args)                            \
  SLOT_FUNCTION(N, loaded_executable_destroy, PJRT_LoadedExecutable_Destroy_Args)          \
  SLOT_FUNCTION(N, buffer_from_host, PJRT_Client_BufferFromHostBuffer_Args)                \
  SLOT_FUNCTION(N, buffer_view, PJRT_Client_CreateViewOfDeviceBuffer_Args)                 \
  SLOT_FUNCTION(N, buffer_copy_to_device, PJRT_Buffer_CopyToDevice_Args)                   \
  SLOT_FUNCTION(N, buffer_destroy, PJRT_Buffer_Destroy_Args)                               \
  static void install_##N(PJRT_Api* table) {                                               \
    table->PJRT_Client_Create = client_create_##N;                                         \
    table->PJRT_Client_Destroy = client_destroy_##N;                                       \
    table->PJRT_Client_Compile = client_compile_##N;                                       \
    table->PJRT_LoadedExecutable_Execute = execute_##N;                                    \
    table->PJRT_LoadedExecutable_Destroy = loaded_executable_destroy_##N;                  \
    table->PJRT_Client_BufferFromHostBuffer = buffer_from_host_##N;                        \
    if (SCORED_HAS(slots[N].real, PJRT_Client_CreateViewOfDeviceBuffer))                   \
      table->PJRT_Client_CreateViewOfDeviceBuffer = buffer_view_##N;                       \
    table->PJRT_Buffer_CopyToDevice = buffer_copy_to_device_##N;                           \
    table->PJRT_Buffer_Destroy = buffer_destroy_##N;                                       \
  }

SLOT(0) SLOT(1) SLOT(2) SLOT(3) SLOT(4) SLOT(5) SLOT(6) SLOT(7)

static void (*const install[SCORED_SLOTS])(PJRT_Api*) = {
    install_0, install_1, install_2, install_3, install_4, install_5, install_6, install_7,
};

PJRT_Api* scored_interpose(int n, const PJRT_Api* real) {
  Slot* slot = &slots[n];
  if (slot->table != NULL) return slot->table;
  // A newer plugin's table is longer than the header's, an older one's shorter. All
  // that the plugin has is copied, and no byte behind its end: fields that it lacks are
  // NULL.
  size_t size = real->struct_size > sizeof(PJRT_Api) ? real->struct_size : sizeof(PJRT_Api);
  PJRT_Api* table = calloc(1, size);
  if (table == NULL) return NULL;
  memcpy(table, real, real->struct_size);
  slot->real = real;
  install[n](table);
  slot->table = table;
  return table;
}

PJRT_Client* scored_client(int n) { return atomic_load(&slots[n].client); }

void scored_set_async(int n, bool async) { atomic_store(&slots[n].async, async); }

int64_t scored_buffers(int n) { return atomic_load(&slots[n].buffers); }

void scored_forget_buffers(int n) { atomic_store(&slots[n].buffers, 0); }
