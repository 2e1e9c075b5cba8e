/* c_sx.c: scalar expressions as C: one variable an expression, in the scope where it is first asked
 * for. An operation is a call of a helper of the prelude, named by a table: another language is
 * another table. */
#include "codegen/c/c_sx.h"

#include <stdarg.h>
#include <string.h>

/* Helpers are NAME_DTYPE, DTYPE being that of the first argument. NULL: printed by hand. */
static const char *const helpers[SX_COUNT] = {
    [SX_NEG] = "k_neg",           [SX_ABS] = "k_abs",     [SX_ADD] = "k_add",
    [SX_SUB] = "k_sub",           [SX_MUL] = "k_mul",     [SX_DIV] = "k_div",
    [SX_REM] = "k_rem",           [SX_MIN] = "k_min",     [SX_MAX] = "k_max",
    [SX_FMA] = "k_fma",           [SX_SQRT] = "k_sqrt",   [SX_FLOOR] = "k_floor",
    [SX_CEIL] = "k_ceil",         [SX_TRUNC] = "k_trunc", [SX_RINT] = "k_rint",
    [SX_COPYSIGN] = "k_copysign", [SX_AND] = "k_and",     [SX_OR] = "k_or",
    [SX_XOR] = "k_xor",           [SX_NOT] = "k_not",     [SX_SHL] = "k_shl",
    [SX_SHR] = "k_shr",           [SX_CTLZ] = "k_ctlz",   [SX_POPCNT] = "k_popcnt",
};

void c_line(CPrint *p, const char *format, ...)
{
    va_list args;

    text_f(p->out, "%*s", 4 * p->depth, "");
    va_start(args, format);
    text_put(p->out, arena_vprintf(p->arena, format, args));
    va_end(args);
    text_char(p->out, '\n');
}

void c_open(CPrint *p)
{
    p->depth++;
}

void c_close(CPrint *p)
{
    size_t i = 0;
    const void *key;
    void *v;

    while (map_next(&p->variable, &i, &key, &v)) {
        CVariable *x = v;
        if (x->depth >= p->depth) x->number = -1;
    }
    p->depth--;
    c_line(p, "}");
}

const char *c_name(DType d)
{
    return dtype_text(d);
}

const char *c_type(DType d)
{
    if (d == DT_C64) return "k_c64";
    if (d == DT_C128 || d == DT_STRING) return "k_c128";
    return dtype_c(d);
}

void c_dim(CPrint *p, Text *out, Dim d)
{
    int k = dim_is_const(d) ? -1 : nest_dim(p->nest, d);

    if (dim_is_const(d))
        text_f(out, "INT64_C(%lld)", (long long)d->value);
    else if (k >= 0)
        text_f(out, "dim[%d]", k);
    else
        p->bug = "a dim that the kernel is not passed";
}

static void add_part(CPrint *p, Text *t, Dim coef, const char *what)
{
    if (t->n) text_put(t, " + ");
    if (what) text_put(t, what);
    if (what && dim_is(coef, 1)) return;
    if (what) text_put(t, " * ");
    c_dim(p, t, coef);
}

const char *c_offset(CPrint *p, const Affine *x)
{
    Text t;

    text_init(&t, p->arena);
    if (!dim_is(x->base, 0)) add_part(p, &t, x->base, NULL);
    for (int l = 0; l < p->s->n_loop; l++) {
        int k = p->s->loop[l].last;
        if (x->coef[k]) add_part(p, &t, x->coef[k], arena_printf(p->arena, "i%d", k));
    }
    for (int i = 0; i < x->n_term; i++)
        add_part(p, &t, x->term[i].coef, arena_printf(p->arena, "v%d", c_value(p, x->term[i].e)));
    return t.n ? t.s : "0";
}

const char *c_operand(CPrint *p, int src)
{
    const NestStage *s;

    if (src >= 0) return arena_printf(p->arena, "in%d", src);
    s = &p->nest->stage[~src];
    if (s->local == LOCAL_NONE) return arena_printf(p->arena, "out%d", s->stage->out[0].result);
    return arena_printf(p->arena, "local%d", ~src);
}

/* ---- Expressions: each gives the text behind the `=` */

static const char *constant(CPrint *p, const Sx *e)
{
    unsigned long long bits = e->bits;
    double v;
    Text t;

    text_init(&t, p->arena);
    if (e->dtype == DT_F32 || e->dtype == DT_F64) {
        sx_is_const(e, &v);
        text_f(&t,
               e->dtype == DT_F32 ? "k_f32_bits(0x%llxu) /* " : "k_f64_bits(UINT64_C(0x%llx)) /* ",
               e->dtype == DT_F32 ? bits & 0xffffffffu : bits);
        text_double(&t, v);
        text_put(&t, " */");
    } else {
        text_f(&t, "(%s)UINT64_C(0x%llx)", c_type(e->dtype), bits);
        if (dtype_bytes(e->dtype) == 8 && (int64_t)bits >= -4096 && (int64_t)bits <= 4096)
            text_f(&t, " /* %lld */", (long long)bits);
    }
    return t.s;
}

static const char *load(CPrint *p, const Sx *e)
{
    const Affine *x = map_get(&p->s->address, e);
    const char *operand = c_operand(p, e->src), *offset, *read;
    int guard = e->guarded ? c_value(p, e->arg[e->n - 1]) : -1;

    if (e->src < 0 && p->nest->stage[~e->src].local == LOCAL_REGISTER) return operand;
    offset = c_offset(p, x);
    read = arena_printf(p->arena, "%s[%s]%s", operand, offset, e->dtype == DT_BOOL ? " != 0" : "");
    if (guard < 0) return read;
    return arena_printf(p->arena, "v%d ? %s : k_zero_%s", guard, read, c_name(e->dtype));
}

static bool is_real(DType d)
{
    return d == DT_F32 || d == DT_F64;
}

static bool is_integer(DType d)
{
    return dtype_is_int(d) || d == DT_BOOL;
}

static const char *cast(CPrint *p, const Sx *e, int a)
{
    DType from = e->arg[0]->dtype, to = e->dtype;

    if (to == DT_BOOL) return arena_printf(p->arena, "v%d != 0", a);
    if (is_integer(from) && is_integer(to))
        return arena_printf(p->arena, "k_wrap_%s((uint64_t)v%d)", c_name(to), a);
    if (is_real(from) && is_integer(to))
        return arena_printf(p->arena, "k_sat_%s(v%d)", c_name(to), a);
    if ((is_integer(from) || is_real(from)) && is_real(to))
        return arena_printf(p->arena, "(%s)v%d", c_type(to), a);
    p->bug = "a conversion that sx_expand should have written out";
    return "0";
}

static const char *bitcast(CPrint *p, const Sx *e, int a)
{
    DType from = e->arg[0]->dtype, to = e->dtype;
    const char *bits = arena_printf(p->arena,
                                    is_real(from)    ? "k_bits_%s(v%d)"
                                    : from == DT_C64 ? "%.0sv%d.part[0]"
                                                     : "%.0sv%d",
                                    c_name(from), a);

    if (is_real(to))
        return arena_printf(p->arena, "k_%s_bits((%s)%s)", c_name(to),
                            to == DT_F32 ? "uint32_t" : "uint64_t", bits);
    if (to == DT_C64) return arena_printf(p->arena, "(k_c64){{(uint64_t)%s}}", bits);
    return arena_printf(p->arena, "(%s)%s", c_type(to), bits);
}

static const char *compare_text(SxOp op)
{
    return op == SX_EQ ? "==" : op == SX_NE ? "!=" : op == SX_LT ? "<" : "<=";
}

static const char *operation(CPrint *p, const Sx *e)
{
    int v[3] = {0};
    Text t;

    for (int i = 0; i < e->n && i < 3; i++)
        v[i] = c_value(p, e->arg[i]);
    switch ((int)e->op) {
    case SX_CHECK:
        return arena_printf(p->arena, "k_check(%s, v%d, v%d)", p->dialect->told, v[0], v[1]);
    case SX_EQ:
    case SX_NE:
    case SX_LT:
    case SX_LE:
        return arena_printf(p->arena, "v%d %s v%d", v[0], compare_text(e->op), v[1]);
    case SX_SELECT:
        return arena_printf(p->arena, "v%d ? v%d : v%d", v[0], v[1], v[2]);
    case SX_CAST:
        return cast(p, e, v[0]);
    case SX_BITCAST:
        return bitcast(p, e, v[0]);
    default:
        break;
    }
    if (!helpers[e->op]) {
        p->bug = "an operation that sx_expand should have written out";
        return "0";
    }
    text_init(&t, p->arena);
    text_f(&t, "%s_%s(", helpers[e->op], c_name(e->arg[0]->dtype));
    for (int i = 0; i < e->n; i++)
        text_f(&t, "%sv%d", i ? ", " : "", v[i]);
    text_char(&t, ')');
    return t.s;
}

static const char *leaf(CPrint *p, const Sx *e)
{
    Text t;

    text_init(&t, p->arena);
    if (e->op == SX_DIM)
        c_dim(p, &t, e->dim);
    else if (e->op == SX_INDEX && nest_loop_of(p->s, e->index) < 0)
        text_put(&t, "0");
    else if (e->op == SX_INDEX)
        text_f(&t, "i%d", e->index);
    else if (e->index == NEST_OLD)
        text_put(&t, "old");
    else
        text_f(&t, "acc%d", e->index);
    return t.s;
}

int c_value(CPrint *p, const Sx *e)
{
    CVariable *x = map_get(&p->variable, e);
    const char *text;

    if (x && x->number >= 0) return x->number;
    text = e->op == SX_CONST  ? constant(p, e)
           : e->op == SX_LOAD ? load(p, e)
           : e->n == 0        ? leaf(p, e)
                              : operation(p, e);
    if (!x) {
        x = ARENA_NEW(p->arena, CVariable);
        map_set(&p->variable, e, x);
    }
    x->number = p->next++;
    x->depth = p->depth;
    c_line(p, "const %s v%d = %s;", c_type(e->dtype), x->number, text);
    return x->number;
}
