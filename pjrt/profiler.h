// A plugin's own profiler: the PJRT extension of type PJRT_Extension_Type_Profiler.
// pjrt_c_api.h does not declare what the extension points to. The part that is called
// here is declared below, after OpenXLA's xla/pjrt/c/pjrt_c_api_profiler_extension.h
// and xla/backends/profiler/plugin/profiler_c_api.h, both version 1. The names are
// ours; profiler.c asserts the layout.
//
// struct_size is the end of the last field, which is less than sizeof if padding
// follows: plugins compare with that.
#ifndef SCORED_PJRT_PROFILER_H_
#define SCORED_PJRT_PROFILER_H_

#include "pjrt_c_api.h"

#define SCORED_END(type, last) (offsetof(type, last) + sizeof(((type*)0)->last))

typedef struct scored_profiler scored_profiler;              // one trace, from create to destroy
typedef struct scored_profiler_error scored_profiler_error;  // freed by error_destroy

typedef struct {
  size_t struct_size;
  void* priv;
  scored_profiler_error* error;
} scored_profiler_error_destroy_args;

typedef struct {
  size_t struct_size;
  void* priv;
  const scored_profiler_error* error;
  const char* message;  // out; lives as long as error
  size_t message_size;  // out
} scored_profiler_error_message_args;

typedef struct {
  size_t struct_size;
  void* priv;
  const scored_profiler_error* error;
  int code;  // out; an absl::StatusCode
} scored_profiler_error_code_args;

typedef struct {
  size_t struct_size;
  const char* options;  // a serialized tensorflow.ProfileOptions
  size_t options_size;
  scored_profiler* profiler;  // out
} scored_profiler_create_args;

// The arguments of destroy, start and stop.
typedef struct {
  size_t struct_size;
  scored_profiler* profiler;
} scored_profiler_args;

// The arguments of collect_data. A call with a NULL buffer sets the size. Plugins that
// are made of OpenXLA's own code set buffer as well, to memory of the profiler's.
// Others write to the caller's buffer in a second call.
typedef struct {
  size_t struct_size;
  scored_profiler* profiler;
  uint8_t* buffer;
  size_t buffer_size_in_bytes;  // out
} scored_profiler_collect_args;

typedef struct {
  size_t struct_size;
  void* priv;
  void (*error_destroy)(scored_profiler_error_destroy_args*);
  void (*error_message)(scored_profiler_error_message_args*);
  scored_profiler_error* (*error_get_code)(scored_profiler_error_code_args*);
  scored_profiler_error* (*create)(scored_profiler_create_args*);
  scored_profiler_error* (*destroy)(scored_profiler_args*);
  scored_profiler_error* (*start)(scored_profiler_args*);
  scored_profiler_error* (*stop)(scored_profiler_args*);
  scored_profiler_error* (*collect_data)(scored_profiler_collect_args*);
} scored_profiler_api;

typedef struct {
  PJRT_Extension_Base base;
  const scored_profiler_api* profiler_api;  // may be NULL
} scored_profiler_extension;

// Returns the plugin's profiler. If it has none that can be used, returns NULL and sets
// *why to a sentence that is never freed.
const scored_profiler_api* scored_profiler_find(const PJRT_Api* api, const char** why);

// Returns the error's message, which the caller frees, sets *code, and frees the error.
char* scored_profiler_error_text(const scored_profiler_api* api, scored_profiler_error* err,
                                 int* code);

// Makes a session. The caller frees it with scored_profiler_destroy, stopped or not.
// Returned errors must go to scored_profiler_error_text.
scored_profiler_error* scored_profiler_create(const scored_profiler_api* api, const void* options,
                                              size_t size, scored_profiler** profiler);
scored_profiler_error* scored_profiler_destroy(const scored_profiler_api* api,
                                               scored_profiler* profiler);
scored_profiler_error* scored_profiler_start(const scored_profiler_api* api,
                                             scored_profiler* profiler);
scored_profiler_error* scored_profiler_stop(const scored_profiler_api* api,
                                            scored_profiler* profiler);

// The trace of a stopped profiler, a serialized XSpace. bytes is NULL if the trace has
// more than limit bytes, or if there is no memory for it; size is set all the same.
typedef struct {
  const uint8_t* bytes;  // valid until the profiler is destroyed or owned is freed
  size_t size;
  void* owned;  // freed by the caller; may be NULL
} scored_trace;
scored_profiler_error* scored_profiler_collect(const scored_profiler_api* api,
                                               scored_profiler* profiler, size_t limit,
                                               scored_trace* trace);

#endif
