// Interposition of a PJRT API table: see interpose.c.
#ifndef SCORED_PJRT_INTERPOSE_H_
#define SCORED_PJRT_INTERPOSE_H_

#include <stdbool.h>

#include "pjrt_c_api.h"

// How many different plugin files one process can open.
enum { SCORED_SLOTS = 8 };

// Whether the plugin's table, which may be older than our header, has the function.
#define SCORED_HAS(api, fn)                                              \
  ((api)->struct_size >= offsetof(PJRT_Api, fn) + sizeof((api)->fn) && \
   (api)->fn != NULL)

// scored_interpose returns a copy of the plugin's table whose calls pass through the slot's interposers, or NULL when
// memory is out. The copy lives as long as the process, as go-xla never forgets a table. Calling it twice for a slot
// returns the first copy.
PJRT_Api* scored_interpose(int slot, const PJRT_Api* real);

// scored_client is the slot's last created client, NULL when there is none.
PJRT_Client* scored_client(int slot);

// scored_set_async says whether executions return once they are dispatched, and not when the device is done.
void scored_set_async(int slot, bool async);

// scored_buffers is how many buffers the slot's plugin has handed out and not yet destroyed.
int64_t scored_buffers(int slot);

// scored_forget_buffers sets that count to zero, when the client that owned the buffers is gone.
void scored_forget_buffers(int slot);

#endif
