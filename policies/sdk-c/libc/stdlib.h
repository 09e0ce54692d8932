// As much of the C library as a policy needs.
#pragma once
#include <stddef.h>

// Memory is never given back: each call has a fresh instance, and it ends with the call.
void *malloc(size_t size);
void *realloc(void *old, size_t size);
static inline void free(void *old) { (void)old; }
// The policy breaks, and so denies.
_Noreturn static inline void abort(void) { __builtin_trap(); }
