/* kernel_print.c: kernels as text.
 *
 *     kernel(in0 : f32[n,3], in1 : f32[64,3]) -> (out0 : f32[n,64]) outer 1 {
 *       stage [n,64] reduce [3] lanes64 {
 *         acc dot f32 load:f32(0,[i0,i2]) , load:f32(1,[i1,i2])
 *         out 0 f32 max(acc:f32(0),f32:0)
 *       }
 *     }
 *
 * `outer` is left out when 0, `reduce` when there is none, the order when it is chain. `scan K`
 * stands where the running axis is K. A result that stays inside is `out local`; a scatter is out 0
 * f32 VALUE scatter add init 2 [i0,i1] guard COND; what is placed, out 0 f32 VALUE place [i0,i1]
 * guard COND. `frame [0,1,1,0]` ends a framed result, `frame [0,1,1,0] of [n,56,56,64]` a placed
 * one. The label and the reasons are for people and no part of the meaning: kernel_print leaves
 * them out, so that kernels of one text are one function. Expressions have the form of sx_print. */
#include "ir/graph_text.h"

static const char *const combine_text[] = {
    [COMBINE_SET] = "set", [COMBINE_ADD] = "add", [COMBINE_MUL] = "mul",
    [COMBINE_MIN] = "min", [COMBINE_MAX] = "max", [COMBINE_PLACE] = "place",
};

static void print_extents(Text *out, int n, const Dim *d)
{
    text_char(out, '[');
    for (int i = 0; i < n; i++) {
        if (i) text_char(out, ',');
        dim_print(out, d[i]);
    }
    text_char(out, ']');
}

static void print_acc(Text *out, const Acc *a, int indent)
{
    text_f(out, "%*sacc %s %s ", indent, "", monoid_text(a->monoid), dtype_text(a->dtype));
    sx_print(out, a->body);
    if (a->body2) {
        text_put(out, " , ");
        sx_print(out, a->body2);
    }
    if (a->where) {
        text_put(out, " where ");
        sx_print(out, a->where);
    }
    text_char(out, '\n');
}

static void print_scatter(Text *out, const StageOut *o)
{
    if (o->combine == COMBINE_PLACE)
        text_put(out, " place [");
    else
        text_f(out, " scatter %s init %d [", combine_text[o->combine], o->init);
    for (int i = 0; i < o->n_dst; i++) {
        if (i) text_put(out, " , ");
        sx_print(out, o->dst[i]);
    }
    text_char(out, ']');
    if (!o->dst_guard) return;
    text_put(out, " guard ");
    sx_print(out, o->dst_guard);
}

static void print_out(Text *out, const StageOut *o, int rank, int indent)
{
    if (o->dst) rank = o->n_dst;
    text_f(out, "%*sout ", indent, "");
    if (o->result < 0)
        text_put(out, "local ");
    else
        text_f(out, "%d ", o->result);
    text_f(out, "%s ", dtype_text(o->dtype));
    sx_print(out, o->value);
    if (o->dst) print_scatter(out, o);
    for (int i = 0; o->before && i < rank; i++)
        text_f(out, "%s%lld", i ? "," : " frame [", (long long)o->before[i]);
    if (o->before) text_char(out, ']');
    if (o->border) text_f(out, " border %lld", (long long)o->border);
    if (o->open) text_f(out, " open %u", o->open);
    if (o->within) text_put(out, " of ");
    if (o->within) print_extents(out, o->n_dst, o->within);
    text_char(out, '\n');
}

static void print_stage(Text *out, const Stage *s, int indent)
{
    text_f(out, "%*sstage ", indent, "");
    print_extents(out, s->rank, s->extent);
    if (s->n_reduce) {
        text_put(out, " reduce ");
        print_extents(out, s->n_reduce, s->reduce);
    }
    if (s->scan_axis >= 0) text_f(out, " scan %d", s->scan_axis);
    if (s->order == ORDER_LANES64) text_put(out, " lanes64");
    if (s->order == ORDER_PAIRS) text_put(out, " pairs");
    text_put(out, " {\n");
    for (int i = 0; i < s->n_acc; i++)
        print_acc(out, &s->acc[i], indent + 2);
    for (int i = 0; i < s->n_out; i++)
        print_out(out, &s->out[i], s->rank, indent + 2);
    text_f(out, "%*s}\n", indent, "");
}

void kernel_body_print(const Kernel *k, Text *out, int indent)
{
    if (k->n_outer) text_f(out, " outer %d", k->n_outer);
    text_put(out, " {\n");
    for (int i = 0; i < k->n_stage; i++)
        print_stage(out, &k->stage[i], indent + 2);
    text_f(out, "%*s}", indent, "");
}

static void print_ports(Text *out, const char *name, int n, Value *const *v)
{
    text_char(out, '(');
    for (int i = 0; i < n; i++) {
        if (i) text_put(out, ", ");
        text_f(out, "%s%d : ", name, i);
        if (v[i])
            type_print(out, &v[i]->type);
        else
            text_char(out, '_');
    }
    text_char(out, ')');
}

void kernel_print(const Node *n, Text *out)
{
    text_put(out, "kernel");
    print_ports(out, "in", n->n_in, n->in);
    text_put(out, " -> ");
    print_ports(out, "out", n->n_out, n->out);
    kernel_body_print(n->kernel, out, 0);
    text_char(out, '\n');
}
