// The profiler extension of the plugin in plugin.c. It is strict: it fails unless it is called in the order create,
// start, stop, collect_data, destroy, with the sizes that OpenXLA's header gives, and unless the session and the errors
// of the time before are freed. Its trace is an XSpace of one plane, with the options that it was given as a warning.
//
// FAIL is the function that fails: 1 create, 2 start, 3 stop, 4 collect_data, 5 its second call, 6 destroy.
// COLLECT is how collect_data answers: 0 wants a buffer; 1 has its own, with a NUL behind the trace that it counts, as
// OpenXLA's does; 2 has its own and no NUL; 3 is empty; 4 claims a terabyte.
// NO_SESSION, NO_STOP, OLD_API, OLD_EXTENSION and EMPTY make it less of an extension.
#include <stdlib.h>
#include <string.h>

#include "profiler.h"

#ifndef FAIL
#define FAIL 0
#endif
#ifndef COLLECT
#define COLLECT 0
#endif

struct scored_profiler {
  enum { CREATED, STARTED, STOPPED } state;
  char trace[256];
  size_t size;
};

struct scored_profiler_error {
  int code;
  char text[64];  // no NUL at the end: message_size counts
};

static struct scored_profiler* session;
static int errors;

static scored_profiler_error* fail(int code, const char* text) {
  scored_profiler_error* e = malloc(sizeof(*e));
  e->code = code;
  memset(e->text, '!', sizeof(e->text));
  memcpy(e->text, text, strlen(text));
  errors++;
  return e;
}

#define CHECK(holds) \
  if (!(holds)) return fail(13, "broken: " #holds)

static void error_destroy(scored_profiler_error_destroy_args* args) {
  errors--;
  free(args->error);
}

static void error_message(scored_profiler_error_message_args* args) {
  args->message = args->error->text;
  args->message_size = strcspn(args->error->text, "!");
}

static scored_profiler_error* error_get_code(scored_profiler_error_code_args* args) {
  CHECK(args->struct_size == 28);
  args->code = args->error->code;
  return NULL;
}

static scored_profiler_error* create(scored_profiler_create_args* args) {
  CHECK(args->struct_size == 32 && args->options_size < 128);
  CHECK(session == NULL);
  CHECK(errors == 0);
  if (FAIL == 1) return fail(8, "no tracer to be had");
#ifdef NO_SESSION
  return NULL;
#endif
  session = calloc(1, sizeof(*session));
  static const char plane[] = "\x0a\x10\x12\x0e/device:TEST:0";  // planes = 1 {name = 2}
  memcpy(session->trace, plane, 18);
  session->trace[18] = 0x1a;  // warnings = 3
  session->trace[19] = (char)args->options_size;
  memcpy(session->trace + 20, args->options, args->options_size);
  session->size = 20 + args->options_size;
  args->profiler = session;
  return NULL;
}

static scored_profiler_error* start(scored_profiler_args* args) {
  CHECK(args->struct_size == 16 && args->profiler == session && session->state == CREATED);
  if (FAIL == 2) return fail(14, "device is busy");
  session->state = STARTED;
  return NULL;
}

static scored_profiler_error* stop(scored_profiler_args* args) {
  CHECK(args->struct_size == 16 && args->profiler == session && session->state == STARTED);
  if (FAIL == 3) return fail(15, "buffer has overrun");
  session->state = STOPPED;
  return NULL;
}

static scored_profiler_error* collect_data(scored_profiler_collect_args* args) {
  CHECK(args->struct_size == 32 && args->profiler == session && session->state == STOPPED);
  if (FAIL == (args->buffer == NULL ? 4 : 5)) return fail(2, "trace is lost");
  args->buffer_size_in_bytes = session->size;
  switch (COLLECT) {
    case 0:
      if (args->buffer != NULL) memcpy(args->buffer, session->trace, session->size);
      break;
    case 1:
      args->buffer_size_in_bytes++;  // calloc has put the NUL
      args->buffer = (uint8_t*)session->trace;
      break;
    case 2:
      args->buffer = (uint8_t*)session->trace;
      break;
    case 3:
      args->buffer_size_in_bytes = 0;
      break;
    case 4:
      args->buffer_size_in_bytes = (size_t)1 << 40;
      break;
  }
  return NULL;
}

static scored_profiler_error* destroy(scored_profiler_args* args) {
  CHECK(args->struct_size == 16 && args->profiler == session && session != NULL);
  free(session);
  session = NULL;
  return FAIL == 6 ? fail(13, "still in use") : NULL;
}

static const scored_profiler_api profiler_api = {
#ifdef OLD_API
    .struct_size = sizeof(scored_profiler_api) - sizeof(void*),
#else
    .struct_size = sizeof(scored_profiler_api),
#endif
    .error_destroy = error_destroy,
    .error_message = error_message,
    .error_get_code = error_get_code,
    .create = create,
    .destroy = destroy,
    .start = start,
#ifndef NO_STOP
    .stop = stop,
#endif
    .collect_data = collect_data,
};

static scored_profiler_extension profiler_extension = {
#ifdef OLD_EXTENSION
    .base = {sizeof(PJRT_Extension_Base), PJRT_Extension_Type_Profiler, NULL},
#else
    .base = {sizeof(scored_profiler_extension), PJRT_Extension_Type_Profiler, NULL},
#endif
#ifndef EMPTY
    .profiler_api = &profiler_api,
#endif
};

static PJRT_Extension_Base first = {sizeof(PJRT_Extension_Base), PJRT_Extension_Type_Layouts, &profiler_extension.base};

#define EXTENSIONS &first
