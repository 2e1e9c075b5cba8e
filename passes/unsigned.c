/* unsigned.c: quantised activations are stored as u8.
 *
 *     DQ(Q(x, s, z: i8), s', z': i8)   ->   DQ(Q(x, s, z + 128: u8), s', z' + 128: u8)
 *
 * The same floats, since both levels and zero points move by 128; NaN has the least level in both.
 * Processors multiply unsigned bytes by signed ones (VPDPBUSD); of signed activations a kernel
 * would have to flip a bit of every byte, each time it reads it.
 *
 * What the `qdq` pass moves as bytes has one type all along, so values that a moving operator lies
 * between change together or not at all; and they do for products only. */
#include <string.h>

#include "ir/op.h"
#include "passes/pass.h"

#define SHIFT 128

typedef struct Activation {
    Value *v; /* result of a quantisation, i8 */
    int up;   /* towards the first of its group, itself there */
    int readers;
    bool kept, read_by_product; /* of a group: at its first */
} Activation;

typedef struct Unsigned {
    PassContext *cx;
    Activation *a;
    int n, room;
    bool changed;
} Unsigned;

/* Whether scales are known, and so is the zero point, if there is one. */
static bool known(const Node *n)
{
    return n->in[1] && n->in[1]->data && (n->n_in < 3 || !n->in[2] || n->in[2]->data);
}

/* Of a value that may change: its place among the activations, else -1. */
static int find(const Unsigned *x, const Value *v)
{
    return v && v->mark >= 0 && v->mark < x->n && x->a[v->mark].v == v ? v->mark : -1;
}

static int first(Unsigned *x, int i)
{
    while (x->a[i].up != i)
        i = x->a[i].up = x->a[x->a[i].up].up;
    return i;
}

static void join(Unsigned *x, int i, int j)
{
    Activation *to = &x->a[i = first(x, i)], *from = &x->a[j = first(x, j)];

    from->up = i;
    to->kept |= from->kept;
    to->read_by_product |= from->read_by_product;
}

/* The quantised i8 value of which v is the floats, or NULL. */
static Value *bytes_of(const Value *v)
{
    return v && plays(v->def, QUANT_DEQUANTISE) && v->def->in[0]->type.dtype == DT_I8
               ? v->def->in[0]
               : NULL;
}

static Status add(Unsigned *x, Value *v)
{
    if (x->n == x->room) {
        int room = x->room ? 2 * x->room : 64;
        Activation *a = ARENA_ARRAY(x->cx->scratch, Activation, room);
        if (!a) return diag(x->cx->diag, ERR_LIMIT, (Where){0}, "no memory for activations");
        for (int i = 0; i < x->n; i++)
            a[i] = x->a[i];
        x->a = a;
        x->room = room;
    }
    v->mark = x->n;
    x->a[x->n] = (Activation){.v = v, .up = x->n};
    x->n++;
    return OK;
}

/* A moving operator between bytes and the quantisation q of its result: one type. */
static void moved(Unsigned *x, const Node *q)
{
    const Node *f = q->in[0]->def;
    int to = find(x, q->out[0]), from;

    if (!f || f->kind != NODE_OP || f->op->quant != QUANT_MOVE) return;
    for (int i = 0; i < f->n_in; i++) {
        if (!bytes_of(f->in[i])) continue;
        from = find(x, bytes_of(f->in[i]));
        if (from >= 0 && to >= 0) join(x, from, to);
        if (from < 0 && to >= 0) x->a[first(x, to)].kept = true;
        if (from >= 0 && to < 0) x->a[first(x, from)].kept = true;
    }
}

static Status collect(void *context, Node *n)
{
    Unsigned *x = context;
    int i;

    if (n->kind != NODE_OP) return OK;
    if (n->op->role == QUANT_QUANTISE && n->out[0]->type.dtype == DT_I8) {
        if (known(n)) TRY(add(x, n->out[0]));
        moved(x, n);
        return OK;
    }
    if (n->op->role == QUANT_DEQUANTISE) {
        i = find(x, n->in[0]);
        if (i >= 0 && known(n)) x->a[i].readers++;
        return OK;
    }
    i = n->n_in ? find(x, bytes_of(n->in[0])) : -1;
    if (i < 0) return OK;
    /* zeros put beside elements are bytes only where their zero point is 0 */
    if (n->op->traits & OP_FILLS) x->a[first(x, i)].kept = true;
    if (n->op->integer && n->n_in > 1 && n->in[1] && plays(n->in[1]->def, QUANT_DEQUANTISE))
        x->a[first(x, i)].read_by_product = true;
    return OK;
}

/* The zero point 128 above that of n, with the shape of its scales. */
static Tensor *shifted(Arena *a, const Node *n)
{
    const Tensor *zero = n->n_in > 2 && n->in[2] ? n->in[2]->data : NULL;
    const Tensor *like = zero ? zero : n->in[1]->data;
    Tensor *t = tensor_new(a, DT_U8, like->rank, like->dim);

    for (int64_t i = 0; t && i < t->count; i++)
        tensor_set_int(t, i, (zero ? tensor_int(zero, i) : 0) + SHIFT);
    return t;
}

/* n with its zero point 128 higher, of u8. */
static Status shift(Unsigned *x, Node *n)
{
    Build b = build_at(n->parent, n, n->origin, x->cx->diag);
    Tensor *zero = shifted(b.module->arena, n);
    Attr *attr = ARENA_ARRAY(b.module->arena, Attr, n->n_attr + 1);
    Node *r;

    if (!zero || !attr) return diag(x->cx->diag, ERR_LIMIT, node_where(n), "no memory");
    for (int i = 0; i < n->n_attr; i++) {
        attr[i] = n->attr[i];
        /* of a quantisation: the type of levels, which its zero point now says */
        if (n->op->role == QUANT_QUANTISE && strcmp(attr[i].name, "output_dtype") == 0)
            attr[i] = attr_of_int("output_dtype", 0);
    }
    Value *in[] = {value_resolve(n->in[0]), n->in[1], build_tensor(&b, zero)};
    r = build_op_node(&b, n->op->domain, n->op->name, 3, in, 1, n->n_attr, attr);
    TRY(b.status);
    r->out[0]->name = n->out[0]->name;
    value_replace(n->out[0], r->out[0]);
    node_unlink(n);
    x->changed = true;
    return OK;
}

static bool changes(Unsigned *x, int i)
{
    const Activation *head = i < 0 ? NULL : &x->a[first(x, i)];

    return head && !head->kept && head->read_by_product;
}

static Status change(void *context, Node *n)
{
    Unsigned *x = context;

    if (plays(n, QUANT_QUANTISE) && changes(x, find(x, n->out[0]))) return shift(x, n);
    if (plays(n, QUANT_DEQUANTISE) && changes(x, find(x, n->in[0]))) return shift(x, n);
    return OK;
}

Status pass_unsigned(PassContext *cx, Module *m, bool *changed)
{
    Unsigned x = {.cx = cx};
    bool any = false;

    TRY(module_visit(m, collect, &x));
    for (int i = 0; i < x.n; i++)
        if (x.a[i].readers != x.a[i].v->uses) x.a[first(&x, i)].kept = true;
    for (int i = 0; i < x.n; i++)
        any |= changes(&x, i);
    if (!any || !pass_accept(cx)) return OK;
    TRY(module_visit(m, change, &x));
    module_resolve(m);
    *changed = x.changed;
    return OK;
}
