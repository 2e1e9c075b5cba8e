/* sx_rewrite.c: walks over expressions: rewriting, visiting, ranges, linear forms.
 *
 * An expression may be thousands of nodes deep, so nothing here recurses: sx_walk lists the
 * distinct nodes, arguments before users, and each walk goes along that list with an array of
 * results beside it. */
#include "ir/sx_impl.h"

#include "support/checked.h"
#include "support/map.h"

void *sx_scratch(SxTable *t, size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);

    if (!p && t) (void)arena_try(t->arena, SIZE_MAX, 2); /* refuses, which marks the arena */
    return p;
}

void sx_walk_free(SxWalk *w)
{
    free(w->node);
    free(w->slot);
    *w = (SxWalk){0};
}

static size_t slot_of(const SxWalk *w, const Sx *e)
{
    size_t at = (e->id * 0x9e3779b1u) & (w->n_slot - 1);

    while (w->slot[at] && w->node[w->slot[at] - 1] != e) {
        at = (at + 1) & (w->n_slot - 1);
    }
    return at;
}

size_t sx_walk_at(const SxWalk *w, const Sx *e)
{
    return w->slot[slot_of(w, e)] - 1;
}

static bool walk_grow(SxTable *t, SxWalk *w)
{
    size_t n = w->cap ? w->cap * 2 : 32;
    const Sx **node = sx_scratch(t, n, sizeof *node);
    uint32_t *slot = sx_scratch(t, n * 2, sizeof *slot);

    if (!node || !slot || n > UINT32_MAX / 2) {
        free(node);
        free(slot);
        return false;
    }
    if (w->n) memcpy(node, w->node, w->n * sizeof *node);
    free(w->node);
    free(w->slot);
    *w = (SxWalk){.node = node, .n = w->n, .cap = n, .slot = slot, .n_slot = n * 2};
    for (size_t i = 0; i < w->n; i++) {
        w->slot[slot_of(w, w->node[i])] = (uint32_t)i + 1;
    }
    return true;
}

static bool walk_add(SxTable *t, SxWalk *w, const Sx *e)
{
    if (w->n == w->cap && !walk_grow(t, w)) return false;
    size_t at = slot_of(w, e);
    w->node[w->n++] = e;
    w->slot[at] = (uint32_t)w->n;
    return true;
}

typedef struct Pending {
    const Sx *e;
    int next; /* the argument to look at next */
} Pending;

typedef struct PendingStack {
    Pending *item;
    size_t n, cap;
} PendingStack;

static bool push(SxTable *t, PendingStack *s, const Sx *e)
{
    if (s->n == s->cap) {
        size_t n = s->cap ? s->cap * 2 : 32;
        Pending *item = sx_scratch(t, n, sizeof *item);
        if (!item) return false;
        if (s->n) memcpy(item, s->item, s->n * sizeof *item);
        free(s->item);
        s->item = item;
        s->cap = n;
    }
    s->item[s->n++] = (Pending){e, 0};
    return true;
}

static bool walk_from(SxTable *t, const Sx *e, SxWalk *w, PendingStack *s)
{
    if (!walk_grow(t, w) || !push(t, s, e)) return false;
    while (s->n) {
        Pending *p = &s->item[s->n - 1];
        if (p->next < p->e->n) {
            const Sx *a = p->e->arg[p->next++];
            if (!w->slot[slot_of(w, a)] && !push(t, s, a)) return false;
            continue;
        }
        s->n--;
        if (!w->slot[slot_of(w, p->e)] && !walk_add(t, w, p->e)) return false;
    }
    return true;
}

bool sx_walk(SxTable *t, const Sx *e, SxWalk *w)
{
    PendingStack stack = {0};

    *w = (SxWalk){0};
    bool ok = walk_from(t, e, w, &stack);
    free(stack.item);
    if (!ok) sx_walk_free(w);
    return ok;
}

static const Sx *rewrite_node(SxTable *t, const Sx *e, const Sx *const *arg, SxMap map,
                              void *context)
{
    bool changed = false;

    for (int i = 0; i < e->n; i++) {
        changed = changed || arg[i] != e->arg[i];
    }
    const Sx *now = changed ? sx_rebuild(t, e, arg) : e;
    bool asked = now->n == 0 || now->op == SX_LOAD || now->op == SX_CHECK;
    bool was_asked = e->n == 0 || e->op == SX_LOAD || e->op == SX_CHECK;
    const Sx *mapped = asked && was_asked ? map(context, now) : NULL;
    return mapped ? mapped : now;
}

const Sx *sx_rewrite(SxTable *t, const Sx *e, SxMap map, void *context)
{
    SxWalk w;
    const Sx *arg[SX_MAX_ARGS];
    const Sx **to;

    if (!sx_walk(t, e, &w)) return e;
    to = sx_scratch(t, w.n, sizeof *to);
    for (size_t i = 0; to && i < w.n; i++) {
        const Sx *from = w.node[i];
        for (int k = 0; k < from->n; k++) {
            arg[k] = to[sx_walk_at(&w, from->arg[k])];
        }
        to[i] = rewrite_node(t, from, arg, map, context);
    }
    if (to) e = to[w.n - 1];
    free(to);
    sx_walk_free(&w);
    return e;
}

void sx_visit(SxTable *t, const Sx *e, SxVisit visit, void *context)
{
    SxWalk w;

    if (!sx_walk(t, e, &w)) return;
    for (size_t i = 0; i < w.n; i++) {
        visit(context, w.node[i]);
    }
    sx_walk_free(&w);
}

bool sx_uses_index(SxTable *t, const Sx *e, int k)
{
    SxWalk w;
    bool found = false;

    if (!sx_walk(t, e, &w)) return true; /* the safe answer; the arena is marked */
    for (size_t i = 0; i < w.n; i++) {
        found = found || (w.node[i]->op == SX_INDEX && w.node[i]->index == k);
    }
    sx_walk_free(&w);
    return found;
}

/* Linear forms. Of each node: stride and rest, or neither when it is not linear. */

typedef struct Linear {
    const Sx *stride, *rest;
} Linear;

static bool is_free(const Linear *l)
{
    return l->stride && l->stride->op == SX_CONST && l->stride->bits == 0;
}

static Linear linear_scaled(SxTable *t, const Linear *a, const Sx *by)
{
    return (Linear){sx_mul(t, a->stride, by), sx_mul(t, a->rest, by)};
}

static Linear linear_of(SxTable *t, const Sx *e, int k, const Linear *const *arg)
{
    const Sx *zero = sx_const_int(t, DT_I64, 0);
    bool all_free = true;

    if (e->op == SX_INDEX && e->index == k) return (Linear){sx_const_int(t, DT_I64, 1), zero};
    for (int i = 0; i < e->n; i++) {
        all_free = all_free && is_free(arg[i]);
    }
    if (all_free) return (Linear){zero, e};
    if (e->dtype != DT_I64 || (e->n == 2 && (!arg[0]->stride || !arg[1]->stride))) {
        return (Linear){0};
    }
    switch ((int)e->op) {
    case SX_ADD:
        return (Linear){sx_add(t, arg[0]->stride, arg[1]->stride),
                        sx_add(t, arg[0]->rest, arg[1]->rest)};
    case SX_SUB:
        return (Linear){sx_sub(t, arg[0]->stride, arg[1]->stride),
                        sx_sub(t, arg[0]->rest, arg[1]->rest)};
    case SX_MUL:
        if (is_free(arg[1])) return linear_scaled(t, arg[0], e->arg[1]);
        return is_free(arg[0]) ? linear_scaled(t, arg[1], e->arg[0]) : (Linear){0};
    case SX_NEG:
        if (!arg[0]->stride) return (Linear){0};
        return (Linear){sx_neg(t, arg[0]->stride), sx_neg(t, arg[0]->rest)};
    default:
        return (Linear){0}; /* nothing else keeps a line straight */
    }
}

bool sx_linear(SxTable *t, const Sx *e, int k, const Sx **stride, const Sx **rest)
{
    SxWalk w;
    Linear *line;
    const Linear *arg[SX_MAX_ARGS];
    bool ok = false;

    if (e->dtype != DT_I64 || !sx_walk(t, e, &w)) return false;
    line = sx_scratch(t, w.n, sizeof *line);
    for (size_t i = 0; line && i < w.n; i++) {
        for (int j = 0; j < w.node[i]->n; j++) {
            arg[j] = &line[sx_walk_at(&w, w.node[i]->arg[j])];
        }
        line[i] = linear_of(t, w.node[i], k, arg);
    }
    if (line && line[w.n - 1].stride) {
        *stride = line[w.n - 1].stride;
        *rest = line[w.n - 1].rest;
        ok = true;
    }
    free(line);
    sx_walk_free(&w);
    return ok;
}
