/* sx_text.c: expressions as text and back.
 *
 *     i0                               loop index 0
 *     dim(2*n+1)                       a dim in its own syntax
 *     acc:f32(0)                       accumulator 0
 *     f32:1.5  i8:-3  bool:1           constants; f32:0x7fc00001 gives the bits
 *     load:f32(0,[i0,i1])              operand 0; s2 in place of 0 is the result of stage 2
 *     load:f32(0,[i0,i1],guard)        0 where guard is false
 *     load:f32(0,flat[e])              element e of the operand in row-major order
 *     check(0,index,extent)
 *     cast:f8e5m2(x)                   saturating; cast:f8e5m2(x,nosat) is not
 *     bitcast:u32(x)
 *     mostly(c,x,y)                    a select whose c is nearly always true
 *     add(x,y)                         any other row of sx.def
 *     $0=mul(x,y) ... $0               an operation that is used again
 *
 * Neither direction recurses. Parsing trusts nothing: operations are checked for number and dtypes
 * of their arguments before they are built. What is built goes through the constructors, so text
 * that was not printed from an expression is simplified. */
#include "ir/sx_impl.h"

#include "support/vec.h"

static const char mostly[] = "mostly";

/* Printing. */

static void print_const(Text *out, const Sx *e)
{
    double v = 0;
    uint64_t back = 0;
    SxShape round = {.op = SX_CAST, .dtype = e->dtype, .from = DT_F64, .saturate = true};

    text_f(out, "%s:", dtype_text(e->dtype));
    if (!dtype_is_float(e->dtype)) {
        if (dtype_is_signed(e->dtype))
            text_f(out, "%lld", (long long)e->bits);
        else
            text_f(out, "%llu", (unsigned long long)e->bits);
        return;
    }
    (void)sx_is_const(e, &v);
    memcpy(&back, &v, sizeof back);
    if (v != v || (e->dtype != DT_F64 && sx_apply(&round, &back) != e->bits)) {
        text_f(out, "0x%llx", (unsigned long long)e->bits);
    } else if (e->dtype == DT_F32) {
        text_float(out, (float)v);
    } else {
        text_double(out, v);
    }
}

static void print_source(Text *out, int src)
{
    if (src >= 0)
        text_f(out, "%d", src);
    else
        text_f(out, "s%d", ~src);
}

/* All of e that stands before its arguments. */
static void print_head(Text *out, const Sx *e)
{
    const char *name = sx_op_text(e->op), *type = dtype_text(e->dtype);

    switch ((int)e->op) {
    case SX_CONST:
        print_const(out, e);
        break;
    case SX_INDEX:
        text_f(out, "i%d", e->index);
        break;
    case SX_ACC:
        text_f(out, "acc:%s(%d", type, e->index);
        break;
    case SX_DIM:
        text_put(out, "dim(");
        dim_print(out, e->dim);
        break;
    case SX_LOAD:
        text_f(out, "load:%s(", type);
        print_source(out, e->src);
        text_put(out, e->flat ? ",flat[" : ",[");
        break;
    case SX_CHECK:
        text_put(out, "check(");
        print_source(out, e->src);
        text_char(out, ',');
        break;
    case SX_CAST:
    case SX_BITCAST:
        text_f(out, "%s:%s(", name, type);
        break;
    default:
        text_f(out, "%s(", e->op == SX_SELECT && e->index ? mostly : name);
    }
}

static void print_separator(Text *out, const Sx *e, int k)
{
    bool guard = e->op == SX_LOAD && e->guarded && k == e->n - 1;

    if (guard)
        text_put(out, "],");
    else if (k > 0)
        text_char(out, ',');
}

static bool narrow(DType d)
{
    return (DT_BIT(d) & T_FLOAT_NARROW) != 0;
}

static void print_tail(Text *out, const Sx *e)
{
    if (e->op == SX_CONST || e->op == SX_INDEX) return;
    if (e->op == SX_LOAD && !e->guarded) text_char(out, ']');
    if (e->op == SX_CAST && narrow(e->dtype) && !e->index) text_put(out, ",nosat");
    text_char(out, ')');
}

/* What is known of each node while printing. */
typedef struct Shown {
    size_t parent; /* position, to return to */
    int uses, next;
    int name; /* of a node used again: number + 1, once it is printed */
} Shown;

/* Starts e: true when its arguments are to be printed. */
static bool print_enter(Text *out, const Sx *e, Shown *s, int *n_name)
{
    if (e->n > 0 && s->uses > 1) {
        if (s->name) {
            text_f(out, "$%d", s->name - 1);
            return false;
        }
        s->name = ++*n_name;
        text_f(out, "$%d=", s->name - 1);
    }
    print_head(out, e);
    if (e->n > 0) return true;
    print_tail(out, e);
    return false;
}

static void print_walk(Text *out, const SxWalk *w, Shown *shown)
{
    size_t at = w->n - 1;
    int n_name = 0;

    for (size_t i = 0; i < w->n; i++) {
        for (int k = 0; k < w->node[i]->n; k++) {
            shown[sx_walk_at(w, w->node[i]->arg[k])].uses++;
        }
    }
    if (!print_enter(out, w->node[at], &shown[at], &n_name)) return;
    for (;;) {
        const Sx *e = w->node[at];
        Shown *s = &shown[at];
        if (s->next == e->n) {
            print_tail(out, e);
            if (at == w->n - 1) return;
            at = s->parent;
            continue;
        }
        print_separator(out, e, s->next);
        size_t child = sx_walk_at(w, e->arg[s->next++]);
        if (!print_enter(out, w->node[child], &shown[child], &n_name)) continue;
        shown[child].parent = at;
        at = child;
    }
}

void sx_print(Text *out, const Sx *e)
{
    SxWalk w;
    SxTable marks = {.arena = out->arena};
    Shown *shown;

    if (!sx_walk(&marks, e, &w)) return;
    shown = sx_scratch(&marks, w.n, sizeof *shown);
    if (shown) print_walk(out, &w, shown);
    free(shown);
    sx_walk_free(&w);
}

/* Parsing. */

enum { MAX_NUMBER = 1 << 20, NO_NAME = -1 };

typedef struct Frame { /* fields as in Sx */
    SxOp op;
    DType dtype;
    int n, src, index;
    bool flat, guarded;
    int name; /* to give to the result, or NO_NAME */
    bool in_list;
    const Sx *arg[SX_MAX_ARGS];
} Frame;

typedef struct Parser {
    SxTable *t;
    const char *s;
    Frame *frame;
    size_t n_frame, cap_frame;
    const Sx **named; /* NULL while it is being read */
    size_t n_named, cap_named;
} Parser;

static bool eat(Parser *p, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(p->s, text, n) != 0) return false;
    p->s += n;
    return true;
}

static bool parse_number(Parser *p, int *out)
{
    int v = 0, digits = 0;

    for (; *p->s >= '0' && *p->s <= '9' && v < MAX_NUMBER; p->s++, digits++) {
        v = v * 10 + (*p->s - '0');
    }
    *out = v;
    return digits > 0 && v < MAX_NUMBER;
}

static bool parse_source(Parser *p, int *src)
{
    bool stage = eat(p, "s");

    if (!parse_number(p, src)) return false;
    if (stage) *src = ~*src;
    return true;
}

/* Letters and digits, at most size - 1 of them. */
static bool parse_word(Parser *p, char *word, size_t size)
{
    size_t n = 0;

    while ((*p->s >= 'a' && *p->s <= 'z') || (*p->s >= '0' && *p->s <= '9')) {
        if (n + 1 >= size) return false;
        word[n++] = *p->s++;
    }
    word[n] = '\0';
    return n > 0;
}

static bool parse_unsigned(const char *s, int base, uint64_t *out)
{
    uint64_t v = 0;

    if (!*s) return false;
    for (; *s; s++) {
        int digit = *s >= '0' && *s <= '9' ? *s - '0' : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10 : 99;
        if (digit >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

/* The number behind `dtype:`. */
static const Sx *parse_const(Parser *p, DType d)
{
    char text[48];
    size_t n = strspn(p->s, "0123456789abcdefxin+-.E");
    uint64_t bits;
    int64_t i;
    double v;

    if (n == 0 || n >= sizeof text) return NULL;
    memcpy(text, p->s, n);
    text[n] = '\0';
    p->s += n;
    if (strncmp(text, "0x", 2) == 0) {
        if (!parse_unsigned(text + 2, 16, &bits)) return NULL;
    } else if (dtype_is_float(d)) {
        return parse_double(text, &v) && v == v ? sx_const(p->t, d, v) : NULL;
    } else if (dtype_is_signed(d)) {
        if (!parse_i64(text, &i)) return NULL;
        bits = (uint64_t)i;
    } else if (!parse_unsigned(text, 10, &bits)) {
        return NULL;
    }
    return sx_normal_bits(d, bits) == bits ? sx_const_bits(p->t, d, bits) : NULL;
}

static bool parse_op(const char *word, SxOp *op)
{
    for (int i = SX_LOAD; i < SX_COUNT; i++) {
        if (strcmp(word, sx_op_text((SxOp)i)) != 0) continue;
        *op = (SxOp)i;
        return true;
    }
    return false;
}

static bool plain_type(DType d)
{
    return d != DT_NONE && dtype_kind(d) <= KIND_FLOAT;
}

/* What is common to `word:dtype`: the dtype, or DT_NONE when there is none. False when it is not
 * one. */
static bool parse_dtype(Parser *p, DType *d)
{
    char word[16];

    *d = DT_NONE;
    if (!eat(p, ":")) return true;
    if (!parse_word(p, word, sizeof word)) return false;
    *d = dtype_parse(word);
    return plain_type(*d);
}

static const Sx *parse_dim_leaf(Parser *p)
{
    Dim dim;

    if (!eat(p, "(")) return NULL;
    p->s = dim_parse(p->t->dims, p->s, &dim);
    return p->s && eat(p, ")") ? sx_dim(p->t, dim) : NULL;
}

static const Sx *parse_acc(Parser *p)
{
    DType d;
    int k;
    bool ok =
        parse_dtype(p, &d) && d != DT_NONE && eat(p, "(") && parse_number(p, &k) && eat(p, ")");

    return ok ? sx_acc(p->t, k, d) : NULL;
}

/* i0: an `i` with digits and no dtype's colon behind. */
static bool is_index(const char *word, const char *behind)
{
    size_t n = strlen(word);

    return word[0] == 'i' && n > 1 && n < 6 && strspn(word + 1, "0123456789") == n - 1 &&
           *behind != ':';
}

/* A new frame for the operation `word`, its text read up to the first argument. */
static bool parse_head(Parser *p, const char *word, int name)
{
    Frame f = {.name = name};

    bool often = strcmp(word, mostly) == 0;

    if (!parse_op(often ? sx_op_text(SX_SELECT) : word, &f.op) || !parse_dtype(p, &f.dtype) ||
        !eat(p, "("))
        return false;
    bool typed = f.op == SX_LOAD || f.op == SX_CAST || f.op == SX_BITCAST;
    if (typed != (f.dtype != DT_NONE)) return false;
    f.index = f.op == SX_CAST || often;
    if (f.op == SX_LOAD || f.op == SX_CHECK) {
        if (!parse_source(p, &f.src) || !eat(p, ",")) return false;
    }
    if (f.op == SX_LOAD) {
        f.flat = eat(p, "flat");
        f.in_list = true;
        if (!eat(p, "[")) return false;
    }
    VEC_PUSH(p->t->arena, p->frame, p->n_frame, p->cap_frame, f);
    return arena_ok(p->t->arena);
}

static bool all_of(const Frame *f, int from, DType d)
{
    for (int i = from; i < f->n; i++) {
        if (f->arg[i]->dtype != d) return false;
    }
    return true;
}

static bool frame_ok(const Frame *f)
{
    const Frame *e = f;
    int n = e->n;

    if (e->op == SX_LOAD) {
        Frame indices = *f;
        indices.n -= e->guarded;
        if (e->flat && indices.n != 1) return false;
        return all_of(&indices, 0, DT_I64) && (!e->guarded || f->arg[n - 1]->dtype == DT_BOOL);
    }
    if (n != sx_op_args(e->op)) return false;
    if (e->op == SX_CHECK) return all_of(f, 0, DT_I64);
    if (e->op == SX_CAST) return plain_type(f->arg[0]->dtype);
    if (e->op == SX_BITCAST) return sx_can_bitcast(f->arg[0]->dtype, e->dtype);
    bool select = e->op == SX_SELECT;
    if (select && f->arg[0]->dtype != DT_BOOL) return false;
    return sx_op_takes(e->op, f->arg[n - 1]->dtype) && all_of(f, select, f->arg[n - 1]->dtype);
}

static const Sx *frame_build(SxTable *t, const Frame *f)
{
    Sx like = {.op = f->op,
               .dtype = f->dtype,
               .n = f->n,
               .src = f->src,
               .index = f->index,
               .flat = f->flat,
               .guarded = f->guarded};

    return sx_rebuild(t, &like, f->arg);
}

/* The text between the arguments of the innermost frame: true when another argument follows, with
 * *closed when instead the frame is complete. */
static bool parse_between(Parser *p, Frame *f, bool *closed)
{
    *closed = false;
    if (f->in_list) {
        if (f->n > 0 && eat(p, ",")) return true;
        if (!eat(p, "]")) return f->n == 0;
        f->in_list = false;
        f->guarded = eat(p, ",");
        if (f->guarded) return true;
    } else if (eat(p, ",")) {
        if (f->op != SX_CAST) return true;
        if (!narrow(f->dtype) || !eat(p, "nosat")) return false;
        f->index = 0;
    }
    *closed = eat(p, ")");
    return *closed;
}

/* Closes as many frames as the text does; *value is the last result once no frame is left, else
 * NULL. */
static bool parse_close(Parser *p, const Sx **value)
{
    while (p->n_frame) {
        Frame *f = &p->frame[p->n_frame - 1];
        bool closed;
        if (*value) {
            if (f->n == SX_MAX_ARGS - 1) return false;
            f->arg[f->n++] = *value;
        }
        if (!parse_between(p, f, &closed)) return false;
        *value = NULL;
        if (!closed) return true;
        if (!frame_ok(f)) return false;
        *value = frame_build(p->t, f);
        if (f->name != NO_NAME) p->named[f->name] = *value;
        p->n_frame--;
    }
    return true;
}

/* `$3=`: the next name, to be given; `$3`: a value named before. */
static bool parse_name(Parser *p, int *name, const Sx **value)
{
    int k;

    if (!eat(p, "$")) return true;
    if (!parse_number(p, &k)) return false;
    if (!eat(p, "=")) {
        *value = (size_t)k < p->n_named ? p->named[k] : NULL;
        return *value != NULL;
    }
    if ((size_t)k != p->n_named) return false;
    VEC_PUSH(p->t->arena, p->named, p->n_named, p->cap_named, NULL);
    *name = k;
    return p->n_named == (size_t)k + 1;
}

/* A leaf or a name gives *value; an operation opens a frame. */
static bool parse_item(Parser *p, const Sx **value)
{
    char word[24];
    int name = NO_NAME;
    DType d;

    if (!parse_name(p, &name, value)) return false;
    if (*value) return true;
    if (!parse_word(p, word, sizeof word)) return false;
    if (strcmp(word, "dim") == 0)
        *value = parse_dim_leaf(p);
    else if (strcmp(word, "acc") == 0)
        *value = parse_acc(p);
    else if (is_index(word, p->s))
        *value = sx_index(p->t, atoi(word + 1));
    else if (plain_type(d = dtype_parse(word)) && eat(p, ":"))
        *value = parse_const(p, d);
    else
        return parse_head(p, word, name);
    if (*value && name != NO_NAME) p->named[name] = *value;
    return *value != NULL;
}

const char *sx_parse(SxTable *t, const char *s, const Sx **out)
{
    Parser p = {.t = t, .s = s};

    for (;;) {
        const Sx *value = NULL;
        /* A load without indices closes its list at once. */
        const Frame *f = p.n_frame ? &p.frame[p.n_frame - 1] : NULL;
        bool empty = f && f->in_list && f->n == 0 && *p.s == ']';
        if (!empty && !parse_item(&p, &value)) return NULL;
        if (!value && !empty) continue;
        if (!parse_close(&p, &value)) return NULL;
        if (p.n_frame) continue;
        *out = value;
        return p.s;
    }
}
