// A PJRT plugin that is another one, named by FAILING_PLUGIN, but for its executions: while there is a file named by
// FAILING_FILE, every eleventh fails. So steps fail at every stage, with what the stages before made in hand. Once the
// file has a text, that is the error of every execution, for good: so a device is lost, or has no memory left.
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pjrt_c_api.h"

static const PJRT_Api* real;
static PJRT_Api* table;
static atomic_int executions;
static char lost[512];  // the error of a lost device; its address is the PJRT_Error, which nobody frees
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_lost(const PJRT_Error* e) { return (const void*)e == (const void*)lost; }

static void error_destroy(PJRT_Error_Destroy_Args* args) {
  if (!is_lost(args->error)) real->PJRT_Error_Destroy(args);
}

static void error_message(PJRT_Error_Message_Args* args) {
  if (!is_lost(args->error)) {
    real->PJRT_Error_Message(args);
    return;
  }
  args->message = lost;
  args->message_size = strlen(lost);
}

static PJRT_Error* error_code(PJRT_Error_GetCode_Args* args) {
  if (!is_lost(args->error)) return real->PJRT_Error_GetCode(args);
  args->code = strncmp(lost, "RESOURCE_EXHAUSTED", 18) == 0 ? PJRT_Error_Code_RESOURCE_EXHAUSTED : PJRT_Error_Code_INTERNAL;
  return NULL;
}

// Reads the text that the file has, if it has any by now.
static int device_is_lost(void) {
  pthread_mutex_lock(&lock);
  FILE* file = lost[0] == 0 ? fopen(getenv("FAILING_FILE"), "r") : NULL;
  if (file != NULL) {
    lost[fread(lost, 1, sizeof lost - 1, file)] = 0;
    fclose(file);
  }
  int is = lost[0] != 0;
  pthread_mutex_unlock(&lock);
  return is;
}

static PJRT_Error* execute(PJRT_LoadedExecutable_Execute_Args* args) {
  if (device_is_lost()) return (PJRT_Error*)lost;
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
  table->PJRT_Error_Destroy = error_destroy;
  table->PJRT_Error_Message = error_message;
  table->PJRT_Error_GetCode = error_code;
  return table;
}
