/* rt_text.c: see rt_text.h. The bytes lie in blocks that are only ever added to, so that strings
 * may point into them from anywhere: kernels and loops move strings as pointers. */
#include "runtime/rt_text.h"

#include <string.h>

enum { LEAST_BLOCK = 4096 };

struct RtTextBlock {
    RtTextBlock *next; /* older */
    size_t size, used; /* of what follows the header */
};

static void release(ingot_instance *m, RtTextBlock *block)
{
    RtBlock b = {block, sizeof *block + block->size};

    m->memory_used -= (int64_t)b.size;
    ingot_rt_release(&m->memory, &b);
}

void ingot_rt_text_reset(ingot_instance *m, bool all)
{
    while (m->text && (all || m->text->next)) {
        RtTextBlock *block = m->text;
        m->text = block->next;
        release(m, block);
    }
    if (m->text) m->text->used = 0;
}

static RtTextBlock *new_block(const ingot_call_args *a, int64_t bytes)
{
    ingot_instance *m = a->call->instance;
    RtBlock b = {0};
    RtTextBlock *block;
    size_t size = m->text ? m->text->size * 2 : LEAST_BLOCK;

    if (size < (size_t)bytes) size = (size_t)bytes;
    if (m->memory_limit > 0 && (int64_t)(size + sizeof *block) > m->memory_limit - m->memory_used)
        size = (size_t)bytes;
    if (m->memory_limit > 0 && (int64_t)(size + sizeof *block) > m->memory_limit - m->memory_used) {
        ingot_rt_fail(a->call, INGOT_ERR_LIMIT, a->origin,
                      "%lld bytes of strings would be over the memory limit of %lld", bytes,
                      m->memory_limit);
        return NULL;
    }
    if (!ingot_rt_grow(&m->memory, &b, sizeof *block + size)) {
        ingot_rt_fail(a->call, INGOT_ERR_LIMIT, a->origin, "no memory for %lld bytes of strings",
                      bytes, 0);
        return NULL;
    }
    block = b.data;
    *block = (RtTextBlock){m->text, b.size - sizeof *block, 0};
    m->memory_used += (int64_t)b.size;
    m->text = block;
    return block;
}

char *ingot_rt_text(const ingot_call_args *a, int64_t bytes)
{
    RtTextBlock *block = a->call->instance->text;
    char *p;

    if (bytes < 0 || bytes > INT64_MAX / 4) {
        ingot_rt_fail(a->call, INGOT_ERR_LIMIT, a->origin, "no memory for %lld bytes of strings",
                      bytes, 0);
        return NULL;
    }
    if (!block || (size_t)bytes > block->size - block->used) block = new_block(a, bytes);
    if (!block) return NULL;
    p = (char *)(block + 1) + block->used;
    block->used += (size_t)bytes;
    return p;
}

int32_t ingot_rt_utf8_decode(const char *s, int64_t left, int64_t *n)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s;
    int32_t c = p[0];
    int length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    *n = 1;
    if (length == 1) return c;
    if (length == 0 || length > left) return -1;
    c &= 0x7f >> length;
    for (int i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return -1;
    *n = length;
    return c;
}

int64_t ingot_rt_utf8_encode(int32_t c, char *out)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (int i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

int64_t ingot_rt_broadcast_element(const ingot_tensor *x, const ingot_tensor *result, int64_t at)
{
    int64_t stride = 1, element = 0;

    for (int32_t i = x->rank - 1; i >= 0; i--) {
        int64_t extent = result->dims[i + result->rank - x->rank];
        if (x->dims[i] != 1) element += at % extent * stride;
        at /= extent;
        stride *= x->dims[i];
    }
    return element;
}
