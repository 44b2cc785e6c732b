// A PJRT plugin that can do nothing. MAJOR is its API version; NO_ENTRY and NO_TABLE make it less of a plugin still.
// PROFILER gives it the extension of profiler.c.
#include "pjrt_c_api.h"

#ifndef MAJOR
#define MAJOR PJRT_API_MAJOR
#endif

#ifdef PROFILER
#include "profiler.c"
#else
#define EXTENSIONS 0
#endif

#ifndef NO_ENTRY
static const PJRT_Api table = {
    .struct_size = sizeof(PJRT_Api),
    .extension_start = EXTENSIONS,
    .pjrt_api_version = {.struct_size = sizeof(PJRT_Api_Version), .major_version = MAJOR},
};

const PJRT_Api* GetPjrtApi(void) {
#ifdef NO_TABLE
  return 0;
#else
  return &table;
#endif
}
#endif
