// As much of the C library as a policy needs: there is no host to ask for anything.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Where data and stack end; the linker sets it.
extern unsigned char __heap_base;
static unsigned char *next = &__heap_base;

enum { ALIGN = 16, PAGE = 65536 };

// A block has its size before it, in a place of its own of ALIGN bytes.
void *malloc(size_t size) {
    if (size > SIZE_MAX / 2) abort();
    unsigned char *block = (unsigned char *)(((uintptr_t)next + 2 * ALIGN - 1) / ALIGN * ALIGN);
    size_t end = (uintptr_t)block + size, has = __builtin_wasm_memory_size(0) * PAGE;
    if (end < size || (end > has && __builtin_wasm_memory_grow(0, (end - has + PAGE - 1) / PAGE) == (size_t)-1)) abort();
    *(size_t *)(block - sizeof(size_t)) = size;
    next = block + size;
    return block;
}

void *realloc(void *old, size_t size) {
    if (old == NULL) return malloc(size);
    size_t had = *(size_t *)((unsigned char *)old - sizeof(size_t));
    if (size <= had) return old;
    return memcpy(malloc(size), old, had);
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    for (size_t i = 0; i < size; i++) ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

void *memset(void *to, int byte, size_t size) {
    for (size_t i = 0; i < size; i++) ((unsigned char *)to)[i] = (unsigned char)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i]) return x[i] - y[i];
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}
