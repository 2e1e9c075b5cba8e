/* rt_call_list_split.c: tensors into sequences, and back: SplitToSequence, ConcatFromSequence. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"

/* A tensor as outer x axis x inner. */
typedef struct Split {
    int64_t outer, extent, run; /* run: bytes of one step along the axis */
} Split;

static Split split_of(const ingot_tensor *x, int64_t axis)
{
    Split s = {1, x->dims[axis], ingot_rt_dtype_size(x->dtype)};

    for (int32_t i = 0; i < x->rank; i++) {
        if (i < axis) s.outer *= x->dims[i];
        if (i > axis) s.run *= x->dims[i];
    }
    return s;
}

/* Steps [from, from + size) of x along the axis as a tensor of its own. */
static int32_t cut(const ingot_call_args *a, const Split *s, int64_t from, int64_t size,
                   ingot_tensor *to)
{
    const ingot_tensor *x = &a->in[0];
    int64_t axis = a->ints[0], bytes = s->outer * size * s->run;
    int32_t rank = 0;
    char *p = ingot_rt_bump(a->call, bytes);

    if (!p) return INGOT_ERR_LIMIT;
    *to = (ingot_tensor){.data = p, .dtype = x->dtype};
    for (int32_t i = 0; i < x->rank; i++)
        if (i != axis || a->ints[1]) to->dims[rank++] = i == axis ? size : x->dims[i];
    to->rank = rank;
    for (int64_t o = 0; bytes && o < s->outer; o++)
        memcpy(p + o * size * s->run, (const char *)x->data + (o * s->extent + from) * s->run,
               (size_t)(size * s->run));
    if (x->dtype != INGOT_STRING) return INGOT_OK;
    return ingot_rt_keep_strings(a->call, to->data, bytes / (int64_t)sizeof(ingot_string));
}

static int64_t split_at(const ingot_tensor *split, int64_t i)
{
    int32_t narrow;
    int64_t v;

    if (split->dtype == INGOT_I64) {
        memcpy(&v, (const char *)split->data + 8 * i, sizeof v);
        return v;
    }
    memcpy(&narrow, (const char *)split->data + 4 * i, sizeof narrow);
    return narrow;
}

/* How many parts, and their size where all but the last have one. */
static int32_t count_parts(const ingot_call_args *a, const Split *s, bool listed, int64_t *count,
                           int64_t *each)
{
    const ingot_tensor *split = a->n_in > 1 && a->in[1].dtype ? &a->in[1] : NULL;

    *each = 1;
    *count = 0;
    if (listed) {
        *count = split->dims[0];
        return INGOT_OK;
    }
    if (split) *each = split_at(split, 0);
    if (*each < 1)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'split': parts of %lld elements", *each, 0);
    *count = s->extent / *each + (s->extent % *each != 0);
    return INGOT_OK;
}

/* in: x, split (a scalar or a list). ints: axis, whether it is kept. out: the sequence. */
int32_t ingot_call_list_split(const ingot_call_args *a)
{
    const ingot_tensor *split = a->n_in > 1 && a->in[1].dtype ? &a->in[1] : NULL;
    Split s = split_of(&a->in[0], a->ints[0]);
    bool listed = split && split->rank == 1;
    int64_t count, each, at = 0, bytes;
    int32_t status = count_parts(a, &s, listed, &count, &each);
    ingot_tensor *item;

    if (status) return status;
    if (__builtin_mul_overflow(count, (int64_t)sizeof *item, &bytes)) return INGOT_ERR_LIMIT;
    item = ingot_rt_bump(a->call, bytes);
    if (!item) return INGOT_ERR_LIMIT;
    for (int64_t i = 0; i < count; i++) {
        int64_t left = s.extent - at, size = listed ? split_at(split, i) : each;
        if (!listed && size > left) size = left;
        if (size < 0 || size > left)
            return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                                 "input 'split': a part of %lld elements, %lld are left", size,
                                 left);
        status = cut(a, &s, at, size, &item[i]);
        if (status) return status;
        at += size;
    }
    if (at != s.extent)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'split': the parts have %lld of %lld elements", at, s.extent);
    a->out[0] = (ingot_tensor){.data = item, .dtype = INGOT_SEQUENCE, .rank = 1, .dims = {count}};
    return INGOT_OK;
}

/* Dims of the whole into out; all pieces must agree but along the axis. */
static int32_t concat_dims(const ingot_call_args *a, int64_t axis, bool fresh, ingot_tensor *out)
{
    const ingot_tensor *item = a->in[0].data;
    int64_t n = a->in[0].dims[0], total = 0;

    if (n == 0)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'input_sequence' has no elements", 0, 0);
    for (int64_t k = 0; k < n; k++) {
        if (item[k].rank + fresh != out->rank)
            return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                                 "input 'input_sequence': an element has rank %lld, expected %lld",
                                 item[k].rank, out->rank - fresh);
        for (int32_t i = 0; i < item[k].rank; i++)
            if ((fresh || i != axis) && item[k].dims[i] != item[0].dims[i])
                return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                                     "input 'input_sequence': a dim is %lld, another is %lld",
                                     item[k].dims[i], item[0].dims[i]);
        if (__builtin_add_overflow(total, fresh ? 1 : item[k].dims[axis], &total))
            return ingot_rt_fail(a->call, INGOT_ERR_LIMIT, a->origin, "too many elements", 0, 0);
    }
    for (int32_t i = 0, j = 0; i < out->rank; i++) {
        out->dims[i] = i == axis ? total : item[0].dims[j];
        j += !(fresh && i == axis);
    }
    return INGOT_OK;
}

/* in: the sequence. ints: axis; 1 where it is a new one. out: the tensor. */
int32_t ingot_call_list_concat(const ingot_call_args *a)
{
    const ingot_tensor *item = a->in[0].data;
    int64_t axis = a->ints[0], size, count, run = 1, step, at = 0;
    bool fresh = a->ints[1] != 0;
    ingot_tensor *out = &a->out[0], want = *out;
    int32_t status = concat_dims(a, axis, fresh, out);

    if (status) return status;
    if (want.data && memcmp(want.dims, out->dims, (size_t)out->rank * sizeof out->dims[0]) != 0)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "the elements of input 'input_sequence' have other dims than expected",
                             0, 0);
    out->dtype = item[0].dtype;
    size = ingot_rt_dtype_size(out->dtype);
    count = ingot_rt_elements(out->dtype, out->rank, out->dims);
    if (count < 0)
        return ingot_rt_fail(a->call, INGOT_ERR_LIMIT, a->origin, "a size is too large", 0, 0);
    if (!want.data && !ingot_rt_place(a, 0, count * size)) return INGOT_ERR_LIMIT;
    if (count == 0) return INGOT_OK;
    for (int64_t i = axis; i < out->rank; i++)
        run *= out->dims[i];
    step = run * size;
    for (int64_t k = 0; k < a->in[0].dims[0]; k++) {
        int64_t part = fresh ? step / out->dims[axis] : step / out->dims[axis] * item[k].dims[axis];
        for (int64_t o = 0; part && o < count / run; o++)
            memcpy((char *)out->data + o * step + at, (const char *)item[k].data + o * part,
                   (size_t)part);
        at += part;
    }
    return INGOT_OK;
}
