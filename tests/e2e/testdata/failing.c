// A PJRT plugin that is another one, named by FAILING_PLUGIN, but for its executions: while there is a file named by
// FAILING_FILE, every eleventh fails. So steps fail at every stage, with what the stages before made in hand.
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pjrt_c_api.h"

static const PJRT_Api* real;
static PJRT_Api* table;
static atomic_int executions;

static PJRT_Error* execute(PJRT_LoadedExecutable_Execute_Args* args) {
  if (access(getenv("FAILING_FILE"), F_OK) != 0 || atomic_fetch_add(&executions, 1) % 11 != 10) {
    return real->PJRT_LoadedExecutable_Execute(args);
  }
  PJRT_LoadedExecutable_Execute_Args none;  // too small to be arguments, so that the plugin itself makes the error
  memset(&none, 0, sizeof none);
  none.struct_size = 1;
  return real->PJRT_LoadedExecutable_Execute(&none);
}

const PJRT_Api* GetPjrtApi(void) {
  if (table != NULL) return table;
  void* library = dlopen(getenv("FAILING_PLUGIN"), RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return NULL;
  const PJRT_Api* (*get)(void) = (const PJRT_Api* (*)(void))dlsym(library, "GetPjrtApi");
  if (get == NULL || (real = get()) == NULL) return NULL;
  table = malloc(real->struct_size);  // the real one's size: it may be older or newer than the header
  if (table == NULL) return NULL;
  memcpy(table, real, real->struct_size);
  table->PJRT_LoadedExecutable_Execute = execute;
  return table;
}
