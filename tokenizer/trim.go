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

// largeText is the length in bytes from which Rust's memory, about seventy times as
// much, is worth returning to the system at once.
const largeText = 256 << 10

// trim returns memory that C's allocator holds and does not use to the system. glibc
// does not do so by itself.
func trim() { C.trim() }
