/* kernel_parse.c: kernels from text (kernel_print.c states the form). Parsing checks form and
 * bounds of numbers only; whether it makes sense is for kernel_verify. */
#include <stdio.h>
#include <string.h>

#include "ir/graph_text.h"
#include "support/vec.h"

#define MAX_OPERANDS 65536

static bool read_dtype(Reader *r, DType *out)
{
    const char *word;
    if (!reader_word(r, &word)) return false;
    *out = dtype_parse(word);
    return *out != DT_NONE || reader_fail(r, "'%s' is no dtype", word);
}

static bool read_monoid(Reader *r, Monoid *out)
{
    const char *word;
    if (!reader_word(r, &word)) return false;
    for (int m = MONOID_SUM; m <= MONOID_ARGMAX_LAST; m++) {
        *out = (Monoid)m;
        if (strcmp(word, monoid_text(*out)) == 0) return true;
    }
    return reader_fail(r, "'%s' is no reduction", word);
}

static bool read_acc(Reader *r, Acc *a)
{
    if (!read_monoid(r, &a->monoid) || !read_dtype(r, &a->dtype) || !reader_sx(r, &a->body))
        return false;
    if (a->monoid != MONOID_DOT) return true;
    if (!reader_need(r, ",") || !reader_sx(r, &a->body2)) return false;
    return !reader_eat(r, "where") || reader_sx(r, &a->where);
}

static bool read_combine(Reader *r, Combine *out)
{
    static const char *const text[] = {"set", "add", "mul", "min", "max"};
    for (int c = COMBINE_SET; c <= COMBINE_MAX; c++) {
        *out = (Combine)c;
        if (reader_eat(r, text[c])) return true;
    }
    return reader_fail(r, "expected set, add, mul, min or max");
}

static bool read_scatter(Reader *r, bool place, StageOut *o)
{
    const Sx *dst[MAX_RANK];
    o->init = -1;
    if (place) {
        o->combine = COMBINE_PLACE;
    } else if (!read_combine(r, &o->combine) || !reader_need(r, "init") ||
               !reader_small(r, 0, MAX_OPERANDS, &o->init)) {
        return false;
    }
    if (!reader_need(r, "[")) return false;
    while (!reader_at(r, "]")) {
        if (o->n_dst == MAX_RANK) return reader_fail(r, "more than %d indices", MAX_RANK);
        if (o->n_dst && !reader_need(r, ",")) return false;
        if (!reader_sx(r, &dst[o->n_dst++])) return false;
    }
    /* a scatter into a scalar has no indices, but is one */
    o->dst = ARENA_ARRAY(r->m->arena, const Sx *, o->n_dst);
    if (o->n_dst) memcpy(o->dst, dst, sizeof *dst * (size_t)o->n_dst);
    if (!reader_need(r, "]")) return false;
    return !reader_eat(r, "guard") || reader_sx(r, &o->dst_guard);
}

static bool read_frame(Reader *r, int rank, StageOut *o)
{
    int64_t *before = ARENA_ARRAY(r->m->arena, int64_t, rank);
    int open, border;

    if (!reader_need(r, "[")) return false;
    for (int i = 0, n; i < rank; i++) {
        if (i && !reader_need(r, ",")) return false;
        if (!reader_small(r, 0, INT32_MAX, &n)) return false;
        before[i] = n;
    }
    o->before = before;
    if (!reader_need(r, "]")) return false;
    if (reader_eat(r, "border")) {
        if (!reader_small(r, INT8_MIN, UINT8_MAX, &border)) return false;
        o->border = border;
    }
    if (reader_eat(r, "open")) {
        if (!reader_small(r, 0, (1 << MAX_RANK) - 1, &open)) return false;
        o->open = (uint32_t)open;
    }
    Dim *within;
    if (!reader_eat(r, "of")) return true;
    if (!reader_dims(r, &within, &rank)) return false;
    o->within = within;
    return rank == o->n_dst || reader_fail(r, "expected %d dims", o->n_dst);
}

static bool read_out(Reader *r, int rank, StageOut *o)
{
    if (reader_eat(r, "local"))
        o->result = -1;
    else if (!reader_small(r, 0, MAX_OPERANDS, &o->result))
        return false;
    if (!read_dtype(r, &o->dtype) || !reader_sx(r, &o->value)) return false;
    if (reader_eat(r, "scatter")) return read_scatter(r, false, o);
    if (reader_eat(r, "place") && !read_scatter(r, true, o)) return false;
    return !reader_eat(r, "frame") || read_frame(r, o->dst ? o->n_dst : rank, o);
}

static bool read_stage_body(Reader *r, Stage *s)
{
    int cap_acc = 0, cap_out = 0;
    if (!reader_need(r, "{")) return false;
    while (!reader_eat(r, "}")) {
        if (reader_eat(r, "acc")) {
            Acc a = {0};
            if (!read_acc(r, &a)) return false;
            VEC_PUSH(r->m->arena, s->acc, s->n_acc, cap_acc, a);
        } else if (reader_need(r, "out")) {
            StageOut o = {0};
            if (!read_out(r, s->rank, &o)) return false;
            VEC_PUSH(r->m->arena, s->out, s->n_out, cap_out, o);
        } else {
            return false;
        }
    }
    return true;
}

static bool read_stage(Reader *r, Stage *s)
{
    *s = (Stage){.scan_axis = -1, .order = ORDER_CHAIN};
    if (!reader_need(r, "stage") || !reader_dims(r, &s->extent, &s->rank)) return false;
    if (reader_eat(r, "reduce") && !reader_dims(r, &s->reduce, &s->n_reduce)) return false;
    if (reader_eat(r, "scan") && !reader_small(r, 0, MAX_RANK - 1, &s->scan_axis)) return false;
    if (reader_eat(r, "lanes64")) s->order = ORDER_LANES64;
    if (reader_eat(r, "pairs")) s->order = ORDER_PAIRS;
    return read_stage_body(r, s);
}

bool reader_kernel(Reader *r, Kernel **out)
{
    Kernel *k = ARENA_NEW(r->m->arena, Kernel);
    StringRef label;
    int cap = 0;
    *out = k;
    if (reader_at(r, "\"")) {
        if (!reader_string(r, &label)) return false;
        k->label = label.s;
    }
    if (reader_eat(r, "outer") && !reader_small(r, 0, MAX_RANK, &k->n_outer)) return false;
    if (!reader_need(r, "{")) return false;
    while (!reader_eat(r, "}")) {
        Stage s;
        if (!read_stage(r, &s)) return false;
        VEC_PUSH(r->m->arena, k->stage, k->n_stage, cap, s);
    }
    return k->n_stage > 0 || reader_fail(r, "a kernel has at least one stage");
}

/* One port list against the values of the node; a result of unknown type takes the type read. */
static bool read_ports(Reader *r, const char *name, int n, Value *const *v)
{
    if (!reader_need(r, "(")) return false;
    for (int i = 0; i < n; i++) {
        char port[32];
        Type type;
        snprintf(port, sizeof port, "%s%d", name, i);
        if ((i && !reader_need(r, ",")) || !reader_need(r, port) || !reader_need(r, ":"))
            return false;
        if (!v[i]) {
            if (!reader_need(r, "_")) return false;
            continue;
        }
        if (!reader_type(r, &type)) return false;
        if (v[i]->type.kind == TYPE_UNKNOWN) v[i]->type = type;
        if (!type_equal(&type, &v[i]->type))
            return reader_fail(r, "%s has another type in the graph", port);
    }
    return reader_need(r, ")");
}

const char *kernel_parse(Module *m, const char *s, Node *into, Diag *d)
{
    Reader r;
    reader_init(&r, m, m->file, s, d);
    bool ok = reader_need(&r, "kernel") && read_ports(&r, "in", into->n_in, into->in) &&
              reader_need(&r, "->") && read_ports(&r, "out", into->n_out, into->out) &&
              reader_kernel(&r, &into->kernel);
    return ok ? r.s : NULL;
}
