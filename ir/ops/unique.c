/* unique.c: Unique: the different elements, or slices along an axis. Irregular: a call of the
 * runtime (rt_call_unique.c), which also says how many there are. */
#include <string.h>

#include "ir/ops/ops_common.h"

static Status unique_axis(const Node *n, Diag *d, int rank, int *axis)
{
    *axis = -1;
    if (!attr_find(n, "axis")) return OK;
    return infer_axis(n, d, "axis", attr_int(n, "axis", 0), rank, axis);
}

/* Types of the four results with `found` different slices. */
static void unique_types(DimTable *t, const Type *x, int axis, Dim found, Dim *dims, Type *out)
{
    Dim *all = dims + MAX_RANK, *some = dims + MAX_RANK + 1;

    for (int i = 0; i < x->rank; i++)
        dims[i] = i == axis ? found : x->dim[i];
    if (axis < 0) dims[0] = found;
    *all = axis < 0 ? type_count(t, x) : x->dim[axis];
    *some = found;
    out[0] = type_tensor(x->dtype, axis < 0 ? 1 : x->rank, dims);
    out[1] = out[3] = type_tensor(DT_I64, 1, some);
    out[2] = type_tensor(DT_I64, 1, all);
}

static Status infer_unique(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK + 2], most;
    Type out[4];
    int axis;

    TRY(infer_ranked(cx, n, 0));
    TRY(unique_axis(n, cx->diag, x->rank, &axis));
    most = axis < 0 ? type_count(t, x) : x->dim[axis];
    unique_types(t, x, axis, dim_fresh(t, "unique", 0, most->hi), dims, out);
    for (int k = 0; k < n->n_out; k++)
        infer_out(cx, n, k, out[k].dtype, out[k].rank, out[k].dim);
    return OK;
}

typedef struct Slices {
    const Tensor *x;
    int64_t outer, count, inner;
} Slices;

/* NaN equals itself and is greatest. */
static int compare_elements(const Tensor *t, int64_t i, int64_t j)
{
    if (t->dtype == DT_STRING) {
        const StringRef *a = tensor_at(t, i), *b = tensor_at(t, j);
        int64_t least = a->n < b->n ? a->n : b->n;
        int order = least ? memcmp(a->s, b->s, (size_t)least) : 0;
        return order ? order : (a->n > b->n) - (a->n < b->n);
    }
    if (dtype_is_float(t->dtype)) {
        double a = tensor_double(t, i), b = tensor_double(t, j);
        if (a != a || b != b) return (a != a) - (b != b);
        return (a > b) - (a < b);
    }
    int64_t a = tensor_int(t, i), b = tensor_int(t, j);
    if (t->dtype == DT_U64) return ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b);
    return (a > b) - (a < b);
}

static int compare_slices(const Slices *s, int64_t i, int64_t j)
{
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t c = 0; c < s->inner; c++) {
            int order = compare_elements(s->x, (o * s->count + i) * s->inner + c,
                                         (o * s->count + j) * s->inner + c);
            if (order) return order;
        }
    return 0;
}

/* group[g] is the first place of the g-th kind, in the wanted order. Returns how many. */
static int64_t find_groups(const Slices *s, bool sorted, int64_t *group)
{
    int64_t found = 0;

    for (int64_t i = 0; i < s->count; i++) {
        int64_t at = found;
        bool known = false;
        for (int64_t g = 0; g < found && !known; g++) {
            int order = compare_slices(s, i, group[g]);
            known = order == 0;
            if (sorted && order < 0) {
                at = g;
                break;
            }
        }
        if (known) continue;
        memmove(group + at + 1, group + at, (size_t)(found - at) * sizeof *group);
        group[at] = i;
        found++;
    }
    return found;
}

static Status eval_unique(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Slices s = {.x = in[0], .outer = 1, .count = 1, .inner = 1};
    int64_t dims[MAX_RANK], found, *group;
    Tensor *r[4];
    int axis;

    TRY(unique_axis(n, cx->diag, in[0]->rank, &axis));
    for (int i = 0; i < in[0]->rank; i++)
        *(axis < 0 || i == axis ? &s.count : i < axis ? &s.outer : &s.inner) *= in[0]->dim[i];
    group = arena_try(cx->arena, (size_t)s.count + 1, sizeof *group);
    if (!group) return diag(cx->diag, ERR_LIMIT, node_where(n), "Unique: no memory");
    found = find_groups(&s, attr_int(n, "sorted", 1) != 0, group);
    for (int i = 0; i < in[0]->rank; i++)
        dims[i] = i == axis ? found : in[0]->dim[i];
    TRY(eval_out(cx, n, &r[0], in[0]->dtype, axis < 0 ? 1 : in[0]->rank, axis < 0 ? &found : dims));
    TRY(eval_out(cx, n, &r[1], DT_I64, 1, &found));
    TRY(eval_out(cx, n, &r[2], DT_I64, 1, &s.count));
    TRY(eval_out(cx, n, &r[3], DT_I64, 1, &found));
    for (int64_t g = 0; g < found; g++) {
        tensor_set_int(r[1], g, group[g]);
        for (int64_t i = 0; i < s.count; i++)
            if (compare_slices(&s, group[g], i) == 0) {
                tensor_set_int(r[2], i, g);
                tensor_set_int(r[3], g, tensor_int(r[3], g) + 1);
            }
        for (int64_t o = 0; o < s.outer; o++)
            for (int64_t c = 0; c < s.inner; c++)
                eval_copy_element(r[0], (o * found + g) * s.inner + c, in[0],
                                  (o * s.count + group[g]) * s.inner + c);
    }
    for (int k = 0; k < n->n_out; k++)
        out[k] = r[k];
    return OK;
}

static Status lower_unique(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK + 2], found = NULL;
    Type types[4];
    Node *call;
    int axis;

    TRY(unique_axis(n, b->diag, x->rank, &axis));
    for (int k = 0; k < n->n_out && !found; k++) /* the symbol that inference made */
        if (n->out[k] && k != 2) found = n->out[k]->type.dim[k == 0 && axis >= 0 ? axis : 0];
    if (!found) found = dim_fresh(b->dims, "unique", 0, DIM_TOP);
    unique_types(b->dims, x, axis, found, dims, types);
    call = build_call(b, "unique", 1, n->in, 4, types, 2,
                      (const int64_t[]){axis, attr_int(n, "sorted", 1)}, 0, NULL);
    if (!call) return b->status;
    node_define(call, found);
    for (int k = 0; k < n->n_out; k++)
        out[k] = call->out[k];
    return OK;
}

const OpDef unique_ops[] = {
    {.name = "Unique",
     .since = 28,
     .calls = CALL_BIT(unique),
     .about = "the different elements or slices, and where they are",
     .in = (const PortDef[]){{.name = "X", .types = T_ANY, .var = "T"}, {0}},
     .out =
         (const PortDef[]){{.name = "Y", .types = T_ANY, .var = "T"},
                           {.name = "indices", .types = DT_BIT(DT_I64), .optional = true},
                           {.name = "inverse_indices", .types = DT_BIT(DT_I64), .optional = true},
                           {.name = "counts", .types = DT_BIT(DT_I64), .optional = true},
                           {0}},
     .attr = (const AttrDef[]){ATTR_OPT("axis", ATTR_INT), ATTR_I("sorted", 1), {0}},
     .infer = infer_unique,
     .eval = eval_unique,
     .lower = lower_unique,
     .traits = OP_PURE},
    {0},
};
