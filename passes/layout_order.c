/* layout_order.c: which order of axes a kernel wants, and which follows from its operands. Sees the
 * form of the kernel and which extents are 1, never how large they are: the same model has the same
 * orders for every batch and every size of its open dims. */
#include "passes/layout.h"

#include <string.h>

#include "ir/planes.h"

enum { FEW_CHANNELS = 4, FEW_FEATURES = 8 };

/* Indices of a kernel's only stage that an expression uses. */
static uint32_t indices_of(SxTable *t, const Stage *s, const Sx *e)
{
    uint32_t mask = 0;

    for (int i = 0; i < s->rank + s->n_reduce; i++)
        mask |= (uint32_t)sx_uses_index(t, e, i) << i;
    return mask;
}

static uint32_t domain_mask(const Stage *s)
{
    return (1u << s->rank) - 1;
}

typedef struct FirstLoad {
    const Node *n;
    int src; /* -1: of any operand that is not constant */
    const Sx *load;
    int loads; /* but for numbers that are the same everywhere, as zero points are */
} FirstLoad;

static void first_load(void *context, const Sx *e)
{
    FirstLoad *x = context;

    if (e->op != SX_LOAD || e->src < 0 || sx_is_scalar(e)) return;
    if (x->src >= 0 ? e->src != x->src : x->n->in[e->src]->data != NULL) return;
    if (!x->load) x->load = e;
    x->loads++;
}

typedef struct AllConstant {
    const Node *n;
    int src; /* of the load with the most indices: the weights, not their zero points */
    bool yes;
    int most;
} AllConstant;

static void constants_only(void *context, const Sx *e)
{
    AllConstant *x = context;

    if (e->op == SX_CHECK) x->yes = false;
    if (e->op != SX_LOAD) return;
    if (e->src < 0 || !x->n->in[e->src]->data) x->yes = false;
    if (x->src >= 0 && e->n <= x->most) return;
    x->src = e->src;
    x->most = e->n;
}

static int operand_rank(const Sx *load)
{
    return load->n - (load->guarded ? 1 : 0);
}

/* Axes whose index has none of the indices in `last` come first, else the order stays. */
static Order sorted(const Sx *load, const uint32_t *uses, uint32_t first)
{
    Order o = {.n = operand_rank(load)};
    int k = 0;

    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < o.n; i++)
            if ((bool)(uses[i] & first) == (pass == 0)) o.axis[k++] = i;
    return o;
}

static bool reads_plainly(SxTable *t, const Stage *s, const Sx *load, uint32_t *uses)
{
    if (load->flat || operand_rank(load) < 3) return false;
    for (int i = 0; i < operand_rank(load); i++)
        uses[i] = indices_of(t, s, load->arg[i]);
    return true;
}

static void order_domain(const Stage *s, uint32_t data_only, uint32_t both, ConvOrder *c)
{
    int k = 0;

    c->out.n = s->rank;
    for (int i = 0; i < s->rank; i++)
        if (data_only >> i & 1) c->out.axis[k++] = i;
    for (int i = 0; i < s->rank; i++)
        if (both >> i & 1) c->out.axis[k++] = i;
    for (int i = 0; i < s->rank; i++)
        if (!((data_only | both) >> i & 1)) c->out.axis[k++] = i;
}

/* Window indices first, then those of the channels. */
static void order_reduction(const Stage *s, const uint32_t *uses, int rank, uint32_t data_only,
                            Order *out)
{
    uint32_t window = 0;
    int k = 0;

    for (int i = 0; i < rank; i++)
        if (uses[i] & data_only) window |= uses[i] >> s->rank;
    out->n = s->n_reduce;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < s->n_reduce; i++)
            if ((bool)(window >> i & 1) == (pass == 0)) out->axis[k++] = i;
}

/* Points of the reduction that are no window: the weights' dims, hence the same for all sizes. */
static bool few_channels(const Stage *s, const uint32_t *uses, int rank, uint32_t data_only)
{
    uint32_t window = 0;
    int64_t n = 1;

    for (int i = 0; i < rank; i++)
        if (uses[i] & data_only) window |= uses[i] >> s->rank;
    for (int i = 0; i < s->n_reduce; i++)
        if (!(window >> i & 1))
            n *= dim_is_const(s->reduce[i]) ? s->reduce[i]->value : FEW_CHANNELS + 1;
    return n <= FEW_CHANNELS;
}

static bool one_tap(const Stage *s, const uint32_t *uses, int rank)
{
    for (int i = 0; i < rank; i++)
        for (int k = 0; k < s->n_reduce; k++)
            if ((uses[i] & domain_mask(s)) && (uses[i] >> (s->rank + k) & 1) &&
                !dim_is(s->reduce[k], 1))
                return false;
    return true;
}

/* Features and taps come from the weights' dims; of positions only whether they are one. */
static bool is_thin(const Stage *s, const uint32_t *uses, int rank, uint32_t data, uint32_t weight)
{
    uint32_t window = 0;
    int64_t features = 1, taps = 1;
    bool one_position = true;

    for (int i = 0; i < rank; i++) {
        if (!(uses[i] & data & ~weight) || !(uses[i] >> s->rank)) continue;
        window |= uses[i] >> s->rank;
        for (int k = 0; k < s->rank; k++)
            if ((uses[i] & data & ~weight) >> k & 1) one_position &= dim_is(s->extent[k], 1);
    }
    for (int i = 0; i < s->rank; i++)
        if ((weight & ~data) >> i & 1)
            features *= dim_is_const(s->extent[i]) ? s->extent[i]->value : FEW_FEATURES + 1;
    for (int i = 0; i < s->n_reduce; i++)
        if (window >> i & 1) taps *= dim_is_const(s->reduce[i]) ? s->reduce[i]->value : 1;
    return features <= FEW_FEATURES && taps > 1 && !one_position && !(data & weight);
}

/* Channels come from the weights' dims. */
static bool is_slim(const Stage *s, uint32_t both)
{
    int64_t channels = 1;

    for (int i = 0; i < s->rank; i++)
        if (both >> i & 1)
            channels *= dim_is_const(s->extent[i]) ? s->extent[i]->value : FEW_FEATURES + 1;
    return channels <= FEW_CHANNELS;
}

/* Indices of more than one point. */
static bool several(const Stage *s, uint32_t mask)
{
    int n = 0;

    for (int i = 0; i < s->rank; i++)
        n += (mask >> i & 1) && !dim_is(s->extent[i], 1);
    return n > 1;
}

/* Along the last axis a window is no wider than its steps. */
static bool is_apart(SxTable *t, const Stage *s, const Sx *load)
{
    const Sx *at = load->arg[operand_rank(load) - 1], *stride, *rest;
    int64_t step = 1, wide = 1;

    for (int i = 0; i < s->rank + s->n_reduce; i++) {
        if (!sx_uses_index(t, at, i) || !sx_linear(t, at, i, &stride, &rest)) continue;
        if (stride->op != SX_CONST) return false;
        if (i < s->rank)
            step = (int64_t)stride->bits;
        else if (dim_is_const(s->reduce[i - s->rank]))
            wide += (s->reduce[i - s->rank]->value - 1) * (int64_t)stride->bits;
    }
    return wide <= step && step > 1;
}

static bool is_window(const Stage *s, const uint32_t *uses, int rank)
{
    for (int i = 0; i < rank; i++)
        if ((uses[i] & domain_mask(s)) && uses[i] >> s->rank) return true;
    return false;
}

bool layout_convolution(const Node *n, ConvOrder *c)
{
    SxTable *t = &n->parent->module->sx;
    const Stage *s = &n->kernel->stage[0];
    uint32_t uses[MAX_RANK], weight_uses[MAX_RANK], in_data, in_weight;
    Planes planes;

    if (n->kernel->n_stage != 1 || s->n_acc != 1 || s->acc[0].monoid != MONOID_DOT) return false;
    if (s->rank < 3 || s->scan_axis >= 0 || s->order != ORDER_CHAIN) return false;
    for (int j = 0; j < s->n_out; j++)
        if (s->out[j].dst) return false;
    const Sx *data = s->acc[0].body, *weight = s->acc[0].body2;
    AllConstant left = {n, -1, true, 0}, right = {n, -1, true, 0};
    sx_visit(t, data, constants_only, &left);
    sx_visit(t, weight, constants_only, &right);
    if (left.yes == right.yes) return false;
    if (left.yes) {
        const Sx *swap = data;
        data = weight;
        weight = swap;
    }
    FirstLoad x = {n, -1, NULL, 0}, w = {n, left.yes ? left.src : right.src, NULL, 0};
    sx_visit(t, data, first_load, &x);
    sx_visit(t, weight, first_load, &w);
    if (x.loads != 1 || w.loads != 1 || !reads_plainly(t, s, x.load, uses)) return false;
    if (!is_window(s, uses, operand_rank(x.load))) return false;
    in_data = indices_of(t, s, data) & domain_mask(s);
    in_weight = indices_of(t, s, weight) & domain_mask(s);
    *c = (ConvOrder){.src = x.load->src, .weights = w.load->src};
    order_domain(s, in_data & ~in_weight, in_data & in_weight, c);
    order_reduction(s, uses, operand_rank(x.load), in_data & ~in_weight, &c->reduce);
    /* of bytes, four neighbours are one element of the product: rows are worth it always */
    c->few = dtype_is_float(s->acc[0].dtype) &&
             few_channels(s, uses, operand_rank(x.load), in_data & ~in_weight);
    c->phased = several(s, in_weight & ~in_data);
    c->apart = is_apart(t, s, x.load);
    c->points = dtype_is_float(s->acc[0].dtype) && one_tap(s, uses, operand_rank(x.load));
    c->thin = dtype_is_float(s->acc[0].dtype) &&
              is_thin(s, uses, operand_rank(x.load), in_data, in_weight);
    c->data = sorted(x.load, uses, in_data & ~in_weight);
    c->depthwise = !(in_weight & ~in_data) && (in_data & in_weight);
    c->slim = c->depthwise && dtype_is_float(s->acc[0].dtype) && !c->points &&
              is_slim(s, in_data & in_weight);
    if (c->depthwise && reads_plainly(t, s, w.load, weight_uses)) {
        for (int i = 0; i < operand_rank(w.load); i++)
            weight_uses[i] = ~weight_uses[i];
        c->weight = (Order){.n = operand_rank(w.load)};
        int k = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < c->weight.n; i++)
                if ((bool)(~weight_uses[i] & domain_mask(s)) == (pass == 1))
                    c->weight.axis[k++] = i;
    } else {
        c->depthwise = false;
    }
    c->planes = c->depthwise && kernel_planes(t, s, &planes);
    return true;
}

/* ---- following operands ---- */

typedef struct Follow {
    const Node *n;
    const Stage *s;
    SxTable *t;
    OrderOf order;
    void *context;
    int most;   /* domain indices that the best operand uses */
    bool plain; /* the best operand stands in plain order */
    Order out;
} Follow;

/* The domain in the order in which `load` goes through memory. */
static bool order_from(Follow *f, const Sx *load, const Order *o, Order *out)
{
    uint32_t seen = 0, used;
    int k = 0, axis[MAX_RANK], n_axis = 0;

    for (int i = 0; i < operand_rank(load); i++) {
        used = indices_of(f->t, f->s, load->arg[o ? o->axis[i] : i]) & domain_mask(f->s);
        used &= ~seen; /* i / 2 comes in front of i % 2 */
        seen |= used;
        for (int d = 0; d < f->s->rank; d++)
            if (used >> d & 1) axis[n_axis++] = d;
    }
    for (int d = 0; d < f->s->rank; d++)
        if (!(seen >> d & 1)) out->axis[k++] = d;
    for (int i = 0; i < n_axis; i++)
        out->axis[k++] = axis[i];
    out->n = k;
    return k == f->s->rank;
}

static int indices_used(Follow *f, const Sx *load)
{
    uint32_t used = 0;
    int n = 0;

    for (int i = 0; i < operand_rank(load); i++)
        used |= indices_of(f->t, f->s, load->arg[i]);
    for (int d = 0; d < f->s->rank; d++)
        n += (used >> d & 1) && !dim_is(f->s->extent[d], 1);
    return n;
}

static void follow_load(void *context, const Sx *e)
{
    Follow *f = context;
    const Order *o;
    Order got;
    int used;

    if (e->op != SX_LOAD || e->src < 0 || e->flat || f->n->in[e->src]->data) return;
    o = f->order(f->context, f->n->in[e->src]);
    used = indices_used(f, e);
    if (used < f->most || (used == f->most && (!o || !f->plain))) return;
    if (o && !order_from(f, e, o, &got)) return;
    f->most = used;
    f->plain = o == NULL;
    if (o) f->out = got;
}

Order layout_following(const Node *n, OrderOf order, void *context)
{
    const Stage *s = &n->kernel->stage[0];
    Follow f = {.n = n,
                .s = s,
                .t = &n->parent->module->sx,
                .order = order,
                .context = context,
                .most = -1,
                .plain = true};

    for (int j = 0; j < s->n_acc; j++) {
        sx_visit(f.t, s->acc[j].body, follow_load, &f);
        if (s->acc[j].body2) sx_visit(f.t, s->acc[j].body2, follow_load, &f);
    }
    for (int j = 0; j < s->n_out; j++)
        sx_visit(f.t, s->out[j].value, follow_load, &f);
    if (f.plain) {
        f.out.n = s->rank;
        for (int i = 0; i < s->rank; i++)
            f.out.axis[i] = i;
    }
    return f.out;
}

typedef struct Reduction {
    const Node *n;
    OrderOf order;
    void *context;
    Order out; /* n 0: not found yet */
} Reduction;

static void reduce_load(void *context, const Sx *e)
{
    Reduction *r = context;
    SxTable *t = &r->n->parent->module->sx;
    const Stage *s = &r->n->kernel->stage[0];
    uint32_t used = 0, seen = 0;
    const Order *o;
    Order out = {0};

    if (e->op != SX_LOAD || e->src < 0 || e->flat || sx_is_scalar(e) || r->out.n) return;
    o = r->order(r->context, r->n->in[e->src]);
    for (int i = 0; o && i < operand_rank(e); i++) {
        uint32_t here = indices_of(t, s, e->arg[o->axis[i]]);
        if (here) used = here;
        for (int k = 0; k < s->n_reduce; k++)
            if ((here & ~seen) >> (s->rank + k) & 1) out.axis[out.n++] = k;
        seen |= here;
    }
    if (out.n == s->n_reduce && used >> s->rank) r->out = out;
}

bool layout_reduction(const Node *n, OrderOf order, void *context, Order *out)
{
    const Stage *s = &n->kernel->stage[0];
    Reduction r = {.n = n, .order = order, .context = context};

    for (int i = 0; i < s->n_acc; i++)
        if (s->acc[i].monoid == MONOID_DOT || s->acc[i].monoid >= MONOID_ARGMIN_FIRST) return false;
    for (int i = 0; i < s->n_acc && s->n_reduce > 1; i++)
        sx_visit(&n->parent->module->sx, s->acc[i].body, reduce_load, &r);
    *out = r.out;
    return r.out.n > 0;
}

/* ---- reshapes ---- */

typedef struct Group {
    int from, n_from, to, n_to; /* axes [from, from + n_from) are [to, to + n_to) */
} Group;

/* The smallest groups of axes that a reshape keeps apart, where the dims prove it. `from` holds
 * logical dims. */
static int groups_of(DimTable *t, int n, const Dim *from, int m, const Dim *to, Group *g)
{
    int i = 0, j = 0, k = 0;

    while (i < n || j < m) {
        Group x = {i, 0, j, 0};
        Dim a = dim_const(t, 1), b = a;

        do {
            bool left = i < n && (x.n_from == 0 || (a->hi <= b->lo && a != b) || j >= m);
            bool right = !left && j < m;
            if (dim_is_const(a) && dim_is_const(b)) {
                left = i < n && (x.n_from == 0 || a->value < b->value);
                right = j < m && (x.n_to == 0 || b->value < a->value);
            }
            if (!left && !right) return 0;
            if (left) {
                a = dim_mul(t, a, from[i++]);
                x.n_from++;
            }
            if (right) {
                b = dim_mul(t, b, to[j++]);
                x.n_to++;
            }
        } while (a != b);
        g[k++] = x;
    }
    return k;
}

bool layout_reshaped(const Value *from, const Order *o, const Value *to, Order *out)
{
    DimTable *t = &(from->def ? from->def->parent : from->region)->module->dims;
    Dim logical[MAX_RANK];
    Group g[2 * MAX_RANK];
    int n_group, k = 0;

    for (int i = 0; i < o->n; i++)
        logical[o->axis[i]] = from->type.dim[i];
    n_group = groups_of(t, o->n, logical, to->type.rank, to->type.dim, g);
    if (!n_group) return false;
    for (int i = 0; i < o->n;) {
        const Group *x = NULL;

        for (int j = 0; j < n_group; j++)
            if (g[j].n_from && g[j].from == o->axis[i]) x = &g[j];
        if (!x) return false;
        for (int j = 0; j < x->n_from; j++)
            if (i + j >= o->n || o->axis[i + j] != x->from + j) return false;
        for (int j = 0; j < x->n_to; j++)
            out->axis[k++] = x->to + j;
        i += x->n_from;
    }
    for (int j = 0; j < n_group; j++) /* new dims of 1 */
        for (int i = 0; !g[j].n_from && i < g[j].n_to; i++)
            out->axis[k++] = g[j].to + i;
    out->n = k;
    return k == to->type.rank;
}

bool layout_hides_product(const Node *n, const Order *domain)
{
    const Stage *s = &n->kernel->stage[0];
    Contraction c;
    int last = domain->n - 1;

    if (!kernel_contraction(&n->parent->module->sx, s, &c)) return false;
    if (dim_is(c.size_m, 1) || dim_is(c.size_n, 1)) return false;
    while (last >= 0 && dim_is(s->extent[domain->axis[last]], 1))
        last--;
    return last >= 0 && (c.batch >> domain->axis[last] & 1);
}

typedef struct Along {
    SxTable *t;
    int last; /* index */
    bool all, any;
} Along;

/* A load that goes on by one element with index `last`. */
static bool goes_along(SxTable *t, const Sx *load, int last)
{
    int n = operand_rank(load);
    const Sx *at = n ? load->arg[n - 1] : NULL, *step, *rest;

    if (!at || at->op == SX_INDEX) return at && at->index == last;
    return load->flat && sx_uses_index(t, at, last) && sx_linear(t, at, last, &step, &rest) &&
           step->op == SX_CONST && step->bits == 1;
}

static void note_along(void *context, const Sx *e)
{
    Along *x = context;

    if (e->op != SX_LOAD) return;
    x->all = x->all && goes_along(x->t, e, x->last);
    x->any = true;
}

bool layout_sums_along(const Node *n)
{
    SxTable *t = &n->parent->module->sx;
    const Stage *s = &n->kernel->stage[0];
    Along x = {t, s->rank + s->n_reduce - 1, true, false};

    for (int i = 0; i < s->n_acc; i++) {
        if (s->acc[i].monoid == MONOID_DOT || s->acc[i].monoid >= MONOID_ARGMIN_FIRST) return false;
        sx_visit(t, s->acc[i].body, note_along, &x);
    }
    return x.any && x.all;
}
