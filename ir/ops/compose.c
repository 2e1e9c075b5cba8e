/* compose.c: see compose.h.
 *
 * Evaluation makes a module of one region that holds the node on constant inputs, lets the row
 * build its formula in it, and runs that. */
#include "ir/ops/compose.h"

#include <string.h>

#include "ir/eval.h"

static Node *node_copy(Region *r, const Node *n, const Tensor *const *in)
{
    Module *m = r->module;
    Value **args = ARENA_ARRAY(m->arena, Value *, n->n_in);
    Node *copy;

    for (int k = 0; k < n->n_in; k++)
        args[k] = n->in[k] && in[k] ? module_constant(m, in[k], NULL) : NULL;
    copy = node_new(r, NULL, NODE_OP, n->n_in, args, n->n_out, n->origin);
    copy->op = n->op;
    copy->attr = n->attr;
    copy->n_attr = n->n_attr;
    for (int k = 0; k < n->n_out; k++)
        if (!n->out[k]) copy->out[k] = NULL;
    return copy;
}

enum { WORK_FREE = 1 << 20, WORK_EACH = 64 }; /* points: always, and for each element in and out */

/* Elements of what can be told of v. */
static double elements_of(const Value *v)
{
    double count = 1;

    for (int i = 0; v && v->type.kind == TYPE_TENSOR && i < v->type.rank; i++)
        if (dim_is_const(v->type.dim[i])) count *= (double)v->type.dim[i]->value;
    return v ? count : 0;
}

static double points_of(const Node *n)
{
    double count = 0;

    for (int k = 0; k < n->n_out; k++)
        count += elements_of(n->out[k]);
    for (int k = 0; n->kernel && k < n->kernel->n_stage; k++) {
        const Stage *s = &n->kernel->stage[k];
        double points = 1;
        for (int i = 0; i < s->rank + s->n_reduce; i++) {
            Dim d = i < s->rank ? s->extent[i] : s->reduce[i - s->rank];
            if (dim_is_const(d)) points *= (double)d->value;
        }
        count += points;
    }
    return count;
}

/* A pooled image of four elements may say that its windows lie 2^24 apart: what folds constants
 * leaves such a formula to the run. */
static Status within_bounds(Eval *cx, const Node *n, const Region *formula)
{
    double most = WORK_FREE, work = 0;

    if (!cx->bounded) return OK;
    for (int k = 0; k < n->n_in; k++)
        most += WORK_EACH * elements_of(n->in[k]);
    for (int k = 0; k < n->n_out; k++)
        most += WORK_EACH * elements_of(n->out[k]);
    for (const Node *f = formula->first; f; f = f->next)
        work += points_of(f);
    if (work <= most) return OK;
    return diag(cx->diag, ERR_LIMIT, node_where(n), "%s: a formula of %.0f points for %.0f",
                node_op_name(n), work, most);
}

Status compose_eval(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Module *m = module_new(cx->arena, n->parent->module->file);
    Node *copy = node_copy(m->main, n, in);
    Build b = build_at(m->main, copy, n->origin, cx->diag);
    Infer infer = {.module = m, .build = &b, .diag = cx->diag};
    Value **value = ARENA_ARRAY(cx->arena, Value *, n->n_out);
    Tensor **result = ARENA_ARRAY(cx->arena, Tensor *, n->n_out);
    int count = 0;

    TRY(op_infer(&infer, copy));
    TRY(op_lower(&b, copy, value));
    node_unlink(copy);
    TRY(within_bounds(cx, copy, m->main));
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k]) region_add_result(m->main, value[k]);
    TRY(eval_module(m, cx->arena, NULL, NULL, result, cx->diag));
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k]) out[k] = result[count++];
    return OK;
}

typedef struct Makers {
    const Region *region;
    bool found;
} Makers;

static void look_for_maker(void *context, Dim symbol)
{
    Makers *m = context;

    for (const Node *n = m->region->first; n && !m->found; n = n->next)
        for (int i = 0; i < n->n_define; i++)
            m->found |= n->define[i] == symbol;
}

/* A dim of v is made of a symbol that a node of r makes. */
static bool made_in(const Value *v, const Region *r)
{
    Makers m = {.region = r};

    for (int i = 0; v && v->type.kind == TYPE_TENSOR && i < v->type.rank; i++)
        dim_symbols(v->type.dim[i], look_for_maker, &m);
    return m.found;
}

/* The formula, built in a region that nobody keeps; or, where its dims are symbols that only the
 * run knows (a broadcast of long expressions), before the node: they need their makers. What only
 * the values need is dead there, and goes. */
Status compose_infer(Infer *cx, Node *n)
{
    Region *scratch = region_new(cx->module, NULL);
    Build b = build_at(scratch, NULL, n->origin, cx->diag);
    Value **value = ARENA_ARRAY(cx->module->arena, Value *, op_slots(n));
    bool keep = false;

    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] && in_type(n, k)->rank == RANK_UNKNOWN)
            return op_unsupported(n, cx->diag, "input %d of unknown rank", k);
    TRY(n->op->lower(&b, n, value));
    for (int k = 0; k < n->n_out; k++)
        keep |= n->out[k] && made_in(value[k], scratch);
    if (keep && cx->build) {
        memset(value, 0, sizeof *value * (size_t)op_slots(n));
        TRY(n->op->lower(cx->build, n, value));
    }
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && !value[k])
            return op_unsupported(n, cx->diag, "%s: output %d", n->op->name, k);
        else if (n->out[k])
            infer_out(cx, n, k, value[k]->type.dtype, value[k]->type.rank, value[k]->type.dim);
    return OK;
}

Value *make_like(Build *b, const Node *n, const char *op, int n_in, Value *const *in,
                 const char *const *attrs)
{
    Attr attr[16];
    int count = 0;

    for (; *attrs && count < 16; attrs++) {
        const Attr *a = attr_find(n, *attrs);
        if (a) attr[count++] = *a;
    }
    return build_op(b, op, n_in, in, count, attr);
}

Value *make_scalar(Build *b, const Value *like, double v)
{
    return like ? build_scalar(b, like->type.dtype, v) : NULL;
}

Value *make_matrix(Build *b, int64_t rows, int64_t columns, const double *v)
{
    Tensor *t = tensor_new(b->module->arena, DT_F32, 2, (int64_t[]){rows, columns});

    if (!t) {
        build_fail(b, diag(b->diag, ERR_LIMIT, (Where){0}, "too many numbers"));
        return NULL;
    }
    for (int64_t i = 0; i < t->count; i++)
        tensor_set_double(t, i, v[i]);
    return build_tensor(b, t);
}

Value *make_plus(Build *b, Value *x, Value *y)
{
    return y ? make_add(b, x, y) : x;
}

Value *make_add(Build *b, Value *x, Value *y)
{
    return build_op2(b, "Add", x, y);
}

Value *make_sub(Build *b, Value *x, Value *y)
{
    return build_op2(b, "Sub", x, y);
}

Value *make_mul(Build *b, Value *x, Value *y)
{
    return build_op2(b, "Mul", x, y);
}

Value *make_div(Build *b, Value *x, Value *y)
{
    return build_op2(b, "Div", x, y);
}

Value *make_where(Build *b, Value *c, Value *x, Value *y)
{
    return build_op(b, "Where", 3, (Value *[]){c, x, y}, 0, NULL);
}

Value *make_cast(Build *b, Value *v, DType t)
{
    Attr to = attr_of_int("to", dtype_onnx(t));

    if (!v || v->type.dtype == t) return v;
    return build_op(b, "Cast", 1, &v, 1, &to);
}

Value *make_unary(Build *b, const char *op, Value *x)
{
    return build_op1(b, op, x);
}

Value *make_reshape(Build *b, Value *v, int rank, const Dim *dims)
{
    return v ? build_reshape(b, v, rank, dims) : NULL;
}

Value *make_axis(Build *b, const char *op, Value *x, int64_t axis)
{
    Attr a = attr_of_int("axis", axis);

    return build_op(b, op, 1, &x, 1, &a);
}

Value *make_reduce(Build *b, const char *op, Value *x, int64_t axis, bool keep)
{
    Attr a = attr_of_int("keepdims", keep);

    return build_op(b, op, 2, (Value *[]){x, build_i64(b, 1, &axis)}, 1, &a);
}

Value *make_reduce_all(Build *b, const char *op, Value *x)
{
    Attr a = attr_of_int("keepdims", 0);

    return build_op(b, op, 1, &x, 1, &a);
}

Value *make_concat(Build *b, int n, Value *const *in, int64_t axis)
{
    Attr a = attr_of_int("axis", axis);

    return build_op(b, "Concat", n, in, 1, &a);
}

Value *make_gather(Build *b, Value *x, Value *index, int64_t axis)
{
    Attr a = attr_of_int("axis", axis);

    return build_op(b, "Gather", 2, (Value *[]){x, index}, 1, &a);
}

Value *make_unsqueeze(Build *b, Value *x, int64_t axis)
{
    return build_op2(b, "Unsqueeze", x, build_i64(b, 1, &axis));
}

Value *make_slice(Build *b, Value *x, int axis, int64_t begin, int64_t end, int64_t step)
{
    int64_t at = axis;
    Value *in[5] = {x, build_i64(b, 1, &begin), build_i64(b, 1, &end), build_i64(b, 1, &at),
                    build_i64(b, 1, &step)};

    return build_op(b, "Slice", 5, in, 0, NULL);
}

Value *make_moved_channels(Build *b, Value *v, bool last)
{
    int perm[MAX_RANK], rank = v ? v->type.rank : 0;

    if (rank < 3) return v;
    for (int i = 0; i < rank; i++)
        perm[i] = last ? (i == rank - 1 ? 1 : i ? i + 1 : 0) : (i == 1 ? rank - 1 : i ? i - 1 : 0);
    return build_transpose(b, v, perm);
}

Node *make_loop(Build *b, Dim rounds, int n_state, Value *const *state, int n_each)
{
    Value **in = ARENA_ARRAY(b->module->arena, Value *, n_state + 2);
    Node *loop;
    Region *r;

    in[0] = build_dims(b, -1, &rounds);
    in[1] = NULL;
    if (b->status != OK) return NULL;
    memcpy(in + 2, state, sizeof *state * (size_t)n_state);
    loop = node_new(b->region, b->before, NODE_LOOP, n_state + 2, in, n_state + n_each, b->origin);
    loop->op = op_find(NULL, "Loop");
    r = node_add_region(loop);
    region_add_arg(r, NULL, type_tensor(DT_I64, 0, NULL));
    region_add_arg(r, NULL, type_tensor(DT_BOOL, 0, NULL));
    for (int i = 0; i < n_state; i++) {
        loop->out[i]->type = state[i]->type;
        region_add_arg(r, NULL, state[i]->type);
    }
    return loop;
}
