/* onnx_squeeze.c: a Squeeze that does not say its axes, of dims that only the run knows.
 *
 * It takes away the dims that are 1: whether an open dim is one of them decides the rank of the
 * result, and what everything behind it means. So it becomes an If, and onnx_split.c gives what is
 * behind to both branches:
 *
 *     y = Squeeze(x : f32[n,4])   ->   y = If(n == 1) { Squeeze(x, 0) : f32[4]  |  x : f32[n,4] }
 *
 * Where what is behind fits one of the two alone, that is what the model means. While a branch is
 * imported it is known what the dim is, there: the Squeeze is imported again, and may ask for the
 * next one. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"
#include "ir/build.h"

enum { MOST_ASKED = 6 }; /* at once: each doubles what is behind */

typedef enum Answer { OPEN, ONE, MORE } Answer;

/* Whether d is 1, by itself or in the branch that is being imported. */
static Answer answer(const Importer *im, Dim d)
{
    if (dim_is(d, 1)) return ONE;
    if (d->lo > 1 || d->hi < 1) return MORE;
    return (Answer)(uintptr_t)map_get(&im->answers, d);
}

bool squeeze_asks(const Importer *im, const Draft *x)
{
    const Type *t = x->n_in == 1 && x->in[0] ? &x->in[0]->type : NULL;

    if (*x->domain || strcmp(x->op, "Squeeze") != 0 || !t || t->kind != TYPE_TENSOR) return false;
    for (int i = 0; i < t->rank; i++)
        if (!dim_is(t->dim[i], 1) && answer(im, t->dim[i]) != MORE) return true;
    return false;
}

static Value *is_one(Build *b, Dim d)
{
    return build_op2(b, "Equal", build_dims(b, 1, &d), build_i64(b, 1, (int64_t[]){1}));
}

/* At run time d is more than 1. */
static void require_more(Build *b, Dim d)
{
    Attr to = attr_of_int("to", dtype_onnx(DT_I64));
    Value *one = is_one(b, d);

    build_bind(b, build_op(b, "Cast", 1, &one, 1, &to), 0, "one", 0, 0);
}

/* x without the dims that are known to be 1; the others are more. */
static Status squeeze_known(const Importer *im, Build *b, const Draft *x, Value **out)
{
    const Type *t = &x->in[0]->type;
    int64_t axis[MAX_RANK];
    int n = 0;

    for (int i = 0; i < t->rank; i++) {
        if (answer(im, t->dim[i]) == ONE) axis[n++] = i;
        if (answer(im, t->dim[i]) == OPEN) require_more(b, t->dim[i]);
    }
    *out = n == 0 ? build_op1(b, "Identity", x->in[0])
                  : build_op2(b, "Squeeze", x->in[0], build_i64(b, n, axis));
    return b->status;
}

Status import_squeeze(Importer *im, Region *r, const Draft *x, Value **out)
{
    const Type *t = &x->in[0]->type;
    Build b = build_at(r, NULL, x->origin, im->diag);
    int asked = 0;

    while (asked < t->rank && answer(im, t->dim[asked]) != OPEN)
        asked++;
    if (asked == t->rank || im->n_answers >= MOST_ASKED) return squeeze_known(im, &b, x, &out[0]);
    Value *one = is_one(&b, t->dim[asked]);
    TRY(b.status);
    Node *n = import_if(im, r, one, 0, x->origin);
    map_set(&im->asked, n, (void *)(uintptr_t)t->dim[asked]);
    out[0] = im->poison; /* until both branches have it */
    return OK;
}

bool squeeze_asked(const Importer *im, const Node *n)
{
    return n && map_has(&im->asked, n);
}

/* What was known of that dim before. */
void *squeeze_answer(Importer *im, const Node *n, int b)
{
    Dim d = map_get(&im->asked, n);
    void *before = d ? map_get(&im->answers, d) : NULL;

    if (!d) return NULL;
    map_set(&im->answers, d, (void *)(uintptr_t)(b == 0 ? ONE : MORE));
    im->n_answers++;
    return before;
}

void squeeze_forget(Importer *im, const Node *n, void *before)
{
    Dim d = map_get(&im->asked, n);

    if (!d) return;
    map_set(&im->answers, d, before);
    im->n_answers--;
}

/* ---- order ---- */

static bool has_no_axes(const Onnx__NodeProto *p)
{
    if (!p->op_type || strcmp(p->op_type, "Squeeze") != 0 || p->n_input != 1) return false;
    for (size_t i = 0; i < p->n_attribute; i++)
        if (p->attribute[i]->name && strcmp(p->attribute[i]->name, "axes") == 0) return false;
    return true;
}

static bool reads(const Onnx__NodeProto *p, const Map *names);

static bool graph_reads(const Onnx__GraphProto *g, const Map *names)
{
    for (size_t i = 0; i < g->n_node; i++)
        if (reads(g->node[i], names)) return true;
    for (size_t i = 0; i < g->n_output; i++)
        if (g->output[i]->name && map_has(names, g->output[i]->name)) return true;
    return false;
}

/* By name: what a graph within defines anew counts too, which does no harm. */
static bool reads(const Onnx__NodeProto *p, const Map *names)
{
    for (size_t i = 0; i < p->n_input; i++)
        if (map_has(names, p->input[i])) return true;
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__AttributeProto *a = p->attribute[i];
        if (a->g && graph_reads(a->g, names)) return true;
        for (size_t k = 0; k < a->n_graphs; k++)
            if (graph_reads(a->graphs[k], names)) return true;
    }
    return false;
}

Status squeeze_last(Importer *im, size_t n, Onnx__NodeProto *const *nodes, size_t *order)
{
    size_t *late = arena_try(im->scratch, n, sizeof *late), n_late = 0, n_first = 0;
    Map names;

    if (!late) return import_limits(im);
    map_init(&names, im->scratch, true);
    for (size_t i = 0; i < n; i++) {
        const Onnx__NodeProto *p = nodes[order[i]];
        if (!has_no_axes(p) && (!names.count || !reads(p, &names))) {
            order[n_first++] = order[i];
            continue;
        }
        for (size_t k = 0; k < p->n_output; k++)
            if (*p->output[k]) map_set(&names, p->output[k], (void *)(uintptr_t)1);
        late[n_late++] = order[i];
    }
    memcpy(order + n_first, late, n_late * sizeof *late);
    return OK;
}
