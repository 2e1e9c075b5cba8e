/* bf16.c: products of numbers rounded to bf16, or split in two, where --math bf16 or bf16x3 asks.
 *
 *     dot(x[m, k], w[n, k])   ->   dot(f32(x'[m, k]), f32(w'[n, k])) pairs     x', w' bf16
 *
 * The products of two such numbers are exact in f32, and sums stay f32. Known weights are rounded
 * here. Of what is read, the kernel that makes it writes a second result (or, where nobody wants
 * the first, that one only), rounded; what no kernel makes is rounded by a kernel of its own.
 *
 * With --math bf16x3 what is rounded off is kept, rounded in turn, and the sum is one of
 *
 *     (f32(x'[m, k]) + f32(x"[m, k])) * (f32(w'[n, k]) + f32(w"[n, k])),   x" = bf16(x - x')
 *
 * which holds 16 bits of each, and which tiles of AMX compute as three sums of products of bf16.
 *
 * Taken: f32, weights that are known, in chain order, the operand read where it lies with k
 * contiguous and even, so that a target with products of pairs can use them. A target without such
 * products computes the same, without gain.
 *
 * Ends: each change removes a sum of products of an f32 operand. */
#include "passes/fuse_inline.h"

#include <math.h>
#include <string.h>

#include "ir/build.h"
#include "support/vec.h"

enum {
    LEAST_K = 32,   /* below, rounding costs more than products save */
    LEAST_RUN = 16, /* split: along the last index of k, and */
    LEAST_ROWS = 8, /* of x, for tiles to be worth it */
    PARTS = 2
};

/* What reads a value. */
typedef struct Readers {
    int n, wanting; /* of them, sums that want it rounded and read it nowhere else */
} Readers;

typedef struct Want {
    Node *n;
    const Sx *x, *w; /* loads */
    int parts;
} Want;

typedef struct Bf16 {
    PassContext *cx;
    Module *m;
    Map readers;     /* Value * -> Readers * */
    Map part[PARTS]; /* Value * -> Value *: rounded, and what that leaves, rounded */
    Want *want;
    int n_want, cap_want;
} Bf16;

/* ---- which sums ---- */

static bool is_plain(const Node *n, const Sx *e)
{
    return e->op == SX_LOAD && e->dtype == DT_F32 && e->src >= 0 && !e->guarded && !e->flat &&
           e->n > 0 && n->in[e->src];
}

static bool k_is_even(const Stage *s, const Sx *x)
{
    const Sx *last = x->arg[x->n - 1];
    Dim k;

    if (last->op != SX_INDEX || last->index < s->rank) return false;
    k = s->reduce[last->index - s->rank];
    return dim_is_const(k) && k->value % 2 == 0;
}

static bool sides_of(const Node *n, const Stage *s, const Sx *x, const Sx *w, Want *out)
{
    if (!is_plain(n, x) || !is_plain(n, w)) return false;
    if (n->in[x->src]->data || !n->in[w->src]->data || !k_is_even(s, x)) return false;
    *out = (Want){.n = (Node *)(uintptr_t)n, .x = x, .w = w};
    return true;
}

/* Whether tiles may be worth it. */
static bool splits(Bf16 *b, const Stage *s, const Want *w)
{
    const Sx *last = w->x->arg[w->x->n - 1];
    Dim rows = dim_const(&b->m->dims, 1);

    for (int i = 0; i < s->rank; i++)
        if (sx_uses_index(&b->m->sx, w->x, i)) rows = dim_mul(&b->m->dims, rows, s->extent[i]);
    return s->reduce[last->index - s->rank]->value >= LEAST_RUN &&
           !(dim_is_const(rows) && rows->value < LEAST_ROWS);
}

static bool wants(Bf16 *b, const Node *n, MathKind how, Want *out)
{
    const Stage *s;
    Dim k = dim_const(&b->m->dims, 1);

    if (n->kind != NODE_KERNEL || n->kernel->n_stage != 1) return false;
    s = &n->kernel->stage[0];
    if (s->n_acc != 1 || s->acc[0].monoid != MONOID_DOT || s->acc[0].dtype != DT_F32 ||
        s->order != ORDER_CHAIN)
        return false;
    for (int i = 0; i < s->n_reduce; i++)
        k = dim_mul(&b->m->dims, k, s->reduce[i]);
    if (k->lo < LEAST_K) return false;
    if (!sides_of(n, s, s->acc[0].body, s->acc[0].body2, out) &&
        !sides_of(n, s, s->acc[0].body2, s->acc[0].body, out))
        return false;
    out->parts = how == MATH_BF16X3 ? PARTS : 1;
    return out->parts == 1 || splits(b, s, out);
}

static Readers *readers_of(Bf16 *b, const Value *v)
{
    Readers *r = map_get(&b->readers, v);

    if (!r) {
        r = ARENA_NEW(b->cx->scratch, Readers);
        map_set(&b->readers, v, r);
    }
    return r;
}

typedef struct Loads {
    const Node *n;
    const Value *v;
    bool any;
} Loads;

static void look(void *context, const Sx *e)
{
    Loads *l = context;

    if ((e->op == SX_LOAD || e->op == SX_CHECK) && e->src >= 0 && l->n->in[e->src] == l->v)
        l->any = true;
}

/* Whether the results read v, besides the sum. */
static bool reads_besides(Bf16 *b, const Node *n, const Value *v)
{
    const Stage *s = &n->kernel->stage[0];
    Loads l = {n, v, false};

    for (int j = 0; j < s->n_out; j++) {
        sx_visit(&b->m->sx, s->out[j].value, look, &l);
        for (int i = 0; i < s->out[j].n_dst; i++)
            sx_visit(&b->m->sx, s->out[j].dst[i], look, &l);
    }
    if (s->acc[0].where) sx_visit(&b->m->sx, s->acc[0].where, look, &l);
    return l.any;
}

static Status note(void *context, Node *n)
{
    Bf16 *b = context;
    MathKind how;
    Want w;

    for (int i = 0; i < n->n_in; i++) {
        bool again = false;
        for (int k = 0; k < i; k++)
            again |= n->in[k] == n->in[i];
        if (n->in[i] && !again) readers_of(b, n->in[i])->n++;
    }
    for (int k = 0; k < n->n_region; k++)
        for (int i = 0; i < n->region[k]->n_result; i++)
            readers_of(b, n->region[k]->result[i])->n++;
    how = n->kind == NODE_KERNEL ? math_of(b->cx->options, n) : MATH_EXACT;
    if ((how != MATH_BF16 && how != MATH_BF16X3) || !wants(b, n, how, &w)) return OK;
    VEC_PUSH(b->cx->scratch, b->want, b->n_want, b->cap_want, w);
    if (!reads_besides(b, n, n->in[w.x->src])) readers_of(b, n->in[w.x->src])->wanting++;
    return OK;
}

/* ---- rounding ---- */

static uint16_t round_bits(uint32_t u)
{
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40); /* NaN */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static float widened(uint16_t u)
{
    uint32_t bits = (uint32_t)u << 16;
    float v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static Value *rounded_weights(Bf16 *b, Value *v, int part)
{
    const Tensor *from = v->data;
    Tensor *t = tensor_new(b->m->arena, DT_BF16, from->rank, from->dim);
    const uint32_t *u = from->data;

    for (int64_t i = 0; t && i < from->count; i++) {
        uint16_t high = round_bits(u[i]);
        float rest = isinf(widened(high)) ? 0 : ((const float *)from->data)[i] - widened(high);
        uint32_t bits;
        memcpy(&bits, &rest, sizeof bits);
        ((uint16_t *)t->data)[i] = part ? round_bits(bits) : high;
    }
    return t ? module_constant(b->m, t, part ? NULL : v->name) : NULL;
}

/* A part of x, which is f32. An infinite one leaves nothing. */
static const Sx *part_of(SxTable *t, const Sx *x, int part)
{
    const Sx *high = sx_cast(t, x, DT_BF16), *wide, *finite, *rest;

    if (!part) return high;
    wide = sx_cast(t, high, DT_F32);
    finite = sx_lt(t, sx_abs(t, wide), sx_const(t, DT_F32, INFINITY));
    rest = sx_select(t, finite, sx_sub(t, x, wide), sx_const(t, DT_F32, 0));
    return sx_cast(t, rest, DT_BF16);
}

/* The result of a kernel's last stage that v is; NULL: another kind of value. */
static StageOut *maker_of(const Value *v, Stage **stage)
{
    const Node *n = v->def;
    Stage *s;

    if (!n || n->kind != NODE_KERNEL) return NULL;
    *stage = s = &n->kernel->stage[n->kernel->n_stage - 1];
    for (int j = 0; j < s->n_out; j++)
        if (s->out[j].result == v->index) return s->out[j].dst ? NULL : &s->out[j];
    return NULL;
}

/* The maker's stages are its own before they change. */
static void own_kernel(Bf16 *b, Node *n)
{
    Kernel *k = arena_copy(b->m->arena, n->kernel, sizeof *k);

    k->stage = arena_copy(b->m->arena, k->stage, sizeof(Stage) * (size_t)k->n_stage);
    for (int i = 0; i < k->n_stage; i++)
        k->stage[i].out =
            arena_copy(b->m->arena, k->stage[i].out, sizeof(StageOut) * (size_t)k->stage[i].n_out);
    n->kernel = k;
}

/* What a result was before it was rounded. */
static const Sx *before_rounding(SxTable *t, const StageOut *o)
{
    if (o->dtype != DT_BF16) return o->value;
    return o->value->op == SX_CAST && o->value->arg[0]->dtype == DT_F32
               ? o->value->arg[0]
               : sx_cast(t, o->value, DT_F32);
}

static void narrow_in_place(Bf16 *b, Value *v)
{
    Stage *s;
    StageOut *o;

    own_kernel(b, v->def);
    o = maker_of(v, &s);
    o->dtype = DT_BF16;
    o->value = part_of(&b->m->sx, o->value, 0);
    v->type.dtype = DT_BF16;
}

/* Another result of v's maker. */
static Value *more_result(Bf16 *b, Value *v, int part)
{
    Arena *a = b->m->arena;
    Node *n = v->def;
    Stage *s;
    StageOut o, *out;
    Value *y;

    own_kernel(b, n);
    o = *maker_of(v, &s);
    o.value = part_of(&b->m->sx, before_rounding(&b->m->sx, &o), part);
    o.dtype = DT_BF16;
    o.result = n->n_out;
    out = ARENA_ARRAY(a, StageOut, s->n_out + 1);
    memcpy(out, s->out, sizeof *out * (size_t)s->n_out);
    out[s->n_out++] = o;
    s->out = out;
    y = node_add_result(n, v->type);
    y->type.dtype = DT_BF16;
    return y;
}

/* By a kernel of its own. */
static Value *apart(Bf16 *b, Value *v, int part, Status *status)
{
    Region *at = v->def ? v->def->parent : v->region;
    Build build = build_at(at, v->def ? v->def->next : at->first, v->def ? v->def->origin : NULL,
                           b->cx->diag);
    const Sx *x = sx_operand(&build, 0, v, v->type.rank, v->type.dim);
    Value *y = build_map(&build, "cast", 1, &v, DT_BF16, v->type.rank, v->type.dim,
                         part_of(build.sx, x, part));

    *status = build.status;
    return y;
}

static Value *rounded(Bf16 *b, Value *v, int part, Status *status)
{
    Value *y = map_get(&b->part[part], v);
    const Readers *r = readers_of(b, v);
    Stage *s;

    if (y) return y;
    if (v->data) {
        y = rounded_weights(b, v, part);
    } else if (!maker_of(v, &s)) {
        y = apart(b, v, part, status);
    } else if (!part && r->n == r->wanting) {
        narrow_in_place(b, v);
        y = v;
    } else {
        y = more_result(b, v, part);
    }
    if (y)
        map_set(&b->part[part], v, y);
    else if (*status == OK)
        *status = diag(b->cx->diag, ERR_LIMIT, (Where){.file = b->m->file}, "out of memory");
    return y;
}

/* The parts of what `load` reads, summed in f32. */
static const Sx *load_parts(Bf16 *b, Operands *o, const Node *n, const Sx *load, int parts,
                            Status *status)
{
    SxTable *t = &b->m->sx;
    const Sx *sum = NULL;

    for (int p = 0; p < parts; p++) {
        Value *v = rounded(b, n->in[load->src], p, status);
        const Sx *x;
        if (!v) return NULL;
        x = sx_load(t, DT_BF16, operand_of(o, v), load->n, load->arg, NULL);
        x = sx_cast(t, x, DT_F32);
        sum = sum ? sx_add(t, sum, x) : x;
    }
    return sum;
}

static Status change(Bf16 *b, const Want *want)
{
    Node *n = want->n;
    Status status = OK;
    Kernel *k = arena_copy(b->m->arena, n->kernel, sizeof *k);
    Stage *s = arena_copy(b->m->arena, k->stage, sizeof *s);
    Acc *acc = arena_copy(b->m->arena, s->acc, sizeof *acc);
    Operands o;

    operands_start(&o, b->m);
    for (int i = 0; i < n->n_in; i++)
        VEC_PUSH(b->m->arena, o.value, o.n, o.cap, n->in[i]);
    acc->body = load_parts(b, &o, n, want->x, want->parts, &status);
    acc->body2 = acc->body ? load_parts(b, &o, n, want->w, want->parts, &status) : NULL;
    if (!acc->body2) return status;
    s->acc = acc;
    s->order = ORDER_PAIRS;
    k->stage = s;
    n->kernel = k;
    operands_finish(&o, n);
    return OK;
}

Status pass_bf16(PassContext *cx, Module *m, bool *changed)
{
    Bf16 b = {.cx = cx, .m = m};

    if (!cx->options->n_math) return OK;
    map_init(&b.readers, cx->scratch, false);
    for (int p = 0; p < PARTS; p++)
        map_init(&b.part[p], cx->scratch, false);
    TRY(module_visit(m, note, &b));
    for (int i = 0; i < m->main->n_result; i++)
        readers_of(&b, m->main->result[i])->n++;
    for (int i = 0; i < b.n_want; i++) {
        if (!pass_accept(cx)) return OK;
        TRY(change(&b, &b.want[i]));
        *changed = true;
    }
    return OK;
}
