/* ml_map.c: operators of ai.onnx.ml on maps: ZipMap, DictVectorizer, CastMap. A map is a list of
 * two: its keys, and a sequence of its values (see ingot_rt.h). */
#include <string.h>

#include "ir/ops/cast_text.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"
#include "ir/ops/sequence.h"

/* The strings or the integers that an attribute lists, as a tensor. */
static Status listed(const Node *n, Diag *d, const char *ints, const char *strings, Arena *arena,
                     Tensor **out)
{
    const Attr *i = attr_find(n, ints), *s = attr_find(n, strings);
    int64_t count;

    if ((i && i->n > 0) == (s && s->n > 0))
        return op_error(n, d, ints, "%s: one of %s and %s is needed", n->op->name, ints, strings);
    if (i && i->n > 0) {
        *out = tensor_i64s(arena, i->n, i->ints);
        return OK;
    }
    count = s->n;
    *out = tensor_new(arena, DT_STRING, 1, &count);
    if (*out) memcpy((*out)->data, s->strings, sizeof *s->strings * (size_t)count);
    return OK;
}

/* ---- ZipMap ---- */

static Status zip_labels(const Node *n, Diag *d, Arena *arena, Tensor **out)
{
    return listed(n, d, "classlabels_int64s", "classlabels_strings", arena, out);
}

static Status infer_zip(Infer *cx, Node *n)
{
    Arena *a = cx->module->arena;
    const Type *x = in_type(n, 0);
    Type *map = ARENA_NEW(a, Type), *value = ARENA_NEW(a, Type);
    Tensor *labels;

    TRY(zip_labels(n, cx->diag, a, &labels));
    if (!labels) return diag(cx->diag, ERR_LIMIT, node_where(n), "no memory");
    if (x->rank != 1 && x->rank != 2)
        return op_error(n, cx->diag, "X", "ZipMap: expected rank 1 or 2, found %d", x->rank);
    if (dim_is_const(x->dim[x->rank - 1]) && x->dim[x->rank - 1]->value != labels->count)
        return op_error(n, cx->diag, "X", "ZipMap: %lld columns for %lld labels",
                        (long long)x->dim[x->rank - 1]->value, (long long)labels->count);
    *value = type_tensor(DT_F32, 0, NULL);
    *map = (Type){.kind = TYPE_MAP, .dtype = labels->dtype, .elem = value};
    n->out[0]->type = (Type){.kind = TYPE_SEQUENCE, .elem = map};
    return OK;
}

static Status eval_zip(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t rows = in[0]->rank == 2 ? in[0]->dim[0] : 1, columns;
    Tensor *labels, **map = arena_try(cx->arena, (size_t)rows + 1, sizeof *map), **value;

    TRY(zip_labels(n, cx->diag, cx->arena, &labels));
    columns = in[0]->dim[in[0]->rank - 1];
    value = arena_try(cx->arena, (size_t)columns + 1, sizeof *value);
    if (!map || !value || !labels) return diag(cx->diag, ERR_LIMIT, node_where(n), "no memory");
    if (columns != labels->count)
        return op_error(n, cx->diag, "X", "ZipMap: %lld columns for %lld labels",
                        (long long)columns, (long long)labels->count);
    for (int64_t r = 0; r < rows; r++) {
        Tensor *pair[2] = {labels, NULL};
        for (int64_t c = 0; c < columns; c++)
            value[c] =
                tensor_scalar_double(cx->arena, DT_F32, tensor_double(in[0], r * columns + c));
        TRY(eval_list(cx, n, TYPE_SEQUENCE, columns, value, &pair[1]));
        TRY(eval_list(cx, n, TYPE_MAP, 2, pair, &map[r]));
    }
    return eval_list(cx, n, TYPE_SEQUENCE, rows, map, &out[0]);
}

static Status lower_zip(Build *b, const Node *n, Value **out)
{
    Tensor *labels;
    Value *in[2] = {n->in[0], NULL};

    TRY(zip_labels(n, b->diag, b->module->arena, &labels));
    in[1] = labels ? build_tensor(b, labels) : NULL;
    if (!in[1]) return diag(b->diag, ERR_LIMIT, node_where(n), "no memory");
    out[0] = call_list(b, "map_zip", 2, in, &n->out[0]->type, 0, NULL);
    return b->status;
}

/* ---- DictVectorizer ---- */

static Status words_of(const Node *n, Diag *d, Arena *arena, Tensor **out)
{
    return listed(n, d, "int64_vocabulary", "string_vocabulary", arena, out);
}

static Status infer_dict(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    DimTable *t = &cx->module->dims;
    Tensor *words;

    TRY(words_of(n, cx->diag, cx->module->arena, &words));
    if (!words) return diag(cx->diag, ERR_LIMIT, node_where(n), "no memory");
    if (x->kind != TYPE_MAP || !x->elem || x->elem->kind != TYPE_TENSOR)
        return op_error(n, cx->diag, "X", "DictVectorizer: the input is no map");
    if (x->dtype != words->dtype)
        return op_error(n, cx->diag, "X", "DictVectorizer: keys are %s, the vocabulary is %s",
                        dtype_text(x->dtype), dtype_text(words->dtype));
    infer_out(cx, n, 0, x->elem->dtype, 2, (Dim[]){dim_const(t, 1), dim_const(t, words->count)});
    return OK;
}

static bool same_key(const Tensor *a, int64_t i, const Tensor *b, int64_t k)
{
    const StringRef *s = (const StringRef *)a->data, *r = (const StringRef *)b->data;

    if (a->dtype != DT_STRING) return tensor_int(a, i) == tensor_int(b, k);
    return s[i].n == r[k].n && memcmp(s[i].s, r[k].s, (size_t)s[i].n) == 0;
}

static Status eval_dict(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *keys = tensor_items(in[0])[0], *values = tensor_items(in[0])[1];
    Tensor *words;
    int64_t dims[2] = {1};

    TRY(words_of(n, cx->diag, cx->arena, &words));
    if (!words) return diag(cx->diag, ERR_LIMIT, node_where(n), "no memory");
    dims[1] = words->count;
    TRY(eval_out(cx, n, &out[0], n->out[0]->type.dtype, 2, dims));
    for (int64_t i = 0; i < words->count; i++)
        for (int64_t k = 0; k < keys->count; k++)
            if (same_key(words, i, keys, k))
                eval_copy_element(out[0], i, tensor_items(values)[k], 0);
    return OK;
}

static Status lower_dict(Build *b, const Node *n, Value **out)
{
    Tensor *words;
    Value *in[2] = {n->in[0], NULL};

    TRY(words_of(n, b->diag, b->module->arena, &words));
    in[1] = words ? build_tensor(b, words) : NULL;
    if (!in[1]) return diag(b->diag, ERR_LIMIT, node_where(n), "no memory");
    out[0] = call_list(b, "map_dict", 2, in, &n->out[0]->type, 0, NULL);
    return b->status;
}

/* ---- CastMap ---- */

typedef struct CastMap {
    bool sparse;
    int64_t most; /* sparse: columns, of keys 0 to most - 1 */
    DType to;
} CastMap;

static Status cast_map_read(const Node *n, Diag *d, CastMap *c)
{
    static const struct {
        const char *name;
        DType type;
    } to[] = {{"TO_FLOAT", DT_F32}, {"TO_STRING", DT_STRING}, {"TO_INT64", DT_I64}};
    const char *form = attr_string(n, "map_form", ""), *name = attr_string(n, "cast_to", "");
    const Type *x = in_type(n, 0);

    *c = (CastMap){.sparse = strcmp(form, "SPARSE") == 0, .most = attr_int(n, "max_map", 1)};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        if (strcmp(name, to[i].name) == 0) c->to = to[i].type;
    if (c->to == DT_NONE)
        return op_error(n, d, "cast_to",
                        "CastMap: expected TO_FLOAT, TO_STRING or TO_INT64, found '%s'", name);
    if (!c->sparse && strcmp(form, "DENSE") != 0)
        return op_error(n, d, "map_form", "CastMap: expected DENSE or SPARSE, found '%s'", form);
    if (c->sparse && (c->most < 0 || c->most > INT32_MAX))
        return op_error(n, d, "max_map", "CastMap: %lld columns", (long long)c->most);
    if (x->kind != TYPE_MAP || x->dtype != DT_I64 || !x->elem || x->elem->kind != TYPE_TENSOR ||
        !(DT_BIT(x->elem->dtype) & (T_F32 | T_STRING)))
        return op_error(n, d, "X", "CastMap: the input is no map from i64 to f32 or string");
    return OK;
}

static Status infer_cast_map(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    CastMap c;
    Dim width;

    TRY(cast_map_read(n, cx->diag, &c));
    width = c.sparse ? dim_const(t, c.most) : dim_fresh(t, "map", 0, INT32_MAX);
    infer_out(cx, n, 0, c.to, 2, (Dim[]){dim_const(t, 1), width});
    return OK;
}

/* The value of column `i`, or NULL; a column is a key, or the rank of one. The last of equal keys
 * counts. */
static const Tensor *map_column(const Tensor *map, bool sparse, int64_t i)
{
    const Tensor *keys = tensor_items(map)[0], *values = tensor_items(map)[1], *found = NULL;

    for (int64_t k = 0; k < keys->count; k++) {
        int64_t key = tensor_int(keys, k), less = 0;
        for (int64_t q = 0; q < keys->count && !sparse; q++)
            less += tensor_int(keys, q) < key;
        if (sparse ? key == i : less == i) found = tensor_items(values)[k];
    }
    return found;
}

static Status check_keys(Eval *cx, const Node *n, const Tensor *keys, const CastMap *c)
{
    for (int64_t k = 0; k < keys->count; k++)
        if (c->sparse && (tensor_int(keys, k) < 0 || tensor_int(keys, k) >= c->most))
            return diag(cx->diag, ERR_MODEL, node_where(n), "CastMap: key %lld of %lld columns",
                        (long long)tensor_int(keys, k), (long long)c->most);
    return OK;
}

/* How many columns: keys that differ. */
static int64_t dense_width(const Tensor *keys)
{
    int64_t width = 0;

    for (int64_t k = 0; k < keys->count; k++) {
        int64_t q = 0;
        while (tensor_int(keys, q) != tensor_int(keys, k))
            q++;
        width += q == k;
    }
    return width;
}

static void set_absent(Tensor *t, int64_t i)
{
    if (t->dtype == DT_STRING)
        ((StringRef *)t->data)[i] = (StringRef){"0", 1};
    else
        tensor_set_double(t, i, 0);
}

static Status eval_cast_map(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *keys = tensor_items(in[0])[0], *item;
    int64_t dims[2] = {1}, at = 0;
    Tensor *values;
    CastMap c;

    TRY(cast_map_read(n, cx->diag, &c));
    TRY(check_keys(cx, n, keys, &c));
    dims[1] = c.sparse ? c.most : dense_width(keys);
    TRY(eval_out(cx, n, &values, in_type(n, 0)->elem->dtype, 2, dims));
    TRY(eval_out(cx, n, &out[0], c.to, 2, dims));
    for (int64_t i = 0; i < dims[1]; i++, at++) {
        while (!c.sparse && !map_column(in[0], false, at)) /* ranks count equal keys too */
            at++;
        item = map_column(in[0], c.sparse, at);
        if (item)
            eval_copy_element(values, i, item, 0);
        else
            set_absent(values, i);
    }
    if ((values->dtype == DT_STRING) != (c.to == DT_STRING))
        return eval_cast_text(cx, n, values, out[0], true);
    for (int64_t i = 0; i < dims[1]; i++)
        if (c.to == DT_STRING)
            eval_copy_element(out[0], i, values, i);
        else
            tensor_set_double(out[0], i, tensor_double(values, i));
    return OK;
}

static Status lower_cast_map(Build *b, const Node *n, Value **out)
{
    const Type *y = &n->out[0]->type;
    Type type = type_tensor(in_type(n, 0)->elem->dtype, 2, y->dim);
    CastMap c;
    Node *call;

    TRY(cast_map_read(n, b->diag, &c));
    call = build_call(b, "map_cast", 1, n->in, 1, &type, 1, (int64_t[]){c.sparse ? c.most : -1}, 0,
                      NULL);
    if (!call) return b->status;
    if (!c.sparse) node_define(call, y->dim[1]);
    if (c.to == DT_STRING && type.dtype == DT_F32)
        out[0] = make_fixed_text(b, call->out[0]); /* not as Cast writes them: 1.750000 */
    else
        out[0] = make_cast(b, call->out[0], c.to);
    return b->status;
}

const OpDef ml_map_ops[] = {
    {.name = "ZipMap",
     .domain = "ai.onnx.ml",
     .since = 1,
     .calls = CALL_BIT(map_zip),
     .about = "a map from labels to values for each row",
     ROW_IN({"X", DT_BIT(DT_F32)}),
     ROW_OUT({"Z", 0}),
     ROW_ATTRS(ATTR_OPT("classlabels_int64s", ATTR_INTS),
               ATTR_OPT("classlabels_strings", ATTR_STRINGS)),
     .infer = infer_zip,
     .eval = eval_zip,
     .lower = lower_zip,
     .traits = OP_PURE},
    {.name = "DictVectorizer",
     .domain = "ai.onnx.ml",
     .since = 1,
     .calls = CALL_BIT(map_dict),
     .about = "the values of a map in the order of a vocabulary",
     ROW_IN({"X", 0}),
     ROW_OUT({"Y", T_ANY}),
     ROW_ATTRS(ATTR_OPT("int64_vocabulary", ATTR_INTS),
               ATTR_OPT("string_vocabulary", ATTR_STRINGS)),
     .infer = infer_dict,
     .eval = eval_dict,
     .lower = lower_dict,
     .traits = OP_PURE},
    {.name = "CastMap",
     .domain = "ai.onnx.ml",
     .since = 1,
     .calls = CALL_BIT(map_cast) | CALL_BIT(string_of_number) | CALL_BIT(number_of_string),
     .about = "the values of a map, by key, as a row",
     ROW_IN({"X", 0}),
     ROW_OUT({"Y", T_F32 | T_STRING | DT_BIT(DT_I64)}),
     ROW_ATTRS(ATTR_S("cast_to", "TO_FLOAT"), ATTR_S("map_form", "DENSE"), ATTR_I("max_map", 1)),
     .infer = infer_cast_map,
     .eval = eval_cast_map,
     .lower = lower_cast_map,
     .traits = OP_PURE},
    {0},
};
