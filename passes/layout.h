/* layout.h: which order a value's axes have in memory; between the files of the pass `layout`. */
#ifndef INGOT_PASSES_LAYOUT_H
#define INGOT_PASSES_LAYOUT_H

#include "passes/fuse_inline.h"

/* Physical axis i of a value (or new domain index i of a kernel) is logical axis axis[i]. */
typedef struct Order {
    int n;
    int axis[MAX_RANK];
} Order;

static inline bool order_is_plain(const Order *o)
{
    for (int i = 0; i < o->n; i++)
        if (o->axis[i] != i) return false;
    return true;
}

/* Of n axes, `axis` innermost and the others as they are. */
static inline Order order_with_last(int n, int axis)
{
    Order o = {.n = 0};

    for (int i = 0; i < n; i++)
        if (i != axis) o.axis[o.n++] = i;
    o.axis[o.n++] = axis;
    return o;
}

/* layout_order.c: decisions, from the form of a kernel alone. Value.mark has no meaning here. */
/* A kernel's operand `src` is read with its axes in `physical` order (NULL: as they stand). */
typedef const Order *(*OrderOf)(void *context, const Value *v);
/* A convolution: one side of the product is weights, the other is read through a window.
 * out: order of the domain; data: the operand that is not weights, and the order wanted of it;
 * reduce: new reduction index i is old index reduce.axis[i]. */
typedef struct ConvOrder {
    Order out, data, reduce;
    int src, weights;
    bool points;    /* windows of one tap */
    bool phased;    /* features of several indices: phases of a transposed convolution */
    bool few;       /* channels of data: rows of them are too short to be worth a transposition */
    bool apart;     /* windows do not overlap along the innermost axis of the data */
    bool thin;      /* a window for few features: positions fill the lanes better than they do */
    bool slim;      /* depthwise, of few channels: as thin, where they stand so */
    bool planes;    /* depthwise, and one that can be done plane by plane */
    bool depthwise; /* no index belongs to the weights alone: they are read along the lanes */
    Order weight;   /* depthwise: order wanted of the weights */
} ConvOrder;
bool layout_convolution(const Node *n, ConvOrder *c);
/* Rows of channels at places that data name: an image is read several times a point at [n, c, y,
 * x], c alone a loop index. In the order (places, channels) a place is found once for all of its
 * channels, and they are read where they lie. */
typedef struct SampleOrder {
    Order out, data;
    int src;
} SampleOrder;
/* order: of n's operands as they stand; NULL: not known yet. */
bool layout_samples(const Node *n, OrderOf order, void *context, SampleOrder *c);
/* layout_wants.c: the values whose readers gain by channels that are innermost: *wanted, a Value to
 * itself; and those that are read through windows or at places, or become such by maps: *windows.
 */
Status layout_wants(PassContext *cx, Module *m, Map *wanted, Map *windows) MUST_USE;
/* Order of the domain that follows from the orders of n's operands; plain when nothing does. */
Order layout_following(const Node *n, OrderOf order, void *context);
/* Order of n's reduction in which it goes through an operand as that lies in memory; false: where
 * the elements next to each other there are no terms of one sum. */
bool layout_reduction(const Node *n, OrderOf order, void *context, Order *out);
/* Whether the innermost index of n's reduction, as it stands, runs along memory in every operand
 * that it reads: then sums have lanes. */
bool layout_sums_along(const Node *n);
/* A product of matrices of which that order would make many with a pair of elements each: an index
 * that both operands have would become the innermost one. */
bool layout_hides_product(const Node *n, const Order *domain);
/* A reshape whose groups of axes stay together in memory: the order of its result. */
bool layout_reshaped(const Value *from, const Order *o, const Value *to, Order *out);

#endif
