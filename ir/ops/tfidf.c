/* tfidf.c: TfIdfVectorizer: how often each n-gram of a pool stands in a row, its
 * elements 1 + skip apart.
 *
 * The n-grams of one length are one reduction over (skip, place). The counts of all lengths stand
 * side by side, a column of zeros behind them; the result takes its columns from there. Strings are
 * made numbers first: the place in the pool where each stands first. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

typedef struct Pool {
    int grams; /* n-grams in the pool, in its order */
    int lengths, tokens;
    const int64_t *token, *begin; /* where the n-grams of each length begin */
    const int64_t *column;        /* of the result, for each n-gram */
    int64_t columns;
    int64_t least, most, skip;
} Pool;

/* Each string of the pool as the place where it stands first. */
static const int64_t *string_places(Arena *a, const Attr *pool)
{
    int64_t *place = arena_try(a, (size_t)pool->n + 1, sizeof *place);
    Map first;

    if (!place) return NULL;
    map_init(&first, a, true);
    for (int i = 0; i < pool->n; i++) {
        const char *s = pool->strings[i].s;
        if (!map_has(&first, s)) map_set(&first, s, (void *)(uintptr_t)(i + 1));
        place[i] = (int64_t)(uintptr_t)map_get(&first, s) - 1;
    }
    return place;
}

static Status pool_read(const Node *n, Arena *a, Diag *d, Pool *p)
{
    const Attr *strings = attr_find(n, "pool_strings");
    int tokens, columns;
    int64_t end;

    *p = (Pool){.least = attr_int(n, "min_gram_length", 1),
                .most = attr_int(n, "max_gram_length", 1),
                .skip = attr_int(n, "max_skip_count", 0)};
    if (p->skip > INT32_MAX) p->skip = INT32_MAX;
    p->token = attr_ints(n, "pool_int64s", &tokens);
    p->begin = attr_ints(n, "ngram_counts", &p->lengths);
    p->column = attr_ints(n, "ngram_indexes", &columns);
    if (strings && !p->token) {
        p->token = string_places(a, strings);
        tokens = strings->n;
    }
    if (!p->token || (strings != NULL) != (in_type(n, 0)->dtype == DT_STRING))
        return op_error(n, d, "pool_strings", "TfIdfVectorizer: no pool for an input of %s",
                        dtype_text(in_type(n, 0)->dtype));
    p->tokens = tokens;
    if (p->least < 1 || p->most < p->least || p->skip < 0 || p->most > p->lengths)
        return op_error(n, d, "max_gram_length", "TfIdfVectorizer: lengths %lld to %lld of %d",
                        (long long)p->least, (long long)p->most, p->lengths);
    for (int i = 0; i < p->lengths; i++) {
        end = i + 1 < p->lengths ? p->begin[i + 1] : tokens;
        if (p->begin[i] < 0 || p->begin[i] > end || end > tokens || (end - p->begin[i]) % (i + 1))
            return op_error(n, d, "ngram_counts", "TfIdfVectorizer: %lld to %lld for length %d",
                            (long long)p->begin[i], (long long)end, i + 1);
        p->grams += (int)((end - p->begin[i]) / (i + 1));
    }
    if (columns != p->grams)
        return op_error(n, d, "ngram_indexes", "TfIdfVectorizer: %d columns for %d n-grams",
                        columns, p->grams);
    for (int i = 0; i < columns; i++) {
        if (p->column[i] < 0 || p->column[i] > 1 << 24)
            return op_error(n, d, "ngram_indexes", "TfIdfVectorizer: found %lld",
                            (long long)p->column[i]);
        if (p->column[i] >= p->columns) p->columns = p->column[i] + 1;
    }
    return OK;
}

/* [rows, count] f32: how often the `count` n-grams of `length` at `token` occur in x [rows, C]. */
static Value *occurrences(Build *b, const Pool *p, Value *x, int length, int64_t count,
                          const int64_t *token)
{
    SxTable *t = b->sx;
    int64_t dims[2] = {count, length};
    Dim out[2] = {x->type.dim[0], dim_const(b->dims, count)};
    Dim reduce[2] = {dim_const(b->dims, length > 1 ? p->skip + 1 : 1), x->type.dim[1]};
    const Sx *apart = sx_add(t, sx_index(t, 2), sx_i64(b, 1)), *last, *fits, *same;
    Value *pool = build_tensor(b, tensor_wrap(b->module->arena, DT_I64, 2, dims, token));
    Acc acc = {.monoid = MONOID_SUM, .dtype = DT_F32};

    if (!pool) return NULL;
    reduce[0] = dim_min(b->dims, reduce[0], reduce[1]); /* elements further apart are not there */
    last = sx_add(t, sx_index(t, 3), sx_mul(t, apart, sx_i64(b, length - 1)));
    fits = sx_lt(t, last, sx_dim(t, x->type.dim[1]));
    same = fits;
    for (int j = 0; j < length; j++) {
        const Sx *at = sx_add(t, sx_index(t, 3), sx_mul(t, apart, sx_i64(b, j)));
        const Sx *have = sx_at_guarded(b, 0, x, (const Sx *[]){sx_index(t, 0), at}, fits);
        const Sx *want = sx_at(b, 1, pool, (const Sx *[]){sx_index(t, 1), sx_i64(b, j)});
        same = sx_and(t, same, sx_eq(t, have, want));
    }
    acc.body = sx_select(t, same, sx_const(t, DT_F32, 1), sx_const(t, DT_F32, 0));
    return build_reduce(b, "ngrams", 2, (Value *[]){x, pool}, 2, out, 2, reduce, ORDER_CHAIN, acc,
                        DT_F32, NULL);
}

/* Columns of the result from the counts of n-grams, or the zeros behind them. */
static Value *columns_of(Build *b, const Node *n, const Pool *p, const int *from, int found,
                         Value *counts)
{
    int64_t *at = arena_try(b->module->arena, (size_t)p->columns + 1, sizeof *at);

    if (!at) {
        build_fail(b, diag(b->diag, ERR_LIMIT, node_where(n), "out of memory"));
        return NULL;
    }
    for (int64_t c = 0; c < p->columns; c++)
        at[c] = found;
    for (int i = 0; i < p->grams; i++) {
        if (from[i] < 0) continue;
        if (at[p->column[i]] != found) {
            build_fail(b, op_unsupported(n, b->diag, "two n-grams for one column"));
            return NULL;
        }
        at[p->column[i]] = from[i];
    }
    return make_gather(b, counts, build_i64(b, (int)p->columns, at), 1);
}

/* Weights by column. */
static Value *weighted(Build *b, const Node *n, const Pool *p, Value *v)
{
    const char *mode = attr_string(n, "mode", "TF");
    const Attr *a = attr_find(n, "weights");
    Tensor *w;

    if (strcmp(mode, "TF") == 0 || !v) return v;
    if (strcmp(mode, "IDF") != 0 && strcmp(mode, "TFIDF") != 0) {
        build_fail(b, op_error(n, b->diag, "mode", "TfIdfVectorizer: found \"%s\"", mode));
        return NULL;
    }
    if (mode[0] == 'I') v = make_cast(b, build_op2(b, "Greater", v, make_scalar(b, v, 0)), DT_F32);
    if (!a || !a->n) return v;
    w = tensor_new(b->module->arena, DT_F32, 1, &p->columns);
    if (!w || a->n != p->grams) {
        build_fail(b, op_error(n, b->diag, "weights", "TfIdfVectorizer: %d for %d n-grams", a->n,
                               p->grams));
        return NULL;
    }
    for (int64_t c = 0; c < p->columns; c++)
        tensor_set_double(w, c, 1);
    for (int i = 0; i < p->grams; i++)
        tensor_set_double(w, p->column[i], a->floats[i]);
    return make_mul(b, v, build_tensor(b, w));
}

/* The input as numbers of the pool; what is not in it is -1. */
static Value *input_tokens(Build *b, const Node *n, const Pool *p)
{
    Attr attr[3];
    Node *y;

    if (in_type(n, 0)->dtype != DT_STRING) return make_cast(b, n->in[0], DT_I64);
    attr[0] = *attr_find(n, "pool_strings");
    attr[0].name = "keys_strings";
    attr[1] = attr_of_ints("values_int64s", p->tokens, p->token);
    attr[2] = attr_of_int("default_int64", -1);
    y = build_op_node(b, "ai.onnx.ml", "LabelEncoder", 1, n->in, 1, 3, attr);
    return y ? y->out[0] : NULL;
}

static Status lower_tfidf(Build *b, const Node *n, Value **out)
{
    Pool p;
    Value *x, *v, **part;
    int count = 0, gram = 0, found = 0, *from;
    Dim dims[2];

    TRY(pool_read(n, b->module->arena, b->diag, &p));
    x = input_tokens(b, n, &p);
    if (!x || x->type.rank < 1 || x->type.rank > 2)
        return op_error(n, b->diag, "X", "TfIdfVectorizer: expected rank 1 or 2");
    if (in_type(n, 0)->rank == 1) x = make_unsqueeze(b, x, 0);
    part = ARENA_ARRAY(b->module->arena, Value *, p.lengths + 1);
    from = ARENA_ARRAY(b->module->arena, int, p.grams + 1);
    for (int i = 0; i < p.lengths && x; i++) {
        int64_t end = i + 1 < p.lengths ? p.begin[i + 1] : p.tokens;
        int64_t each = (end - p.begin[i]) / (i + 1);
        bool wanted = i + 1 >= p.least && i + 1 <= p.most;
        for (int64_t k = 0; k < each; k++)
            from[gram++] = wanted ? found++ : -1;
        if (wanted && each)
            part[count++] = occurrences(b, &p, x, i + 1, each, p.token + p.begin[i]);
    }
    if (b->status != OK) return b->status;
    dims[0] = x->type.dim[0];
    dims[1] = dim_const(b->dims, 1);
    part[count++] = build_map(b, "none", 0, NULL, DT_F32, 2, dims, sx_const(b->sx, DT_F32, 0));
    v = columns_of(b, n, &p, from, found, make_concat(b, count, part, 1));
    v = weighted(b, n, &p, v);
    dims[0] = dim_const(b->dims, p.columns);
    out[0] = in_type(n, 0)->rank == 1 ? make_reshape(b, v, 1, dims) : v;
    return b->status;
}

const OpDef tfidf_ops[] = {
    {.name = "TfIdfVectorizer",
     .since = 9,
     .calls = CALL_BIT(string_equal),
     .about = "how often the n-grams of a pool occur",
     ROW_IN({"X", DT_BIT(DT_I32) | DT_BIT(DT_I64) | T_STRING}),
     ROW_OUT({"Y", DT_BIT(DT_F32)}),
     ROW_ATTRS(ATTR_REQ("max_gram_length", ATTR_INT), ATTR_REQ("max_skip_count", ATTR_INT),
               ATTR_REQ("min_gram_length", ATTR_INT), ATTR_REQ("mode", ATTR_STRING),
               ATTR_REQ("ngram_counts", ATTR_INTS), ATTR_REQ("ngram_indexes", ATTR_INTS),
               ATTR_OPT("pool_int64s", ATTR_INTS), ATTR_OPT("pool_strings", ATTR_STRINGS),
               ATTR_OPT("weights", ATTR_FLOATS)),
     .traits = OP_PURE,
     .infer = compose_infer,
     .eval = compose_eval,
     .lower = lower_tfidf},
    {0},
};
