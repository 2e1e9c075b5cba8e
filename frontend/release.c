/* release.c: memory of a model's file that the graph no longer needs: constants that passes have
 * replaced.
 *
 * Only bytes that are known to be the elements of a tensor are given back, and of those only what
 * no constant or attribute of the graph lies in. What is given back cannot be read any more: a
 * mistake here would end the process, not give wrong numbers. */
#include <stdlib.h>

#include "frontend/frontend.h"
#include "support/vec.h"

typedef struct Spans {
    Arena *arena;
    FrontendSpan *item;
    int64_t n, cap;
} Spans;

static void keep(Spans *s, const Tensor *t)
{
    if (t && t->bytes) VEC_PUSH(s->arena, s->item, s->n, s->cap, (FrontendSpan){t->data, t->bytes});
}

static void keep_results(Spans *s, const Region *r)
{
    for (int i = 0; i < r->n_result; i++)
        if (r->result[i]) keep(s, r->result[i]->data);
}

static Status keep_node(void *context, Node *n)
{
    Spans *s = context;

    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) keep(s, n->in[i]->data);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) keep(s, n->out[i]->data);
    for (int i = 0; i < n->n_region; i++)
        keep_results(s, n->region[i]);
    for (int i = 0; i < n->n_attr; i++) {
        const Attr *a = &n->attr[i];
        keep(s, a->tensor);
        for (int k = 0; a->tensors && k < a->n; k++)
            keep(s, a->tensors[k]);
    }
    return OK;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const FrontendSpan *)a)->at;
    uintptr_t y = (uintptr_t)((const FrontendSpan *)b)->at;

    return x < y ? -1 : x > y;
}

static void give_back(Loaded *l, const uint8_t *from, const uint8_t *to)
{
    for (int i = -1; i < l->n_external; i++) {
        FileBytes *f = i < 0 ? &l->bytes : &l->external[i];
        uintptr_t first = (uintptr_t)f->data, at = (uintptr_t)from;
        if (!f->data || at < first || at - first >= f->size) continue;
        file_release(f, at - first, (size_t)(to - from));
    }
}

/* Both lists by address: of each candidate, what no kept span covers. */
static void give_back_rest(Loaded *l, const Spans *kept)
{
    const uint8_t *done = NULL; /* everything below is decided */
    int64_t k = 0;

    for (int64_t i = 0; i < l->n_span; i++) {
        const uint8_t *at = l->span[i].at, *end = at + l->span[i].size;
        if (at < done) at = done;
        for (; k < kept->n && at < end; k++) {
            const uint8_t *from = kept->item[k].at, *to = from + kept->item[k].size;
            if (from >= end) break;
            if (from > at) give_back(l, at, from);
            if (to > at) at = to;
        }
        if (at < end) give_back(l, at, end);
        done = at > end ? at : end;
    }
}

void frontend_release(Loaded *l)
{
    Spans kept = {.arena = arena_new(0)};

    if (!kept.arena) return;
    if (l->n_span && module_visit(l->module, keep_node, &kept) == OK) {
        keep_results(&kept, l->module->main);
        if (arena_ok(kept.arena)) {
            if (kept.n) qsort(kept.item, (size_t)kept.n, sizeof *kept.item, by_address);
            qsort(l->span, (size_t)l->n_span, sizeof *l->span, by_address);
            give_back_rest(l, &kept);
            l->n_span = 0;
        }
    }
    arena_free(kept.arena);
}
