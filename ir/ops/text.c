/* text.c: operators of strings: StringConcat, StringSplit, StringNormalizer, RegexFullMatch.
 *
 * Kernels can only move strings, so each is a call of the runtime. What a call needs beside numbers
 * comes as constants: delimiters and stop words as strings, case mappings and patterns as tables of
 * numbers, so that a model carries none that it does not use. */
#include <string.h>

#include "ir/ops/ops_common.h"
#include "ir/regex.h"
#include "ir/unicode.h"

static Value *string_constant(Build *b, int64_t n, const StringRef *s)
{
    Tensor *t = tensor_new(b->module->arena, DT_STRING, 1, &n);

    if (!t) {
        build_fail(b, ERR_LIMIT);
        return NULL;
    }
    if (n) memcpy(t->data, s, (size_t)n * sizeof *s);
    return build_tensor(b, t);
}

static bool same_string(StringRef a, StringRef b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, (size_t)a.n) == 0);
}

static StringRef string_at(const Tensor *t, int64_t i)
{
    return ((const StringRef *)t->data)[i];
}

/* ---- StringConcat ---- */

static Status infer_concat(Infer *cx, Node *n)
{
    const Type *types[2] = {in_type(n, 0), in_type(n, 1)};
    Dim dims[MAX_RANK];
    int rank;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(infer_broadcast_dims(cx, n, 2, types, &rank, dims));
    infer_out(cx, n, 0, DT_STRING, rank, dims);
    return OK;
}

static Status eval_concat(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t index[MAX_RANK] = {0};
    Tensor *r;

    TRY(eval_broadcast(cx, n, 2, in, DT_STRING, &r));
    for (int64_t o = 0; o < r->count; o++, eval_next(r->rank, r->dim, index)) {
        StringRef a = string_at(in[0], eval_offset(in[0], r->rank, index));
        StringRef b = string_at(in[1], eval_offset(in[1], r->rank, index));
        char *text = arena_try(cx->arena, (size_t)(a.n + b.n) + 1, 1);
        if (!text) return diag(cx->diag, ERR_LIMIT, node_where(n), "StringConcat: no memory");
        if (a.n) memcpy(text, a.s, (size_t)a.n);
        if (b.n) memcpy(text + a.n, b.s, (size_t)b.n);
        ((StringRef *)r->data)[o] = (StringRef){text, a.n + b.n};
    }
    out[0] = r;
    return OK;
}

static Status lower_concat(Build *b, const Node *n, Value **out)
{
    Node *call = build_call(b, "string_concat", 2, n->in, 1, &n->out[0]->type, 0, NULL, 0, NULL);

    out[0] = call ? call->out[0] : NULL;
    return b->status;
}

/* ---- StringSplit ---- */

static Status infer_split(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];

    TRY(infer_ranked(cx, n, 0));
    if (x->rank >= MAX_RANK)
        return op_error(n, cx->diag, "X", "StringSplit: rank %d, at most %d is possible", x->rank,
                        MAX_RANK - 1);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    dims[x->rank] = dim_fresh(&cx->module->dims, "parts", 0, DIM_TOP);
    infer_out(cx, n, 0, DT_STRING, x->rank + 1, dims);
    infer_out(cx, n, 1, DT_I64, x->rank, dims);
    return OK;
}

static bool is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

static void skip_spaces(StringRef *s, bool spaces)
{
    size_t n;

    while (s->n > 0 && is_space(utf8_decode(s->s, (size_t)s->n, &n)) == spaces) {
        s->s += n;
        s->n -= (int64_t)n;
    }
}

/* Takes the next part off *s; `last`: all of the rest. False: there is none. */
static bool take_word(StringRef *s, bool last, StringRef *part)
{
    skip_spaces(s, true);
    *part = *s;
    if (s->n == 0) return false;
    if (last)
        s->n = 0;
    else
        skip_spaces(s, false);
    part->n -= s->n;
    return true;
}

/* The same with a delimiter: a string without it is one part, and there is one behind the last. */
static bool take_field(StringRef *s, StringRef by, bool last, StringRef *part)
{
    int64_t i = 0;

    if (!s->s) return false;
    while (!last && i + by.n <= s->n && memcmp(s->s + i, by.s, (size_t)by.n) != 0)
        i++;
    if (last || i + by.n > s->n) {
        *part = *s;
        *s = (StringRef){0};
        return true;
    }
    *part = (StringRef){s->s, i};
    s->s += i + by.n;
    s->n -= i + by.n;
    return true;
}

/* Parts of s into out (NULL: counted). */
static int64_t split(StringRef s, StringRef by, int64_t most, StringRef *out)
{
    int64_t count = 0;
    StringRef part;

    if (!s.s) s.s = "";
    for (;; count++) {
        bool last = most >= 0 && count >= most;
        if (!(by.n ? take_field(&s, by, last, &part) : take_word(&s, last, &part))) return count;
        if (out) out[count] = part;
    }
}

static Status eval_split(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const char *delimiter = attr_string(n, "delimiter", "");
    StringRef by = {delimiter, (int64_t)strlen(delimiter)};
    int64_t most = attr_int(n, "maxsplit", -1), dims[MAX_RANK], width = 0;
    const Tensor *x = in[0];
    Tensor *parts, *counts;

    for (int64_t i = 0; i < x->count; i++) {
        int64_t count = split(string_at(x, i), by, most, NULL);
        if (count > width) width = count;
    }
    memcpy(dims, x->dim, sizeof *dims * (size_t)x->rank);
    dims[x->rank] = width;
    TRY(eval_out(cx, n, &parts, DT_STRING, x->rank + 1, dims));
    TRY(eval_out(cx, n, &counts, DT_I64, x->rank, dims));
    for (int64_t i = 0; i < x->count; i++)
        tensor_set_int(counts, i,
                       split(string_at(x, i), by, most, (StringRef *)parts->data + i * width));
    out[0] = parts;
    if (n->n_out > 1) out[1] = counts;
    return OK;
}

static Status lower_split(Build *b, const Node *n, Value **out)
{
    const char *delimiter = attr_string(n, "delimiter", "");
    const Type *x = in_type(n, 0);
    Value *in[2] = {n->in[0],
                    string_constant(b, 1, &(StringRef){delimiter, (int64_t)strlen(delimiter)})};
    Dim dims[MAX_RANK], parts;
    Type types[2];
    Node *call;

    parts = has_out(n, 0) ? n->out[0]->type.dim[x->rank] : dim_fresh(b->dims, "parts", 0, DIM_TOP);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    dims[x->rank] = parts;
    types[0] = type_tensor(DT_STRING, x->rank + 1, dims);
    types[1] = type_tensor(DT_I64, x->rank, dims);
    call = in[1] ? build_call(b, "string_split", 2, in, 2, types, 1,
                              (const int64_t[]){attr_int(n, "maxsplit", -1)}, 0, NULL)
                 : NULL;
    if (!call) return b->status;
    node_define(call, parts);
    for (int k = 0; k < n->n_out; k++)
        out[k] = call->out[k];
    return OK;
}

/* ---- StringNormalizer ---- */

typedef enum CaseAction { ACTION_NONE, ACTION_LOWER, ACTION_UPPER } CaseAction;

static Status normalizer_action(const Node *n, Diag *d, CaseAction *out)
{
    static const char *const names[] = {"NONE", "LOWER", "UPPER"};
    const char *name = attr_string(n, "case_change_action", "NONE");

    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (CaseAction)i;
            return OK;
        }
    return op_error(n, d, "case_change_action",
                    "StringNormalizer: found \"%s\", expected NONE, LOWER or UPPER", name);
}

static Status infer_normalizer(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    DimTable *t = &cx->module->dims;
    Dim dims[2];
    CaseAction action;

    TRY(infer_ranked(cx, n, 0));
    TRY(normalizer_action(n, cx->diag, &action));
    if (x->rank != 1 && x->rank != 2)
        return op_error(n, cx->diag, "X", "StringNormalizer: rank %d, expected 1 or 2", x->rank);
    if (x->rank == 2 && dim_is_const(x->dim[0]) && x->dim[0]->value != 1)
        return op_error(n, cx->diag, "X", "StringNormalizer: %lld rows, expected 1",
                        (long long)x->dim[0]->value);
    dims[0] = dim_const(t, 1);
    dims[x->rank - 1] = dim_fresh(t, "kept", 1, DIM_TOP);
    infer_out(cx, n, 0, DT_STRING, x->rank, dims);
    return OK;
}

/* In the other case; a byte that is no UTF-8 stays. */
static StringRef change_case(Eval *cx, CaseWay way, StringRef s)
{
    char *text = arena_try(cx->arena, (size_t)s.n * UTF8_LONGEST + 1, 1);
    size_t length, at = 0;

    for (int64_t i = 0; text && i < s.n; i += (int64_t)length) {
        int32_t c = utf8_decode(s.s + i, (size_t)(s.n - i), &length);
        if (c < 0)
            text[at++] = s.s[i];
        else
            at += utf8_encode(unicode_case(way, c), text + at);
    }
    return (StringRef){text ? text : "", (int64_t)at};
}

static bool is_stop_word(Eval *cx, const Node *n, StringRef s)
{
    const Attr *stop = attr_find(n, "stopwords");
    bool sensitive = attr_int(n, "is_case_sensitive", 0) != 0;

    if (!stop) return false;
    if (!sensitive) s = change_case(cx, CASE_LOWER, s);
    for (int i = 0; i < stop->n; i++) {
        StringRef w = stop->strings[i];
        if (same_string(s, sensitive ? w : change_case(cx, CASE_LOWER, w))) return true;
    }
    return false;
}

static Status eval_normalizer(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    StringRef *kept = arena_try(cx->arena, (size_t)x->count + 1, sizeof *kept);
    int64_t dims[2] = {1, 1}, count = 0;
    CaseAction action;

    TRY(normalizer_action(n, cx->diag, &action));
    if (!kept) return diag(cx->diag, ERR_LIMIT, node_where(n), "StringNormalizer: no memory");
    if (x->rank == 2 && x->dim[0] != 1)
        return op_error(n, cx->diag, "X", "StringNormalizer: %lld rows, expected 1",
                        (long long)x->dim[0]);
    for (int64_t i = 0; i < x->count; i++) {
        StringRef s = string_at(x, i);
        if (is_stop_word(cx, n, s)) continue;
        if (action != ACTION_NONE)
            s = change_case(cx, action == ACTION_LOWER ? CASE_LOWER : CASE_UPPER, s);
        kept[count++] = s;
    }
    if (count == 0) kept[count++] = (StringRef){"", 0};
    dims[x->rank - 1] = count;
    TRY(eval_out(cx, n, &out[0], DT_STRING, x->rank, dims));
    memcpy(out[0]->data, kept, (size_t)count * sizeof *kept);
    return OK;
}

/* i32[rows,4]: first, last, step, delta. */
static Value *case_table(Build *b, CaseWay way)
{
    int count;
    const CaseRow *row = unicode_case_rows(way, &count);
    Tensor *t = tensor_new(b->module->arena, DT_I32, 2, (int64_t[]){count, 4});

    for (int i = 0; t && i < count; i++) {
        tensor_set_int(t, i * 4, row[i].first);
        tensor_set_int(t, i * 4 + 1, row[i].last);
        tensor_set_int(t, i * 4 + 2, row[i].step);
        tensor_set_int(t, i * 4 + 3, row[i].delta);
    }
    if (t) return build_tensor(b, t);
    build_fail(b, ERR_LIMIT);
    return NULL;
}

static Status lower_normalizer(Build *b, const Node *n, Value **out)
{
    const Attr *stop = attr_find(n, "stopwords");
    const Type *to = &n->out[0]->type;
    bool sensitive = attr_int(n, "is_case_sensitive", 0) != 0;
    Value *in[4];
    CaseAction action;
    Node *call;

    TRY(normalizer_action(n, b->diag, &action));
    if (to->rank == 2) build_require_equal(b, in_type(n, 0)->dim[0], dim_const(b->dims, 1));
    in[0] = n->in[0];
    in[1] = string_constant(b, stop ? stop->n : 0, stop ? stop->strings : NULL);
    in[2] = case_table(b, action == ACTION_UPPER ? CASE_UPPER : CASE_LOWER);
    in[3] = case_table(b, CASE_LOWER);
    if (b->status != OK) return b->status;
    call = build_call(b, "string_normalize", 4, in, 1, to, 2,
                      (const int64_t[]){action != ACTION_NONE, sensitive}, 0, NULL);
    if (!call) return b->status;
    node_define(call, to->dim[to->rank - 1]);
    out[0] = call->out[0];
    return OK;
}

/* ---- RegexFullMatch ---- */

static Status pattern_of(const Node *n, Arena *a, Diag *d, const RegexNode **tree, Tensor **program,
                         Tensor **ranges)
{
    const Attr *p = attr_find(n, "pattern");
    const char *why;

    *tree = regex_parse(a, p->s, &why);
    if (!*tree)
        return diag(d, ERR_UNSUPPORTED, node_where_attr(n, "pattern"),
                    "RegexFullMatch: %s, in \"%s\"", why, p->s.s);
    if (!regex_compile(a, *tree, program, ranges))
        return diag(d, ERR_UNSUPPORTED, node_where_attr(n, "pattern"),
                    "RegexFullMatch: \"%.80s\" needs more than %d steps", p->s.s, REGEX_MOST);
    return OK;
}

static Status infer_regex(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    const RegexNode *tree;
    Tensor *program, *ranges;

    TRY(infer_ranked(cx, n, 0));
    TRY(pattern_of(n, cx->module->arena, cx->diag, &tree, &program, &ranges));
    infer_out(cx, n, 0, DT_BOOL, x->rank, x->dim);
    return OK;
}

static Status eval_regex(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const RegexNode *tree;
    Tensor *program, *ranges;

    TRY(pattern_of(n, cx->arena, cx->diag, &tree, &program, &ranges));
    TRY(eval_out(cx, n, &out[0], DT_BOOL, in[0]->rank, in[0]->dim));
    for (int64_t i = 0; i < in[0]->count; i++)
        tensor_set_int(out[0], i, regex_match(tree, string_at(in[0], i)));
    return OK;
}

/* The second result is workspace: two lists of instructions, a mark for each, and a stack. */
static Status lower_regex(Build *b, const Node *n, Value **out)
{
    const RegexNode *tree;
    Tensor *program, *ranges;
    Value *in[3] = {n->in[0]};
    Type types[2] = {n->out[0]->type};
    Dim work;
    Node *call;

    TRY(pattern_of(n, b->module->arena, b->diag, &tree, &program, &ranges));
    in[1] = build_tensor(b, program);
    in[2] = build_tensor(b, ranges);
    work = dim_const(b->dims, 5 * program->dim[0] + 1);
    types[1] = type_tensor(DT_I32, 1, &work);
    if (b->status != OK) return b->status;
    call = build_call(b, "regex", 3, in, 2, types, 0, NULL, 0, NULL);
    out[0] = call ? call->out[0] : NULL;
    return b->status;
}

const OpDef text_ops[] = {
    {.name = "StringConcat",
     .since = 20,
     .calls = CALL_BIT(string_concat),
     .about = "strings, one behind the other",
     ROW_IN({"X", T_STRING}, {"Y", T_STRING}),
     ROW_OUT({"Z", T_STRING}),
     .traits = OP_PURE,
     .infer = infer_concat,
     .eval = eval_concat,
     .lower = lower_concat},
    {.name = "StringSplit",
     .since = 20,
     .calls = CALL_BIT(string_split),
     .about = "parts of strings, at a delimiter or at white space",
     ROW_IN({"X", T_STRING}),
     ROW_OUT({"Y", T_STRING}, {"Z", DT_BIT(DT_I64), NULL, true}),
     ROW_ATTRS(ATTR_OPT("delimiter", ATTR_STRING), ATTR_OPT("maxsplit", ATTR_INT)),
     .traits = OP_PURE,
     .infer = infer_split,
     .eval = eval_split,
     .lower = lower_split},
    {.name = "StringNormalizer",
     .since = 10,
     .calls = CALL_BIT(string_normalize),
     .about = "strings without stop words, in upper or lower case",
     ROW_IN({"X", T_STRING}),
     ROW_OUT({"Y", T_STRING}),
     ROW_ATTRS(ATTR_S("case_change_action", "NONE"), ATTR_I("is_case_sensitive", 0),
               ATTR_OPT("locale", ATTR_STRING), ATTR_OPT("stopwords", ATTR_STRINGS)),
     .traits = OP_PURE,
     .infer = infer_normalizer,
     .eval = eval_normalizer,
     .lower = lower_normalizer},
    {.name = "RegexFullMatch",
     .since = 20,
     .calls = CALL_BIT(regex),
     .about = "does the whole string match a regular expression?",
     ROW_IN({"X", T_STRING}),
     ROW_OUT({"Y", T_BOOL}),
     ROW_ATTRS(ATTR_REQ("pattern", ATTR_STRING)),
     .traits = OP_PURE,
     .infer = infer_regex,
     .eval = eval_regex,
     .lower = lower_regex},
    {0},
};
