#include "profiler.h"

#include <stdlib.h>
#include <string.h>

// The layout on the machines that plugins are built for, whose pointers and sizes have
// 8 bytes. A field elsewhere would make the plugin read or write the wrong memory, so
// it does not compile.
#define AT(type, field, offset)                     \
  _Static_assert(offsetof(type, field) == (offset), \
                 #type "." #field " is not where plugins have it")

AT(scored_profiler_error_destroy_args, error, 16);
AT(scored_profiler_error_message_args, error, 16);
AT(scored_profiler_error_message_args, message, 24);
AT(scored_profiler_error_message_args, message_size, 32);
AT(scored_profiler_error_code_args, error, 16);
AT(scored_profiler_error_code_args, code, 24);
_Static_assert(SCORED_END(scored_profiler_error_code_args, code) == 28,
               "plugins expect the size without padding");
AT(scored_profiler_create_args, options, 8);
AT(scored_profiler_create_args, options_size, 16);
AT(scored_profiler_create_args, profiler, 24);
AT(scored_profiler_args, profiler, 8);
AT(scored_profiler_collect_args, profiler, 8);
AT(scored_profiler_collect_args, buffer, 16);
AT(scored_profiler_collect_args, buffer_size_in_bytes, 24);
AT(scored_profiler_api, error_destroy, 16);
AT(scored_profiler_api, error_message, 24);
AT(scored_profiler_api, error_get_code, 32);
AT(scored_profiler_api, create, 40);
AT(scored_profiler_api, destroy, 48);
AT(scored_profiler_api, start, 56);
AT(scored_profiler_api, stop, 64);
AT(scored_profiler_api, collect_data, 72);
AT(scored_profiler_extension, profiler_api, 24);

// Returns why the profiler cannot be used; NULL if it has every function that is called
// here.
#define NEED(fn) \
  if (p->fn == NULL) return "its profiler extension lacks " #fn

static const char* missing(const scored_profiler_api* p) {
  if (p->struct_size < SCORED_END(scored_profiler_api, collect_data))
    return "its profiler extension is too old";
  NEED(error_destroy);
  NEED(error_message);
  NEED(error_get_code);
  NEED(create);
  NEED(destroy);
  NEED(start);
  NEED(stop);
  NEED(collect_data);
  return NULL;
}

const scored_profiler_api* scored_profiler_find(const PJRT_Api* api, const char** why) {
  const PJRT_Extension_Base* e = api->extension_start;
  while (e != NULL && e->type != PJRT_Extension_Type_Profiler) e = e->next;
  if (e == NULL) {
    *why = "it has no profiler extension";
    return NULL;
  }
  if (e->struct_size < SCORED_END(scored_profiler_extension, profiler_api)) {
    *why = "its profiler extension is too old";
    return NULL;
  }
  const scored_profiler_api* found = ((const scored_profiler_extension*)e)->profiler_api;
  *why = found == NULL ? "its profiler extension is empty" : missing(found);
  return *why == NULL ? found : NULL;
}

// Frees an error that nobody reads, such as one of reading another error's code.
static void free_error(const scored_profiler_api* api, scored_profiler_error* err) {
  if (err == NULL) return;
  scored_profiler_error_destroy_args args = {SCORED_END(scored_profiler_error_destroy_args, error),
                                             NULL, err};
  api->error_destroy(&args);
}

char* scored_profiler_error_text(const scored_profiler_api* api, scored_profiler_error* err,
                                 int* code) {
  scored_profiler_error_message_args message = {
      SCORED_END(scored_profiler_error_message_args, message_size), NULL, err, NULL, 0};
  api->error_message(&message);
  scored_profiler_error_code_args get = {SCORED_END(scored_profiler_error_code_args, code), NULL,
                                         err, PJRT_Error_Code_UNKNOWN};
  free_error(api, api->error_get_code(&get));
  *code = get.code;
  char* text = message.message == NULL ? strdup("no message")
                                       : strndup(message.message, message.message_size);
  free_error(api, err);
  return text;
}

scored_profiler_error* scored_profiler_create(const scored_profiler_api* api, const void* options,
                                              size_t size, scored_profiler** profiler) {
  scored_profiler_create_args args = {SCORED_END(scored_profiler_create_args, profiler), options,
                                      size, NULL};
  scored_profiler_error* err = api->create(&args);
  if (err == NULL) *profiler = args.profiler;
  return err;
}

static scored_profiler_error* call(scored_profiler_error* (*fn)(scored_profiler_args*),
                                   scored_profiler* profiler) {
  scored_profiler_args args = {SCORED_END(scored_profiler_args, profiler), profiler};
  return fn(&args);
}

scored_profiler_error* scored_profiler_destroy(const scored_profiler_api* api,
                                               scored_profiler* profiler) {
  return call(api->destroy, profiler);
}

scored_profiler_error* scored_profiler_start(const scored_profiler_api* api,
                                             scored_profiler* profiler) {
  return call(api->start, profiler);
}

scored_profiler_error* scored_profiler_stop(const scored_profiler_api* api,
                                            scored_profiler* profiler) {
  return call(api->stop, profiler);
}

scored_profiler_error* scored_profiler_collect(const scored_profiler_api* api,
                                               scored_profiler* profiler, size_t limit,
                                               scored_trace* trace) {
  scored_profiler_collect_args args = {
      SCORED_END(scored_profiler_collect_args, buffer_size_in_bytes), profiler, NULL, 0};
  scored_profiler_error* err = api->collect_data(&args);
  if (err != NULL) return err;
  size_t size = args.buffer_size_in_bytes;
  trace->size = size;
  if (size > limit) return NULL;
  if (args.buffer == NULL && size > 0) {
    args.buffer = trace->owned = malloc(size);
    if (args.buffer == NULL) return NULL;
    err = api->collect_data(&args);
    if (err != NULL) return err;
    // The plugin may set a larger size, but the buffer has no more bytes.
    if (args.buffer_size_in_bytes > size) args.buffer_size_in_bytes = size;
  }
  trace->bytes = args.buffer;
  trace->size = args.buffer_size_in_bytes;
  return NULL;
}
