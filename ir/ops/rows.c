/* rows.c: builds the stages, one function each. */
#include "ir/ops/rows.h"

#include <string.h>

void rows_start(Build *b, Value *x, int axis, Rows *r)
{
    memset(r, 0, sizeof *r);
    r->b = b;
    r->x = x;
    r->axis = axis;
    r->rank = x->type.rank;
    r->acc = compute_dtype(x->type.dtype);
    r->count = dim_const(b->dims, 1);
    for (int i = 0; i < r->rank; i++) {
        r->full[i] = x->type.dim[i];
        r->stat[i] = i < axis ? x->type.dim[i] : dim_const(b->dims, 1);
        if (i < axis) continue;
        r->reduce[r->n_reduce++] = x->type.dim[i];
        r->count = dim_mul(b->dims, r->count, x->type.dim[i]);
    }
}

const Sx *rows_load(const Rows *r, int src, DType d, At at)
{
    const Sx *idx[MAX_RANK];

    for (int i = 0; i < r->rank; i++)
        idx[i] = i >= r->axis && at == AT_STAT      ? sx_i64(r->b, 0)
                 : i >= r->axis && at == AT_REDUCED ? sx_index(r->b->sx, r->rank + i - r->axis)
                                                    : sx_index(r->b->sx, i);
    return sx_load(r->b->sx, d, src, r->rank, idx, NULL);
}

const Sx *rows_x(const Rows *r, At at)
{
    return sx_cast(r->b->sx, rows_load(r, 0, r->x->type.dtype, at), r->acc);
}

const Sx *rows_stat(const Rows *r, int stage)
{
    return rows_load(r, ~stage, r->acc, AT_STAT);
}

int rows_reduce(Rows *r, Monoid m, const Sx *body, const Sx *value, int result)
{
    int k = r->n++;

    r->acc_of[k] = (Acc){.monoid = m, .dtype = r->acc, .body = body};
    r->out[k] = (StageOut){.dtype = value ? value->dtype : r->acc,
                           .value = value ? value : sx_acc(r->b->sx, 0, r->acc),
                           .result = result};
    r->stage[k] = (Stage){.rank = r->rank,
                          .extent = r->stat,
                          .n_reduce = r->n_reduce,
                          .reduce = r->reduce,
                          .order = ORDER_LANES64,
                          .n_acc = 1,
                          .acc = &r->acc_of[k],
                          .scan_axis = -1,
                          .n_out = 1,
                          .out = &r->out[k]};
    return k;
}

int rows_map(Rows *r, const Sx *value, int result)
{
    int k = r->n++;

    r->out[k] = (StageOut){.dtype = value->dtype, .value = value, .result = result};
    r->stage[k] =
        (Stage){.rank = r->rank, .extent = r->full, .scan_axis = -1, .n_out = 1, .out = &r->out[k]};
    return k;
}

const Sx *rows_acc(const Rows *r)
{
    return sx_acc(r->b->sx, 0, r->acc);
}

const Sx *rows_count(const Rows *r)
{
    return sx_cast(r->b->sx, sx_dim(r->b->sx, r->count), r->acc);
}

Node *rows_finish(Rows *r, const char *label, int n_in, Value *const *in, int n_result,
                  const Type *types)
{
    if (r->b->status != OK) return NULL;
    return build_rows(r->b, label, n_in, in, r->axis, r->n, r->stage, n_result, types);
}
