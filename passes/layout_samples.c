/* layout_samples.c: kernels that sample an image: GridSample, RoiAlign, the taps of a DeformConv.
 *
 *     x[n, c, y(p), x(p)] of domain [n, c, p]     ->     x[n, y(p), x(p), c] of domain [n, p, c]
 *
 * Found by their form: an operand is read at several places a point, which come from data, and one
 * axis of it by a loop index that is in no place. Of few channels the lanes would stay empty. Where
 * several axes are such, the one that is innermost as the image stands. */
#include "passes/layout.h"

enum {
    MANY_CHANNELS = 8,
    MANY_OF_SUMS = 4, /* of places that are summed up, each is more work to find */
    WORTH_A_COPY = 4  /* samples for every so many elements of the image, at least */
};

typedef struct Samples {
    SxTable *t;
    const Node *n;
    const Stage *s;
    OrderOf order;
    void *context;
    int src;   /* -1: not yet found */
    int axis;  /* of the operand: that of the channels */
    int index; /* of the domain: that of the channels */
    int loads;
    bool differ; /* not all loads of the operand are of this form */
} Samples;

static void find_load(void *context, const Sx *e)
{
    if (e->op == SX_LOAD || e->op == SX_CHECK) *(bool *)context = true;
}

/* `e` itself, or in a sum: channels of a group. */
static const Sx *loop_index(const Sx *e)
{
    if (e->op == SX_ADD) e = e->arg[0]->op == SX_INDEX ? e->arg[0] : e->arg[1];
    return e;
}

/* The axis of `load` that a loop index names which no place has; -1: there is none. */
static int channel_axis(Samples *x, const Sx *load, int rank)
{
    const Order *o = x->order ? x->order(x->context, x->n->in[load->src]) : NULL;
    int found = -1, innermost = o ? o->axis[rank - 1] : rank - 1;

    for (int a = 0; a < rank; a++) {
        const Sx *e = loop_index(load->arg[a]);
        bool alone = e->op == SX_INDEX && e->index < x->s->rank;

        for (int i = 0; alone && i < rank; i++)
            alone = i == a || !sx_uses_index(x->t, load->arg[i], e->index);
        if (alone && !dim_is(x->s->extent[e->index], 1) && found != innermost) found = a;
    }
    return found;
}

static void note_load(void *context, const Sx *e)
{
    Samples *x = context;
    int rank = e->n - (e->guarded ? 1 : 0), axis;
    bool data = false;

    if (e->op != SX_LOAD || e->src < 0 || e->flat || rank < 3) return;
    if (x->src >= 0 && e->src != x->src) return;
    for (int i = 0; i < rank; i++)
        sx_visit(x->t, e->arg[i], find_load, &data);
    axis = data ? channel_axis(x, e, rank) : -1;
    if (x->src < 0 && axis >= 0) {
        x->src = e->src;
        x->axis = axis;
        x->index = loop_index(e->arg[axis])->index;
    }
    if (x->src != e->src) return;
    x->loads++;
    if (axis != x->axis || loop_index(e->arg[axis])->index != x->index) x->differ = true;
}

static int64_t known(int n, const Dim *d)
{
    int64_t count = 1;

    for (int i = 0; i < n; i++)
        if (!dim_is_const(d[i]) || __builtin_mul_overflow(count, d[i]->value, &count)) return 0;
    return count;
}

/* Where both are known: an image of which little is read is not worth a copy. */
static bool reads_enough(const Samples *x)
{
    const Type *t = &x->n->in[x->src]->type;
    int64_t image = known(t->rank, t->dim), points = known(x->s->rank, x->s->extent);

    return !image || !points || points * x->loads >= image / WORTH_A_COPY;
}

bool layout_samples(const Node *n, OrderOf order, void *context, SampleOrder *c)
{
    const Stage *s = &n->kernel->stage[0];
    Samples x = {
        .t = &n->parent->module->sx, .n = n, .s = s, .order = order, .context = context, .src = -1};
    Dim channels;

    if (n->kernel->n_stage != 1 || s->scan_axis >= 0) return false;
    if (s->n_reduce && s->order != ORDER_CHAIN) return false;
    for (int i = 0; i < s->n_acc; i++) {
        if (s->acc[i].monoid == MONOID_DOT) return false;
        sx_visit(x.t, s->acc[i].body, note_load, &x);
    }
    for (int j = 0; j < s->n_out; j++) {
        if (s->out[j].dst) return false;
        sx_visit(x.t, s->out[j].value, note_load, &x);
    }
    if (x.src < 0 || x.differ || x.loads + s->n_reduce < 2 || !reads_enough(&x)) return false;
    channels = s->extent[x.index];
    if (!dim_is_const(channels) || channels->value < (s->n_reduce ? MANY_OF_SUMS : MANY_CHANNELS))
        return false;
    c->src = x.src;
    c->out = order_with_last(s->rank, x.index);
    c->data = order_with_last(n->in[x.src]->type.rank, x.axis);
    const Order *have = order ? order(context, n->in[x.src]) : NULL;
    if (have && have->axis[have->n - 1] == x.axis) c->data = *have;
    return !order_is_plain(&c->out) || !order_is_plain(&c->data);
}
