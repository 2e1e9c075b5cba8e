/* weights.c: pieces of weights, made and written one at a time. */
#include "codegen/weights.h"

#include <stdint.h>

const void *weights_bytes(const WeightBytes *b, Arena *scratch)
{
    void *made;

    if (b->data || !b->fill) return b->data;
    made = arena_try(scratch, b->size, 1);
    if (made) b->fill(b->context, made);
    return made;
}

static Status write_zeros(size_t n, Status (*put)(void *context, const void *data, size_t size),
                          void *context)
{
    static const uint8_t zeros[4096];

    for (size_t step; n; n -= step) {
        step = n < sizeof zeros ? n : sizeof zeros;
        TRY(put(context, zeros, step));
    }
    return OK;
}

Status weights_write(const Weights *w, Status (*put)(void *context, const void *data, size_t size),
                     void *context, Diag *d)
{
    Arena *scratch = arena_new(0);
    ArenaMark mark;
    Status s = OK;
    size_t at = 0;

    if (!scratch) return diag(d, ERR_LIMIT, (Where){0}, "no memory for weights");
    mark = arena_mark(scratch);
    for (int i = 0; i < w->n && s == OK; i++) {
        const WeightPiece *p = &w->piece[i];
        const void *data = weights_bytes(&p->bytes, scratch);
        if (!data && p->bytes.size)
            s = diag(d, ERR_LIMIT, (Where){0}, "no memory for %zu bytes of weights", p->bytes.size);
        if (s == OK) s = write_zeros(p->at - at, put, context);
        if (s == OK && p->bytes.size) s = put(context, data, p->bytes.size);
        at = p->at + p->bytes.size;
        arena_reset(scratch, mark);
    }
    if (s == OK) s = write_zeros(w->size - at, put, context);
    arena_free(scratch);
    return s;
}
