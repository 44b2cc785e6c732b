// Interposition of a PJRT API table: see interpose.c.
#ifndef SCORED_PJRT_INTERPOSE_H_
#define SCORED_PJRT_INTERPOSE_H_

#include <stdbool.h>

#include "pjrt_c_api.h"

// How many different plugin files one process can open in its life.
enum { SCORED_SLOTS = 8 };

// Whether the plugin's table, which may be older than our header, has the function. The
// short circuit is what makes reading the field safe.
#define SCORED_HAS(api, fn)                                              \
  ((api)->struct_size >= offsetof(PJRT_Api, fn) + sizeof((api)->fn) && \
   (api)->fn != NULL)

// scored_interpose returns a copy of the plugin's table whose calls pass through the
// slot's interposers, or NULL if there is no memory. The copy lives as long as the
// process, because go-xla keeps every table. A second call for a slot returns the first
// copy. Calls must not overlap.
PJRT_Api* scored_interpose(int slot, const PJRT_Api* real);

// scored_client returns the client that was created last in the slot; NULL after it is
// destroyed.
PJRT_Client* scored_client(int slot);

// scored_set_async sets whether executions return when they are dispatched (true), or
// when the device is done (false).
void scored_set_async(int slot, bool async);

// scored_buffers returns how many buffers of the slot's plugin are alive.
int64_t scored_buffers(int slot);

// scored_forget_buffers sets that count to zero. The client that owned the buffers must
// be gone.
void scored_forget_buffers(int slot);

#endif
