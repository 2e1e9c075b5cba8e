/* tokenizer.c: Tokenizer of com.microsoft, with which converters write vectorisers of text.
 *
 *     separators [""]    characters
 *     separators         what lies between matches of each of them, one after the other
 *     tokenexp           what matches it, leftmost and longest
 *
 * Tokens of fewer than mincharnum characters are left out. Each string has as many as the one with
 * the most, pad_value behind the last; with `mark`, U+0002 before the first and U+0003 behind the
 * last, unless no string has a token. */
#include <string.h>

#include "ir/ops/ml.h"
#include "ir/ops/ops_common.h"
#include "ir/regex.h"
#include "ir/unicode.h"

enum { CHARACTERS, MATCHES, BETWEEN }; /* as in runtime/rt_call_tokens.c */

typedef struct Tokenizer {
    int how, n_pattern;
    bool marks;
    int64_t fewest;
    StringRef pad;
    const RegexNode **tree; /* [n_pattern] */
    Tensor **program, **ranges;
} Tokenizer;

static Status add_pattern(const Node *n, Arena *a, Diag *d, const char *from, StringRef text,
                          Tokenizer *t)
{
    const char *why;
    int k = t->n_pattern++;

    t->tree[k] = regex_parse(a, text, &why);
    if (!t->tree[k])
        return diag(d, ERR_UNSUPPORTED, node_where_attr(n, from), "Tokenizer: %s, in \"%.*s\"", why,
                    (int)text.n, text.s);
    if (!regex_compile(a, t->tree[k], &t->program[k], &t->ranges[k]))
        return diag(d, ERR_UNSUPPORTED, node_where_attr(n, from),
                    "Tokenizer: \"%.*s\" needs more than %d steps", (int)text.n, text.s,
                    REGEX_MOST);
    return OK;
}

static Status tokenizer_read(const Node *n, Arena *a, Diag *d, Tokenizer *t)
{
    const Attr *by = attr_find(n, "separators"), *what = attr_find(n, "tokenexp");
    int count = by && by->n > 0 ? by->n : 1;

    *t = (Tokenizer){.marks = attr_int(n, "mark", 0) != 0,
                     .fewest = attr_int(n, "mincharnum", 1),
                     .pad = attr_find(n, "pad_value")->s,
                     .tree = ARENA_ARRAY(a, const RegexNode *, count),
                     .program = ARENA_ARRAY(a, Tensor *, count),
                     .ranges = ARENA_ARRAY(a, Tensor *, count)};
    if (t->fewest < 1)
        return op_error(n, d, "mincharnum", "Tokenizer: %lld, expected at least 1",
                        (long long)t->fewest);
    if (by && by->n > 0) {
        if (by->n == 1 && by->strings[0].n == 0) {
            if (t->fewest > 1)
                return op_error(n, d, "mincharnum", "Tokenizer: %lld for tokens of one character",
                                (long long)t->fewest);
            t->how = CHARACTERS;
            return OK;
        }
        t->how = BETWEEN;
        for (int i = 0; i < by->n; i++)
            TRY(add_pattern(n, a, d, "separators", by->strings[i], t));
        return OK;
    }
    if (!what || what->s.n == 0)
        return op_error(n, d, "separators", "Tokenizer: neither separators nor tokenexp");
    t->how = MATCHES;
    return add_pattern(n, a, d, "tokenexp", what->s, t);
}

static Status infer_tokenizer(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[3];
    Tokenizer t;

    TRY(infer_ranked(cx, n, 0));
    TRY(tokenizer_read(n, cx->module->arena, cx->diag, &t));
    if (x->rank < 1 || x->rank > 2)
        return op_error(n, cx->diag, "X", "Tokenizer: rank %d, expected 1 or 2", x->rank);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    dims[x->rank] = dim_fresh(&cx->module->dims, "tokens", 0, DIM_TOP);
    infer_out(cx, n, 0, DT_STRING, x->rank + 1, dims);
    return OK;
}

/* ---- the reference ---- */

static size_t character(StringRef s, int64_t at)
{
    size_t n = 1;

    if (at < s.n) utf8_decode(s.s + at, (size_t)(s.n - at), &n);
    return n;
}

static int64_t characters(StringRef s)
{
    int64_t count = 0;

    for (int64_t i = 0; i < s.n; i += (int64_t)character(s, i))
        count++;
    return count;
}

/* The leftmost, longest match at or behind `from`. */
static bool search(const RegexNode *tree, StringRef s, int64_t from, int64_t *begin, int64_t *end)
{
    for (*begin = from; *begin <= s.n; *begin += (int64_t)character(s, *begin)) {
        *end = regex_longest(tree, s, *begin);
        if (*end >= 0) return true;
    }
    return false;
}

/* Parts of s into out, which has room for as many as s has characters; how many there are. */
static int64_t parts_of(const Tokenizer *t, const RegexNode *tree, StringRef s, StringRef *out)
{
    int64_t count = 0, from = 0, begin, end;

    while (from <= s.n && search(tree, s, from, &begin, &end)) {
        StringRef part = {s.s + begin, end - begin};
        if (t->how == BETWEEN) part = (StringRef){s.s + from, begin - from};
        if (characters(part) >= t->fewest) out[count++] = part;
        from = end > begin ? end : begin + (int64_t)character(s, begin);
    }
    if (t->how == BETWEEN && from < s.n) {
        StringRef rest = {s.s + from, s.n - from};
        if (characters(rest) >= t->fewest) out[count++] = rest;
    }
    return count;
}

static int64_t tokens_of(const Tokenizer *t, Arena *a, StringRef s, StringRef **out)
{
    StringRef *have = ARENA_ARRAY(a, StringRef, s.n + 1), *next;
    int64_t count = 0, n_next;

    if (t->how == CHARACTERS) {
        for (int64_t i = 0; i < s.n; i += (int64_t)character(s, i))
            have[count++] = (StringRef){s.s + i, (int64_t)character(s, i)};
    } else {
        have[count++] = s;
    }
    for (int k = 0; k < t->n_pattern; k++) {
        next = ARENA_ARRAY(a, StringRef, s.n + 1);
        n_next = 0;
        for (int64_t i = 0; i < count; i++)
            n_next += parts_of(t, t->tree[k], have[i], next + n_next);
        have = next;
        count = n_next;
    }
    *out = have;
    return count;
}

static Status eval_tokenizer(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t width = 0, dims[3], marks, *count = ARENA_ARRAY(cx->arena, int64_t, in[0]->count + 1);
    StringRef **tokens = ARENA_ARRAY(cx->arena, StringRef *, in[0]->count + 1), *y;
    Tokenizer t;

    TRY(tokenizer_read(n, cx->arena, cx->diag, &t));
    for (int64_t i = 0; i < in[0]->count; i++) {
        count[i] = tokens_of(&t, cx->arena, ((const StringRef *)in[0]->data)[i], &tokens[i]);
        if (count[i] > width) width = count[i];
    }
    marks = t.marks && width ? 1 : 0;
    width += 2 * marks;
    memcpy(dims, in[0]->dim, sizeof *dims * (size_t)in[0]->rank);
    dims[in[0]->rank] = width;
    TRY(eval_out(cx, n, &out[0], DT_STRING, in[0]->rank + 1, dims));
    y = out[0]->data;
    for (int64_t i = 0; i < in[0]->count; i++) {
        for (int64_t k = 0; k < width; k++)
            y[i * width + k] = k >= marks && k < marks + count[i] ? tokens[i][k - marks] : t.pad;
        if (!marks) continue;
        y[i * width] = (StringRef){"\x02", 1};
        y[i * width + 1 + count[i]] = (StringRef){"\x03", 1};
    }
    return OK;
}

/* ---- the call ---- */

/* All rows of these tables, one behind the other; `begin` gets where each begins. */
static Value *joined(Build *b, int n, Tensor *const *part, int64_t *begin)
{
    int64_t dims[2] = {0, n ? part[0]->dim[1] : 1};
    Tensor *t;

    for (int i = 0; i < n; i++) {
        begin[3 * i] = dims[0];
        dims[0] += part[i]->dim[0];
    }
    t = tensor_new(b->module->arena, DT_I32, 2, dims);
    if (!t) {
        build_fail(b, ERR_LIMIT);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        memcpy((int32_t *)t->data + begin[3 * i] * dims[1], part[i]->data,
               sizeof(int32_t) * (size_t)part[i]->count);
    return build_tensor(b, t);
}

static Status lower_tokenizer(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Value *in[4] = {n->in[0]};
    int64_t *ints, most = 0;
    Dim dims[3], work;
    Type types[2];
    Tokenizer t;
    Node *call;

    TRY(tokenizer_read(n, b->module->arena, b->diag, &t));
    ints = ARENA_ARRAY(b->module->arena, int64_t, 3 + 3 * t.n_pattern);
    ints[0] = t.how;
    ints[1] = t.marks;
    ints[2] = t.fewest;
    in[1] = ml_strings(b, 1, &t.pad);
    in[2] = joined(b, t.n_pattern, t.program, ints + 3);
    in[3] = joined(b, t.n_pattern, t.ranges, ints + 5);
    for (int i = 0; i < t.n_pattern; i++) {
        ints[4 + 3 * i] = t.program[i]->dim[0];
        if (t.program[i]->dim[0] > most) most = t.program[i]->dim[0];
    }
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    dims[x->rank] =
        has_out(n, 0) ? n->out[0]->type.dim[x->rank] : dim_fresh(b->dims, "tokens", 0, DIM_TOP);
    work = dim_const(b->dims, 5 * most + 1);
    types[0] = type_tensor(DT_STRING, x->rank + 1, dims);
    types[1] = type_tensor(DT_I32, 1, &work);
    if (b->status != OK) return b->status;
    call = build_call(b, "tokens", 4, in, 2, types, 3 + 3 * t.n_pattern, ints, 0, NULL);
    if (!call) return b->status;
    node_define(call, dims[x->rank]);
    out[0] = call->out[0];
    return OK;
}

const OpDef tokenizer_ops[] = {
    {.name = "Tokenizer",
     .domain = "com.microsoft",
     .since = 1,
     .calls = CALL_BIT(tokens),
     .about = "tokens of strings, by separators or by what they look like",
     ROW_IN({"X", T_STRING}),
     ROW_OUT({"Y", T_STRING}),
     ROW_ATTRS(ATTR_REQ("mark", ATTR_INT), ATTR_REQ("mincharnum", ATTR_INT),
               ATTR_REQ("pad_value", ATTR_STRING), ATTR_OPT("separators", ATTR_STRINGS),
               ATTR_OPT("tokenexp", ATTR_STRING)),
     .traits = OP_PURE,
     .infer = infer_tokenizer,
     .eval = eval_tokenizer,
     .lower = lower_tokenizer},
    {0},
};
