/* cast_text.c: see cast_text.h. */
#include "ir/ops/cast_text.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ops/compose.h"

enum { LONGEST = 1100 }; /* characters of a number: no double needs more */

static StringRef number_text(Eval *cx, const Tensor *x, int64_t i, bool fixed)
{
    char text[LONGEST];
    double v = dtype_is_float(x->dtype) ? tensor_double(x, i) : 0;

    if (fixed && dtype_is_float(x->dtype))
        snprintf(text, sizeof text, "%f", v);
    else if (x->dtype == DT_U64)
        snprintf(text, sizeof text, "%llu", (unsigned long long)tensor_int(x, i));
    else if (!dtype_is_float(x->dtype))
        snprintf(text, sizeof text, "%lld", (long long)tensor_int(x, i));
    else if (v != v || isinf(v))
        snprintf(text, sizeof text, "%s", v != v ? "NaN" : v > 0 ? "INF" : "-INF");
    else
        snprintf(text, sizeof text, "%.8g", v);
    return (StringRef){arena_strndup(cx->arena, text, strlen(text)), (int64_t)strlen(text)};
}

static const char *skip_spaces(const char *s)
{
    return s + strspn(s, " \t\n\v\f\r");
}

/* The number in s into element i; false when it is none. */
static bool read_number(StringRef s, Tensor *out, int64_t i)
{
    char text[LONGEST + 1], *end;

    if (s.n > LONGEST || (s.n && memchr(s.s, 0, (size_t)s.n))) return false;
    if (s.n) memcpy(text, s.s, (size_t)s.n);
    text[s.n] = 0;
    const char *from = skip_spaces(text);
    if (dtype_is_float(out->dtype)) {
        double v = strtod(from, &end);
        tensor_set_double(out, i, v);
    } else if (*from == '-') {
        tensor_set_int(out, i, strtoll(from, &end, 10));
    } else {
        tensor_set_int(out, i, (int64_t)strtoull(from, &end, 10));
    }
    return end != from && !*skip_spaces(end);
}

static Status convert(Eval *cx, const Node *n, const Tensor *x, Tensor *out, bool fixed)
{
    for (int64_t i = 0; i < x->count; i++) {
        StringRef *s = (StringRef *)(x->dtype == DT_STRING ? x : out)->data + i;
        if (x->dtype != DT_STRING)
            *s = number_text(cx, x, i, fixed);
        else if (!read_number(*s, out, i))
            return op_error(n, cx->diag, "input", "%s: element %lld is no number: \"%.*s\"",
                            n->op->name, (long long)i, s->n > 40 ? 40 : (int)s->n, s->s);
    }
    return OK;
}

Status eval_cast_text(Eval *cx, const Node *n, const Tensor *x, Tensor *out, bool fixed)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before;
    Status s;

    if (!c) return diag(cx->diag, ERR_LIMIT, node_where(n), "no memory");
    before = uselocale(c);
    s = convert(cx, n, x, out, fixed);
    uselocale(before);
    freelocale(c);
    return s;
}

/* The type in which the runtime writes or reads: f64, u64 or i64. */
static DType wide_type(DType t)
{
    return dtype_is_float(t) ? DT_F64 : t == DT_U64 ? DT_U64 : DT_I64;
}

Status lower_cast_text(Build *b, const Node *n, DType to, Value **out)
{
    bool read = in_type(n, 0)->dtype == DT_STRING;
    Value *in = read ? n->in[0] : make_cast(b, n->in[0], wide_type(in_type(n, 0)->dtype));
    Type type = n->out[0]->type;
    Node *call;

    if (read) type.dtype = wide_type(to);
    call = in ? build_call(b, read ? "number_of_string" : "string_of_number", 1, &in, 1, &type, 0,
                           NULL, 0, NULL)
              : NULL;
    if (call) out[0] = read ? make_cast(b, call->out[0], to) : call->out[0];
    return b->status;
}

Value *make_fixed_text(Build *b, Value *v)
{
    Type type = type_tensor(DT_STRING, v ? v->type.rank : 0, v ? v->type.dim : NULL);
    int64_t fixed = 1;
    Node *call;

    v = make_cast(b, v, DT_F64);
    call = v ? build_call(b, "string_of_number", 1, &v, 1, &type, 1, &fixed, 0, NULL) : NULL;
    return call ? call->out[0] : NULL;
}
