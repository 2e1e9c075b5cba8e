/* onnx_control.c: nodes that hold graphs.
 *
 * The types of a body's arguments follow from what goes in. For values that a loop carries that is
 * the type of the first round alone; whether it holds for all of them is seen when the body has
 * been imported: where the body gives another dim than it took, the dim becomes a symbol of the
 * body's own, where it gives another rank, the rank becomes unknown, and the body is imported
 * again. Each round makes something wider, so it ends; after ROUNDS everything is made wide at
 * once. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

enum { ROUNDS = 4 };

Node *import_if(Importer *im, Region *r, Value *condition, int n_out, const Origin *origin)
{
    static const char *const branch[2] = {"then_branch", "else_branch"};
    Node *n = node_new(r, NULL, NODE_OP, 1, &condition, n_out, origin);
    Attr *attr = ARENA_ARRAY(im->arena, Attr, 2);

    n->op = op_find("", "If");
    n->attr = attr;
    n->n_attr = 2;
    for (int i = 0; i < 2; i++) {
        attr[i] = (Attr){.name = branch[i], .kind = ATTR_REGION, .i = i};
        node_add_region(n);
    }
    return n;
}

Status import_joined(Importer *im, Node *n)
{
    Build before = build_at(n->parent, n, n->origin, im->diag);
    Infer cx = {.module = im->module, .build = &before, .diag = im->diag};

    TRY(op_infer(&cx, n));
    return before.status;
}

/* A body whose loop-carried values are args [first, first + n) and results [result, result + n). */
typedef struct Carried {
    int n_types;
    Type *types;
    bool (*wide)[MAX_RANK]; /* dims that are symbols of the body already */
    int first, n, result;
} Carried;

static void widen_dims(Importer *im, Type *t, bool *wide, const Type *other)
{
    Dim *dim = ARENA_ARRAY(im->arena, Dim, t->rank);

    for (int i = 0; i < t->rank; i++) {
        dim[i] = t->dim[i];
        if (wide[i] || (other && dim_equal(dim[i], other->dim[i]))) continue;
        dim[i] = dim_fresh(&im->module->dims, "c", 0, INT32_MAX);
        wide[i] = true;
    }
    t->dim = dim;
}

/* A sequence's element, or what an optional holds. */
static bool widen_elem(Importer *im, Type *t, const Type *other)
{
    Type both;

    if (!t->elem) return false;
    if (!other) {
        if (t->elem->kind != TYPE_TENSOR || t->elem->rank == RANK_UNKNOWN) return false;
        both = type_tensor(t->elem->dtype, RANK_UNKNOWN, NULL);
    } else {
        /* a value goes for an optional that holds it: see wrap_carried */
        const Type *elem =
            t->kind == TYPE_OPTIONAL && other->kind != TYPE_OPTIONAL ? other : other->elem;
        if (!elem || !type_join(&im->module->dims, im->arena, t->elem, elem, &both) ||
            type_equal(&both, t->elem))
            return false;
    }
    t->elem = arena_copy(im->arena, &both, sizeof both);
    return true;
}

/* Make t as wide as `other` needs; true when it was changed. other NULL: as wide as can be. */
static bool widen(Importer *im, Type *t, bool *wide, const Type *other)
{
    if (t->kind == TYPE_SEQUENCE || t->kind == TYPE_OPTIONAL) return widen_elem(im, t, other);
    if (t->kind != TYPE_TENSOR || t->rank == RANK_UNKNOWN) return false;
    if (other && other->kind == TYPE_OPTIONAL) {
        *t = *other;
        return true;
    }
    if (other && other->kind != TYPE_TENSOR) return false;
    if (other && other->rank != t->rank) {
        t->rank = RANK_UNKNOWN;
        t->dim = NULL;
        return true;
    }
    for (int i = 0; i < t->rank; i++) {
        if (wide[i] || (other && dim_equal(t->dim[i], other->dim[i]))) continue;
        widen_dims(im, t, wide, other);
        return true;
    }
    return false;
}

/* Widen all carried arguments to what the body gives back; body NULL: all the way. */
static bool widen_carried(Importer *im, Carried *c, const Region *body)
{
    bool changed = false;

    for (int i = 0; i < c->n; i++) {
        int k = c->result + i;
        if (body && (k >= body->n_result || body->result[k] == im->poison)) continue;
        const Type *other = body ? &body->result[k]->type : NULL;
        changed |= widen(im, &c->types[c->first + i], c->wide[i], other);
    }
    return changed;
}

static Status try_body(Importer *im, const GraphArg *g, Node *n, const Carried *c)
{
    n->region[0] = region_new(im->module, n);
    return import_region(im, g, n->region[0], c->n_types, c->types);
}

/* One import whose faults are not told unless they end everything. */
static Status try_quietly(Importer *im, const GraphArg *g, Node *n, const Carried *c)
{
    Diag *told = im->diag, quiet;

    diag_init(&quiet, im->scratch);
    im->diag = im->tensors.diag = &quiet;
    im->tentative++;
    Status s = try_body(im, g, n, c);
    im->tentative--;
    im->diag = im->tensors.diag = told;
    if (s != OK && s != ERR_MODEL && s != ERR_UNSUPPORTED) diag_merge(told, &quiet);
    return s;
}

/* x: a Loop whose first round may stand before it, or NULL. */
static Status import_loop_body(Importer *im, const GraphArg *g, Node *n, Carried *c, Draft *x)
{
    for (int round = 0;; round++) {
        Status s = try_quietly(im, g, n, c);
        if (s != OK && s != ERR_MODEL && s != ERR_UNSUPPORTED) return s;
        if (round == 0 && x && !x->whole && loop_peels(x, n->region[0])) {
            x->peel = true;
            return OK;
        }
        bool wider = round < ROUNDS && widen_carried(im, c, n->region[0]);
        if (!wider && (s != OK || round >= ROUNDS)) wider = widen_carried(im, c, NULL);
        if (wider) continue;
        return s == OK ? OK : try_body(im, g, n, c); /* once more, to tell the faults */
    }
}

/* Where a body gives a value and takes an optional, it gives an optional. */
static Status wrap_carried(Importer *im, Node *n, const Carried *c)
{
    Region *r = n->region[0];
    Build b = build_at(r, NULL, n->origin, im->diag);

    for (int i = 0; i < c->n && c->result + i < r->n_result; i++) {
        Value **v = &r->result[c->result + i];
        if (c->types[c->first + i].kind != TYPE_OPTIONAL || *v == im->poison) continue;
        if ((*v)->type.kind != TYPE_OPTIONAL && (*v)->type.kind != TYPE_UNKNOWN)
            *v = build_op1(&b, "Optional", *v);
    }
    return b.status;
}

static Status import_loop(Importer *im, Draft *x, Node *n)
{
    Carried c = {.first = 2, .result = 1};

    c.n = n->n_in > 2 ? n->n_in - 2 : 0;
    c.n_types = c.n + 2;
    c.types = ARENA_ARRAY(im->scratch, Type, c.n_types);
    c.wide = arena_try(im->scratch, (size_t)c.n, sizeof *c.wide);
    if (!c.types || !c.wide) return import_limits(im);
    c.types[0] = type_tensor(DT_I64, 0, NULL);
    c.types[1] = type_tensor(DT_BOOL, 0, NULL);
    for (int i = 0; i < c.n; i++)
        if (n->in[i + 2]) c.types[i + 2] = n->in[i + 2]->type;
    TRY(import_loop_body(im, x->graph, n, &c, x));
    return x->peel ? OK : wrap_carried(im, n, &c);
}

/* The type of one slice of a scanned input. */
static Type slice_type(Importer *im, const Type *t, int64_t axis)
{
    Type slice = *t;
    Dim *dim;

    if (t->kind != TYPE_TENSOR || t->rank < 1) return slice;
    if (axis < 0) axis += t->rank;
    if (axis < 0 || axis >= t->rank) return slice; /* inference says so */
    dim = ARENA_ARRAY(im->arena, Dim, t->rank);
    for (int i = 0, k = 0; i < t->rank; i++)
        if (i != axis) dim[k++] = t->dim[i];
    slice.rank--;
    slice.dim = dim;
    return slice;
}

static Status import_scan(Importer *im, Draft *x, Node *n)
{
    int64_t scanned = attr_int(n, "num_scan_inputs", 0);
    int n_axes;
    const int64_t *axes = attr_ints(n, "scan_input_axes", &n_axes);
    Carried c = {0};

    if (scanned < 1 || scanned > n->n_in)
        return op_error(n, im->diag, "num_scan_inputs", "Scan: %lld scanned of %d inputs",
                        (long long)scanned, n->n_in);
    c.n = n->n_in - (int)scanned;
    c.n_types = n->n_in;
    c.types = ARENA_ARRAY(im->scratch, Type, c.n_types);
    c.wide = arena_try(im->scratch, (size_t)c.n, sizeof *c.wide);
    if (!c.types || !c.wide) return import_limits(im);
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        int k = i - c.n;
        c.types[i] = n->in[i]->type;
        if (k >= 0) c.types[i] = slice_type(im, &n->in[i]->type, k < n_axes ? axes[k] : 0);
    }
    return import_loop_body(im, x->graph, n, &c, NULL);
}

/* The type of any element: dims that are no promise are symbols of their own. */
static Type element_type(Importer *im, const Type *elem)
{
    Type t = *elem;
    Dim *dim;

    if (type_is_boxed(elem)) {
        if (t.rank == RANK_NONE) t.rank = RANK_UNKNOWN;
        return t;
    }
    dim = ARENA_ARRAY(im->arena, Dim, t.rank);
    for (int i = 0; i < t.rank; i++)
        dim[i] = dim_is_const(elem->dim[i]) ? elem->dim[i]
                                            : dim_fresh(&im->module->dims, "e", 0, INT32_MAX);
    t.dim = dim;
    return t;
}

/* Where no rank is known, the one that the body declares: the run checks it. */
static Status mapped_type(Importer *im, const Onnx__GraphProto *g, int k, const Type *elem,
                          Type *out)
{
    const Onnx__ValueInfoProto *p = (size_t)k < g->n_input ? g->input[k] : NULL;
    Where where = {.file = im->module->file, .attr = p ? p->name : NULL};
    Type declared;

    *out = element_type(im, elem);
    if (!type_is_boxed(out) || !p || !p->type) return OK;
    TRY(import_type(im, p->type, where, &declared));
    if (declared.kind == out->kind && declared.dtype == out->dtype)
        *out = element_type(im, &declared);
    return OK;
}

/* The body sees one element of each sequence. */
static Status import_sequence_map(Importer *im, Draft *x, Node *n)
{
    const GraphArg *g = x->graph;
    Type *types = arena_try(im->scratch, (size_t)n->n_in, sizeof *types);

    if (!types) return import_limits(im);
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        types[i] = n->in[i]->type;
        if (types[i].kind == TYPE_SEQUENCE && types[i].elem)
            TRY(mapped_type(im, g->graph, i, types[i].elem, &types[i]));
    }
    return import_region(im, g, n->region[0], n->n_in, types);
}

/* Both graphs see the scores, [batch, heads, queries, keys]. */
static Status import_flex(Importer *im, Draft *x, Node *n)
{
    const Type *q = &n->in[0]->type, *k = &n->in[1]->type;
    DType type = dtype_from_onnx((int)attr_int(n, "softmax_precision", 0));
    Dim *dim = ARENA_ARRAY(im->arena, Dim, 4);
    Type scores = {0};

    if (type == DT_NONE) type = q->dtype == DT_F64 ? DT_F64 : DT_F32;
    if (q->kind == TYPE_TENSOR && k->kind == TYPE_TENSOR && q->rank == 4 && k->rank == 4) {
        for (int i = 0; i < 3; i++)
            dim[i] = q->dim[i];
        dim[3] = k->dim[2];
        scores = type_tensor(type, 4, dim);
    }
    for (int i = 0; i < n->n_region; i++)
        TRY(import_region(im, &x->graph[i], n->region[i], 1, &scores));
    return OK;
}

typedef struct HolderRow {
    const char *domain, *op;
    int n_in, most_graphs;
    Status (*import)(Importer *im, Draft *x, Node *n);
} HolderRow; /* inputs that it must have; graphs that it may have, at least one */

static const HolderRow holders[] = {
    {"", "Loop", 0, 1, import_loop},
    {"", "Scan", 0, 1, import_scan},
    {"", "SequenceMap", 0, 1, import_sequence_map},
    {"ai.onnx.preview", "FlexAttention", 3, 2, import_flex},
};

static Status import_bodies(Importer *im, Draft *x, Node *n)
{
    for (int i = 0; i < x->n_graph; i++)
        node_add_region(n);
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++) {
        const HolderRow *h = &holders[i];
        if (x->n_graph < 1 || x->n_graph > h->most_graphs || n->n_in < h->n_in ||
            strcmp(h->op, x->op) != 0 || strcmp(h->domain, x->domain) != 0)
            continue;
        for (int k = 0; k < h->n_in; k++)
            if (!n->in[k]) return op_error(n, im->diag, NULL, "%s: input %d is missing", x->op, k);
        return h->import(im, x, n);
    }
    for (int i = 0; i < x->n_graph; i++)
        TRY(import_region(im, &x->graph[i], n->region[i], 0, NULL));
    return OK;
}

/* Where one branch gives an optional and the other a value, both give an optional. */
static Status wrap_branches(Importer *im, Node *n)
{
    Region *a = n->region[0], *o = n->region[1];

    for (int k = 0; k < a->n_result && k < o->n_result; k++)
        for (int i = 0; i < 2; i++) {
            Region *r = n->region[i], *other = n->region[1 - i];
            Build b = build_at(r, NULL, n->origin, im->diag);
            if (r->result[k] == im->poison || other->result[k] == im->poison) continue;
            if (other->result[k]->type.kind != TYPE_OPTIONAL) continue;
            if (r->result[k]->type.kind == TYPE_OPTIONAL || !r->result[k]->type.kind) continue;
            r->result[k] = build_op1(&b, "Optional", r->result[k]);
            TRY(b.status);
        }
    return OK;
}

Status import_held(Importer *im, Draft *x, Node *n)
{
    TRY(import_bodies(im, x, n));
    if (x->peel) return OK;
    if (n->op->holder == NODE_IF && n->n_region == 2) TRY(wrap_branches(im, n));
    for (int i = 0; i < n->n_region; i++)
        if (region_poisoned(im, n->region[i])) return OK;
    return import_joined(im, n);
}
