package tokenizer

/*
#include <stdlib.h> // tells whether this is glibc

#ifdef __GLIBC__
#include <malloc.h>
static void trim(void) { malloc_trim(0); }
#else
static void trim(void) {}
#endif
*/
import "C"

// largeText is how many bytes take Rust so much memory, some seventy times as many, that it is worth giving back at once.
const largeText = 256 << 10

// trim gives what C's allocator holds and does not use back to the system, which glibc does not do by itself.
func trim() { C.trim() }
