/* op.c: the op table: finding rows, checking nodes against them, and what all element by element
 * rows share. */
#include "ir/op.h"

#include <stdio.h>
#include <string.h>

#include "ir/ops/family.h"

const OpFamily op_families[] = {
#define FAMILY(x) {#x, x##_ops},
#include "ir/ops/families.def"
#undef FAMILY
    {0},
};

static const char *const calls[][2] = {
#define CALL(name, about) {#name, about},
#include "ir/call.def"
#undef CALL
};

_Static_assert(N_CALLS <= 32, "calls are bits of an unsigned");

Call call_find(const char *name)
{
    int c = 0;

    while (c < N_CALLS && strcmp(calls[c][0], name) != 0)
        c++;
    return (Call)c;
}

const char *call_name(Call c)
{
    return calls[c][0];
}

const char *call_about(Call c)
{
    return calls[c][1];
}

static const char *plain_domain(const char *domain)
{
    return !domain || !domain[0] || strcmp(domain, "ai.onnx") == 0 ? NULL : domain;
}

static bool same_domain(const char *a, const char *b)
{
    a = plain_domain(a);
    b = plain_domain(b);
    return a == b || (a && b && strcmp(a, b) == 0);
}

const OpDef *op_find(const char *domain, const char *name)
{
    for (const OpFamily *f = op_families; f->name; f++)
        for (const OpDef *op = f->ops; op->name; op++)
            if (strcmp(op->name, name) == 0 && same_domain(op->domain, domain)) return op;
    return NULL;
}

Status op_error(const Node *n, Diag *d, const char *attr, const char *format, ...)
{
    va_list args;
    Status s;
    Where w = node_where_attr(n, attr);

    va_start(args, format);
    s = diag_v(d, ERR_MODEL, w, format, args);
    va_end(args);
    return s;
}

Status op_unsupported(const Node *n, Diag *d, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return diag(d, ERR_UNSUPPORTED, node_where(n), "%s: %s", node_op_name(n), text);
}

/* ---- A node against its row ---- */

static bool kind_accepts(AttrKind want, AttrKind got)
{
    return want == got;
}

static Status check_attr(Node *n, const AttrDef *def, Diag *d)
{
    const Attr *a = attr_find(n, def->name);

    if (!a) {
        if (def->required)
            return op_error(n, d, def->name, "%s: the attribute is required", n->op->name);
        return OK;
    }
    if (!kind_accepts(def->kind, a->kind))
        return op_error(n, d, def->name, "%s: the attribute has the wrong type", n->op->name);
    return OK;
}

static Attr default_attr(const AttrDef *def)
{
    return (Attr){.name = def->name,
                  .kind = def->kind,
                  .i = def->i,
                  .f = def->f,
                  .s = {def->s, def->s ? (int64_t)strlen(def->s) : 0}};
}

static void fill_defaults(Node *n)
{
    int extra = 0, at = n->n_attr;
    Attr *all;

    for (const AttrDef *a = n->op->attr; a && a->name; a++)
        extra += a->has_default && !attr_find(n, a->name);
    if (!extra) return;
    all = ARENA_ARRAY(n->parent->module->arena, Attr, n->n_attr + extra);
    if (n->n_attr) memcpy(all, n->attr, sizeof *all * (size_t)n->n_attr);
    for (const AttrDef *a = n->op->attr; a->name; a++)
        if (a->has_default && !attr_find(n, a->name)) all[at++] = default_attr(a);
    n->attr = all;
    n->n_attr = at;
}

static Status check_count(const Node *n, const PortDef *ports, int count, const char *what, Diag *d)
{
    int least = 0, most = 0;

    for (const PortDef *p = ports; p && p->name; p++) {
        most++;
        if (p->variadic) most = 1 << 30;
        if (!p->optional) least = (int)(p - ports) + 1;
    }
    if (count > most)
        return op_error(n, d, NULL, "%s: %d %s, at most %d are allowed", n->op->name, count, what,
                        most);
    if (count < least && strcmp(what, "outputs") != 0)
        return op_error(n, d, NULL, "%s: %d %s, at least %d are needed", n->op->name, count, what,
                        least);
    return OK;
}

static const PortDef *port_of(const PortDef *ports, int k)
{
    const PortDef *p = ports;

    for (int i = 0; i < k && !p->variadic; i++)
        p++;
    return p;
}

static Status check_dtype(const Node *n, int k, const PortDef *p, Diag *d)
{
    const Type *t = in_type(n, k);

    if (p->types == 0 || t->kind == TYPE_UNKNOWN || p->types == T_ANY) return OK;
    if (t->kind != TYPE_TENSOR)
        return op_error(n, d, p->name, "%s: input %d must be a tensor", n->op->name, k);
    if (t->dtype != DT_NONE && !(p->types & DT_BIT(t->dtype)))
        return diag(d, ERR_UNSUPPORTED, node_where_attr(n, p->name),
                    "%s: input %d is %s, which is not supported there", n->op->name, k,
                    dtype_text(t->dtype));
    return OK;
}

static Status check_rank(const Node *n, int k, const PortDef *p, Diag *d)
{
    const Type *t = in_type(n, k);
    char allowed[4 * MAX_RANK + 8] = "";

    if (!p->ranks || t->kind != TYPE_TENSOR || t->rank == RANK_UNKNOWN) return OK;
    if (p->ranks >> t->rank & 1) return OK;
    for (int r = 0; r <= MAX_RANK; r++)
        if (p->ranks >> r & 1) {
            size_t at = strlen(allowed);
            snprintf(allowed + at, sizeof allowed - at, at ? " or %d" : "%d", r);
        }
    return op_error(n, d, p->name, "%s: input %d has rank %d, expected %s", n->op->name, k, t->rank,
                    allowed);
}

static Status not_single(const Node *n, int k, const PortDef *p, int64_t count, Diag *d)
{
    return op_error(n, d, p->name, "%s: input %d has %lld elements, expected 1", n->op->name, k,
                    (long long)count);
}

static Status check_single(const Node *n, int k, const PortDef *p, Diag *d)
{
    const Type *t = in_type(n, k);

    if (!p->single || t->kind != TYPE_TENSOR || t->rank == RANK_UNKNOWN) return OK;
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i]->lo > 1 || t->dim[i]->hi < 1) return not_single(n, k, p, t->dim[i]->lo, d);
    return OK;
}

static Status check_same_var(const Node *n, int k, const PortDef *p, Diag *d)
{
    for (int i = 0; i < k && p->var; i++) {
        const PortDef *q = port_of(n->op->in, i);

        if (!has_in(n, i) || !q->var || strcmp(q->var, p->var) != 0) continue;
        if (q->variadic && q == p && !q->var) continue;
        DType a = in_type(n, i)->dtype, b = in_type(n, k)->dtype;
        if (a != b && a != DT_NONE && b != DT_NONE)
            return op_error(n, d, p->name,
                            "%s: inputs %d and %d must have one dtype, not %s and %s", n->op->name,
                            i, k, dtype_text(a), dtype_text(b));
        break;
    }
    return OK;
}

Status op_check(Node *n, Diag *d)
{
    const OpDef *op = n->op;

    TRY(check_count(n, op->in, n->n_in, "inputs", d));
    TRY(check_count(n, op->out, n->n_out, "outputs", d));
    for (int k = 0; k < n->n_in; k++) {
        const PortDef *p = port_of(op->in, k);

        if (!n->in[k]) {
            if (!p->optional)
                return op_error(n, d, p->name, "%s: input %d is required", op->name, k);
            continue;
        }
        TRY(check_dtype(n, k, p, d));
        TRY(check_rank(n, k, p, d));
        TRY(check_single(n, k, p, d));
        TRY(check_same_var(n, k, p, d));
    }
    for (const AttrDef *a = op->attr; a && a->name; a++)
        TRY(check_attr(n, a, d));
    fill_defaults(n);
    return OK;
}

/* ---- Element by element rows ---- */

static DType map_result(const Node *n)
{
    return n->op->result != DT_NONE ? n->op->result : in_type(n, 0)->dtype;
}

static Status infer_map(Infer *cx, Node *n)
{
    const Type *types[64];
    int rank, count = 0;
    Dim dims[MAX_RANK];

    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        if (count == 64) {
            TRY(infer_broadcast_dims(cx, n, count, types, &rank, dims));
            Type *t = ARENA_NEW(cx->module->arena, Type);
            Dim *copy = ARENA_ARRAY(cx->module->arena, Dim, rank);
            if (rank > 0) memcpy(copy, dims, sizeof *dims * (size_t)rank);
            *t = type_tensor(types[0]->dtype, rank, copy);
            types[0] = t;
            count = 1;
        }
        types[count++] = in_type(n, i);
    }
    TRY(infer_broadcast_dims(cx, n, count, types, &rank, dims));
    infer_out(cx, n, 0, map_result(n), rank, dims);
    return OK;
}

static Status eval_map(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int rank = 0;
    int64_t dims[MAX_RANK], index[MAX_RANK] = {0};
    int64_t(*stride)[MAX_RANK] = arena_alloc(cx->arena, sizeof *stride * (size_t)(n->n_in + 1));
    double *x = ARENA_ARRAY(cx->arena, double, n->n_in);
    int64_t *xi = ARENA_ARRAY(cx->arena, int64_t, n->n_in);
    bool floats = dtype_is_float(in[0]->dtype);

    for (int k = 0; k < n->n_in; k++)
        if (in[k] && in[k]->rank > rank) rank = in[k]->rank;
    for (int i = 0; i < rank; i++) {
        dims[i] = 1;
        for (int k = 0; k < n->n_in; k++) {
            if (!in[k] || i < rank - in[k]->rank) continue;
            int64_t v = in[k]->dim[i - (rank - in[k]->rank)];
            if (v == 1 || v == dims[i]) continue;
            if (dims[i] != 1)
                return op_error(n, cx->diag, NULL, "%s: dims %lld and %lld do not broadcast",
                                n->op->name, (long long)dims[i], (long long)v);
            dims[i] = v;
        }
    }
    DType t = n->op->result != DT_NONE ? n->op->result : in[0]->dtype;
    TRY(eval_out(cx, n, &out[0], t, rank, dims));
    for (int k = 0; k < n->n_in; k++)
        if (in[k]) eval_broadcast_strides(in[k], rank, stride[k]);
    if (floats ? !n->op->eval1 : !n->op->evali)
        return op_unsupported(n, cx->diag, "no evaluation for %s", dtype_text(in[0]->dtype));
    for (int64_t e = 0; e < out[0]->count; e++, eval_next(rank, dims, index)) {
        for (int k = 0; k < n->n_in; k++) {
            int64_t at = 0;
            if (!in[k]) continue;
            for (int i = 0; i < rank; i++)
                at += index[i] * stride[k][i];
            if (dtype_is_float(in[k]->dtype))
                x[k] = tensor_double(in[k], at);
            else
                xi[k] = tensor_int(in[k], at);
            if (floats && !dtype_is_float(in[k]->dtype)) x[k] = (double)xi[k];
        }
        if (floats && t == DT_BOOL)
            tensor_set_int(out[0], e, n->op->eval1(n, x) != 0);
        else if (floats)
            tensor_set_double(out[0], e, n->op->eval1(n, x));
        else
            tensor_set_int(out[0], e, n->op->evali(n, xi, in[0]->dtype));
    }
    return OK;
}

static Status lower_map(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    const Sx **x = ARENA_ARRAY(b->module->arena, const Sx *, n->n_in);
    Value **in = ARENA_ARRAY(b->module->arena, Value *, n->n_in);
    int count = 0;
    const Sx *e;

    for (int k = 0; k < n->n_in; k++) {
        if (!n->in[k]) continue;
        in[count] = n->in[k];
        x[k] = sx_compute(b, sx_operand(b, count++, n->in[k], type->rank, type->dim));
    }
    e = n->op->map(b, n, x);
    if (!e || b->status != OK) return build_fail(b, b->status != OK ? b->status : ERR_BUG);
    out[0] = build_map(b, n->op->name, count, in, type->dtype, type->rank, type->dim,
                       sx_cast(b->sx, e, type->dtype));
    return b->status;
}

/* ---- The row's functions, with checks around ---- */

static bool inputs_known(const Node *n)
{
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] && n->in[k]->type.kind == TYPE_UNKNOWN) return false;
    return true;
}

static bool ranks_known(const Node *n)
{
    if (n->op->traits & OP_ANY_RANK) return true;
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] && n->in[k]->type.kind == TYPE_TENSOR && n->in[k]->type.rank == RANK_UNKNOWN)
            return false;
    return true;
}

static Status infer_row(Infer *cx, Node *n)
{
    return n->op->map && !n->op->infer ? infer_map(cx, n) : n->op->infer(cx, n);
}

/* With an operand of unknown rank most rows cannot say anything: then the outputs stay unknown, and
 * the node is inferred again when a pass has found the rank (a branch taken). */
static Status infer_if_possible(Infer *cx, Node *n)
{
    Diag *said = cx->diag, quiet;
    Status s;

    diag_init(&quiet, cx->module->arena);
    cx->diag = &quiet;
    s = infer_row(cx, n);
    cx->diag = said;
    for (int k = 0; s != OK && k < n->n_out; k++)
        if (n->out[k]) n->out[k]->type = (Type){0};
    return s == ERR_LIMIT || s == ERR_BUG ? s : OK;
}

Status op_infer(Infer *cx, Node *n)
{
    TRY(op_check(n, cx->diag));
    if (!inputs_known(n)) return OK;
    TRY(ranks_known(n) ? infer_row(cx, n) : infer_if_possible(cx, n));
    if (!dims_ok(&cx->module->dims))
        return diag(cx->diag, ERR_LIMIT, node_where(n), "%s: the sizes overflow", n->op->name);
    for (int k = 0; k < n->n_out; k++) {
        const Type *t = n->out[k] ? &n->out[k]->type : NULL;

        for (int i = 0; t && t->kind == TYPE_TENSOR && i < t->rank; i++)
            if (t->dim[i]->hi < 0)
                return op_error(n, cx->diag, NULL, "%s: dim %d of output %d would be negative",
                                n->op->name, i, k);
    }
    return OK;
}

static bool types_known(const Node *n)
{
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && (n->out[k]->type.kind == TYPE_UNKNOWN ||
                          (n->out[k]->type.kind == TYPE_TENSOR && n->out[k]->type.rank < 0 &&
                           !(n->op->traits & OP_ANY_RANK))))
            return false;
    return inputs_known(n) && ranks_known(n);
}

/* The list of those that may call is closed: a row tells what it may. */
static Status check_calls(const Build *b, const Node *n)
{
    unsigned more = b->calls & ~n->op->calls;

    for (int c = 0; c < N_CALLS; c++)
        if (more >> c & 1)
            return diag(b->diag, ERR_BUG, node_where(n), "%s: its row says nothing of the call %s",
                        n->op->name, calls[c][0]);
    return OK;
}

int op_slots(const Node *n)
{
    int count = 0;

    while (n->op->out && n->op->out[count].name)
        count++;
    return n->n_out > count ? n->n_out : count;
}

Status op_lower(Build *b, const Node *n, Value **result)
{
    Value **out = ARENA_ARRAY(b->module->arena, Value *, op_slots(n));
    Status s = OK;

    b->calls = 0;
    for (int k = 0; k < n->n_in; k++)
        if (has_in(n, k) && port_of(n->op->in, k)->single && in_type(n, k)->rank >= 0)
            build_require_equal(b, type_count(b->dims, in_type(n, k)), dim_const(b->dims, 1));
    if (!types_known(n))
        s = op_unsupported(n, b->diag, "a rank that only the run can tell");
    else if (n->op->lower)
        s = n->op->lower(b, n, out);
    else if (n->op->map)
        s = lower_map(b, n, out);
    else
        s = op_unsupported(n, b->diag, "no code is generated for this operator yet");
    if (s == OK) s = b->status;
    if (s == OK) s = check_calls(b, n);
    for (int k = 0; s == OK && k < n->n_out; k++)
        if (n->out[k] && !out[k])
            s = op_unsupported(n, b->diag, "no code is generated for output %d yet", k);
    for (int k = 0; k < n->n_out; k++)
        result[k] = out[k];
    return s;
}

Status op_eval(Eval *cx, const Node *n, const Tensor *const *in, Tensor **result)
{
    Tensor **out = ARENA_ARRAY(cx->arena, Tensor *, op_slots(n));

    for (int k = 0; k < n->n_in; k++) {
        const PortDef *p = port_of(n->op->in, k);
        if (p->single && in[k] && in[k]->count != 1)
            return not_single(n, k, p, in[k]->count, cx->diag);
    }
    if (n->op->eval)
        TRY(n->op->eval(cx, n, in, out));
    else if (n->op->map)
        TRY(eval_map(cx, n, in, out));
    else
        return op_unsupported(n, cx->diag, "the evaluator does not know this operator");
    for (int k = 0; k < n->n_out; k++)
        result[k] = out[k];
    return OK;
}

/* ---- The table itself ---- */

static bool row_ok(const OpDef *op, Diag *d)
{
    bool ok = true;
    bool elementwise = op->map != NULL;

#define ROW(condition, text)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            diag(d, ERR_BUG, (Where){.node = op->name}, "op table: %s", text);                     \
            ok = false;                                                                            \
        }                                                                                          \
    } while (0)
    ROW(op->since > 0, "since is missing");
    ROW(op->in && op->out, "ports are missing");
    ROW(elementwise || op->infer, "neither map nor infer");
    ROW(elementwise ? (op->eval1 || op->evali || op->eval) : (op->eval || op->holder),
        "no evaluation");
    ROW(op->quant != QUANT_TABLE || (op->eval1 && !op->in[1].name), "TABLE needs one input");
    for (const AttrDef *a = op->attr; a && a->name; a++) {
        ROW(a->kind != ATTR_NONE, "attribute without kind");
        ROW(!a->has_default || a->kind == ATTR_INT || a->kind == ATTR_FLOAT ||
                (a->kind == ATTR_STRING && a->s),
            "default of a kind that cannot have one");
        ROW(!(a->required && a->has_default), "required with a default");
    }
#undef ROW
    return ok;
}

bool op_table_ok(Diag *d)
{
    bool ok = true;

    for (const OpFamily *f = op_families; f->name; f++)
        for (const OpDef *op = f->ops; op->name; op++) {
            ok &= row_ok(op, d);
            if (op_find(op->domain, op->name) != op) {
                diag(d, ERR_BUG, (Where){.node = op->name}, "op table: two rows of one name");
                ok = false;
            }
        }
    return ok;
}
