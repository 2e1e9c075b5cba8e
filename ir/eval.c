/* eval.c: the reference evaluator.
 *
 * One frame per region: values -> tensors, found through the chain of frames for captures. Every
 * node's results live in an arena of their own, freed after the last reader, so that a long graph
 * needs only its live tensors. Symbols are bound by the first tensor whose dim they name. */
#include "ir/eval.h"

#include <string.h>

typedef struct Cell {
    Arena *arena; /* NULL: borrowed */
    const Tensor *tensor;
    int left; /* readers still to come */
} Cell;

typedef struct Frame {
    const struct Frame *up;
    Map cells; /* Value -> Cell */
} Frame;

typedef struct Machine {
    Eval eval; /* first: handed to the rows */
    const Module *module;
    const EvalOptions *options;
    Arena *arena; /* of the frames and symbols */
    Map symbols;  /* Dim -> int64_t* */
    const Frame *frame;
} Machine;

static bool symbol_value(void *context, Dim symbol, int64_t *value)
{
    const Machine *x = context;
    const int64_t *v = map_get(&x->symbols, symbol);

    if (v) *value = *v;
    return v != NULL;
}

static void bind_symbol(Machine *x, Dim symbol, int64_t v)
{
    int64_t *slot = map_get(&x->symbols, symbol);

    if (!slot) {
        slot = ARENA_NEW(x->arena, int64_t);
        map_set(&x->symbols, symbol, slot);
    }
    *slot = v;
}

static void bind_dims(Machine *x, const Value *v, const Tensor *t, bool rebind)
{
    if (!v || !t || v->type.kind != TYPE_TENSOR || v->type.rank != t->rank) return;
    for (int i = 0; i < t->rank; i++)
        if (v->type.dim[i]->kind == DIM_SYM && (rebind || !map_has(&x->symbols, v->type.dim[i])))
            bind_symbol(x, v->type.dim[i], t->dim[i]);
}

static Cell *cell_of(const Frame *f, const Value *v)
{
    for (; f; f = f->up) {
        Cell *c = map_get(&f->cells, v);
        if (c) return c;
    }
    return NULL;
}

static const Tensor *tensor_of(const Machine *x, const Value *v)
{
    Cell *c;

    if (!v) return NULL;
    if (v->data) return v->data;
    c = cell_of(x->frame, v);
    return c ? c->tensor : NULL;
}

static void put(Machine *x, const Value *v, const Tensor *t, Arena *owner)
{
    Frame *f = (Frame *)(uintptr_t)x->frame;
    Cell *c = ARENA_NEW(x->arena, Cell);

    *c = (Cell){.arena = owner, .tensor = t, .left = v->uses};
    map_set(&f->cells, v, c);
}

/* ---- kernels and the other primitives ---- */

static Status result_dims(Machine *x, const Node *n, int k, int64_t *dims)
{
    const Type *t = &n->out[k]->type;

    for (int i = 0; i < t->rank; i++)
        if (!dim_eval(t->dim[i], symbol_value, x, &dims[i]))
            return diag(x->eval.diag, ERR_BUG, node_where(n), "a dim of the result is not known");
    return OK;
}

static Status eval_kernel(Machine *x, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK];

    for (int k = 0; k < n->n_out; k++) {
        TRY(result_dims(x, n, k, dims));
        TRY(eval_out(&x->eval, n, &out[k], n->out[k]->type.dtype, n->out[k]->type.rank, dims));
    }
    return kernel_interpret((SxTable *)(uintptr_t)&x->module->sx, n->kernel, in, out, symbol_value,
                            x, x->eval.diag);
}

static Status eval_reshape(Machine *x, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK];

    TRY(result_dims(x, n, 0, dims));
    TRY(eval_out(&x->eval, n, &out[0], in[0]->dtype, n->out[0]->type.rank, dims));
    if (out[0]->count != in[0]->count)
        return op_error(n, x->eval.diag, NULL, "reshape: %lld elements into %lld",
                        (long long)in[0]->count, (long long)out[0]->count);
    memcpy(out[0]->data, in[0]->data, in[0]->bytes);
    return OK;
}

static Status eval_concat(Machine *x, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK], outer = 1;
    size_t at = 0, step = 0;

    TRY(result_dims(x, n, 0, dims));
    TRY(eval_out(&x->eval, n, &out[0], in[0]->dtype, in[0]->rank, dims));
    for (int i = 0; i < n->axis; i++)
        outer *= dims[i];
    for (int k = 0; outer && k < n->n_in; k++)
        step += in[k]->bytes / (size_t)outer;
    for (int k = 0; outer && k < n->n_in; k++) {
        size_t part = in[k]->bytes / (size_t)outer;
        for (int64_t o = 0; o < outer && part; o++)
            memcpy((char *)out[0]->data + (size_t)o * step + at,
                   (const char *)in[k]->data + (size_t)o * part, part);
        at += part;
    }
    return OK;
}

static Status eval_bind(Machine *x, const Node *n, const Tensor *t)
{
    for (int i = 0; i < n->bind->n; i++) {
        Dim s = n->bind->symbol[i];
        int64_t v = n->bind->element[i] < t->count ? tensor_int(t, n->bind->element[i]) : 0;

        if (v < s->lo || v > s->hi)
            return op_error(n, x->eval.diag, NULL, "%s: %lld is out of range [%lld, %lld]",
                            node_op_name(n), (long long)v, (long long)s->lo, (long long)s->hi);
        bind_symbol(x, s, v);
    }
    return OK;
}

/* ---- regions ---- */

static Status run_region(Machine *x, const Region *r, const Tensor *const *arg, Tensor **result,
                         Arena *results);

static Status region_of_row(Eval *cx, const Region *r, Tensor *const *arg, Tensor **result)
{
    return run_region((Machine *)cx, r, (const Tensor *const *)arg, result, cx->arena);
}

static Status run_node(Machine *x, const Node *n, const Tensor *const *in, Tensor **out)
{
    switch (n->kind) {
    case NODE_OP:
        return op_eval(&x->eval, n, in, out);
    case NODE_IF:
    case NODE_LOOP:
        return n->op->eval(&x->eval, n, in, out);
    case NODE_KERNEL:
        return eval_kernel(x, n, in, out);
    case NODE_RESHAPE:
        return eval_reshape(x, n, in, out);
    case NODE_CONCAT:
        return eval_concat(x, n, in, out);
    case NODE_BIND:
        return eval_bind(x, n, in[0]);
    case NODE_CALL:
        return op_unsupported(n, x->eval.diag, "the evaluator cannot run call '%s'", n->call->name);
    }
    return ERR_BUG;
}

static void release(Machine *x, const Value *v)
{
    Cell *c = v && !v->data ? map_get(&x->frame->cells, v) : NULL;

    if (!c || --c->left > 0 || !c->arena) return;
    c->tensor = NULL;
    c->arena = NULL; /* several outputs may share it: freed with the region's list */
}

/* A node's arena is freed when all of its outputs are read: counted on the node's own record. */
typedef struct Owned {
    Arena *arena;
    const Node *node;
    struct Owned *next;
} Owned;

static bool still_read(Machine *x, const Node *n)
{
    for (int k = 0; k < n->n_out; k++) {
        Cell *c = n->out[k] ? map_get(&x->frame->cells, n->out[k]) : NULL;
        if (c && c->left > 0) return true;
    }
    return false;
}

static void free_unread(Machine *x, Owned **list)
{
    for (Owned **p = list; *p;) {
        if (still_read(x, (*p)->node)) {
            p = &(*p)->next;
            continue;
        }
        arena_free((*p)->arena);
        *p = (*p)->next;
    }
}

static Tensor *keep(Arena *a, const Tensor *t);

static Tensor *keep_list(Arena *a, const Tensor *t)
{
    Tensor *copy = tensor_list(a, t->kind, t->count, tensor_items(t));

    for (int64_t i = 0; copy && i < t->count; i++)
        if (!(tensor_items(copy)[i] = keep(a, tensor_items(t)[i]))) return NULL;
    return copy;
}

static Tensor *keep(Arena *a, const Tensor *t)
{
    Tensor *copy;

    if (tensor_is_list(t)) return keep_list(a, t);
    copy = tensor_new(a, t->dtype, t->rank, t->dim);
    if (!copy) return NULL;
    if (t->bytes) memcpy(copy->data, t->data, t->bytes);
    if (t->dtype == DT_STRING)
        for (int64_t i = 0; i < t->count; i++) {
            StringRef *s = (StringRef *)copy->data + i;
            s->s = arena_strndup(a, s->s, (size_t)s->n);
        }
    return copy;
}

static bool shares(const Tensor *out, const Tensor *in)
{
    if (out == in || tensor_is_list(in)) return true;
    if (out->dtype == DT_STRING && in->dtype == DT_STRING) return true; /* the bytes */
    return tensor_is_list(out) || (out->bytes && out->data == in->data);
}

/* A result that is an operand (a loop without a turn), shares its elements, or is one of the
 * tensors of a list, gets its own: the operand may be freed first. */
static void own_results(const Node *n, Arena *arena, const Tensor *const *in, Tensor **out)
{
    for (int k = 0; k < n->n_out; k++) {
        bool shared = out[k] && out[k]->dtype == DT_STRING; /* bytes may be an operand's */
        for (int i = 0; out[k] && i < n->n_in; i++)
            shared |= in[i] && shares(out[k], in[i]);
        if (shared) out[k] = keep(arena, out[k]);
    }
}

static Status step(Machine *x, const Node *n, Owned **owned)
{
    Arena *saved = x->eval.arena, *arena = arena_new(x->options->memory_limit);
    const Tensor **in = ARENA_ARRAY(x->arena, const Tensor *, n->n_in);
    Tensor **out = ARENA_ARRAY(x->arena, Tensor *, n->n_out);
    Owned *o = ARENA_NEW(x->arena, Owned);
    Status s = OK;

    if (!arena) return diag(x->eval.diag, ERR_LIMIT, node_where(n), "out of memory");
    *o = (Owned){arena, n, *owned};
    *owned = o;
    for (int k = 0; k < n->n_in && s == OK; k++) {
        in[k] = tensor_of(x, n->in[k]);
        if (n->in[k] && !in[k] && n->in[k]->def)
            s = op_unsupported(n, x->eval.diag, "input %d is not a value the evaluator has", k);
    }
    x->eval.arena = arena;
    if (s == OK) s = run_node(x, n, in, out);
    x->eval.arena = saved;
    TRY(s);
    own_results(n, arena, in, out);
    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k] || !out[k]) continue;
        put(x, n->out[k], out[k], arena);
        bind_dims(x, n->out[k], out[k], x->frame->up != NULL);
        if (x->options->seen && !x->frame->up)
            x->options->seen(x->options->context, n->out[k], out[k]);
    }
    for (int k = 0; k < n->n_in; k++)
        release(x, n->in[k]);
    return OK;
}

static Status run_region(Machine *x, const Region *r, const Tensor *const *arg, Tensor **result,
                         Arena *results)
{
    Frame frame = {.up = x->frame};
    const Frame *saved = x->frame;
    Owned *owned = NULL;
    Status s = OK;

    map_init(&frame.cells, x->arena, false);
    x->frame = &frame;
    for (int i = 0; i < r->n_arg; i++) {
        if (!arg[i]) continue;
        put(x, r->arg[i], arg[i], NULL);
        bind_dims(x, r->arg[i], arg[i], r->holder != NULL);
    }
    for (const Node *n = r->first; n && s == OK; n = n->next) {
        s = step(x, n, &owned);
        if (s == OK) free_unread(x, &owned);
    }
    for (int i = 0; i < r->n_result && s == OK; i++) {
        const Tensor *t = tensor_of(x, r->result[i]);
        if (!t)
            s = diag(x->eval.diag, ERR_UNSUPPORTED, (Where){.file = x->module->file},
                     "result %d is not a value the evaluator has", i);
        else if (!(result[i] = keep(results, t)))
            s = diag(x->eval.diag, ERR_LIMIT, (Where){0}, "out of memory");
    }
    for (; owned; owned = owned->next)
        arena_free(owned->arena);
    x->frame = saved;
    return s;
}

/* ---- entry ---- */

static Status check_input(Machine *x, const Value *v, const Tensor *t)
{
    Where w = {.file = x->module->file, .node = v->name};

    if (v->type.kind != TYPE_TENSOR || tensor_is_list(t))
        return v->type.kind == t->kind ? OK
                                       : diag(x->eval.diag, ERR_USAGE, w,
                                              "the input is not of the kind that is expected");
    if (t->dtype != v->type.dtype)
        return diag(x->eval.diag, ERR_USAGE, w, "the input is %s, expected %s",
                    dtype_text(t->dtype), dtype_text(v->type.dtype));
    if (v->type.rank == RANK_UNKNOWN) return OK;
    if (t->rank != v->type.rank)
        return diag(x->eval.diag, ERR_USAGE, w, "the input has rank %d, expected %d", t->rank,
                    v->type.rank);
    for (int i = 0; i < t->rank; i++) {
        int64_t want;
        if (dim_eval(v->type.dim[i], symbol_value, x, &want) && want != t->dim[i])
            return diag(x->eval.diag, ERR_USAGE, w, "dim %d is %lld, expected %lld", i,
                        (long long)t->dim[i], (long long)want);
    }
    return OK;
}

static Status start(Machine *x, const Module *m, Arena *arena, const EvalOptions *options, Diag *d)
{
    static const EvalOptions none = {0};

    *x = (Machine){.eval = {.arena = arena, .diag = d, .region = region_of_row},
                   .module = m,
                   .options = options ? options : &none,
                   .arena = arena_new(0)};
    if (!x->arena) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    map_init(&x->symbols, x->arena, false);
    return OK;
}

Status eval_module(const Module *m, Arena *arena, const EvalOptions *options,
                   const Tensor *const *in, Tensor **out, Diag *d)
{
    Machine x;
    Status s = OK;

    TRY(start(&x, m, arena, options, d));
    analysis_uses((Module *)(uintptr_t)m);
    for (int i = 0; i < m->main->n_arg && s == OK; i++) {
        if (!in[i]) continue;
        s = check_input(&x, m->main->arg[i], in[i]);
        bind_dims(&x, m->main->arg[i], in[i], false);
    }
    if (s == OK) s = run_region(&x, m->main, in, out, arena);
    arena_free(x.arena);
    return s;
}

Status eval_node(const Node *n, Arena *arena, const Tensor *const *in, Tensor **out, Diag *d)
{
    Machine x;
    Status s;

    TRY(start(&x, n->parent->module, arena, NULL, d));
    x.eval.bounded = true;
    s = op_eval(&x.eval, n, in, out);
    arena_free(x.arena);
    return s;
}
