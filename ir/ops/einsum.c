/* einsum.c: Einsum: sums of products over named axes.
 *
 * Every letter, and every axis that an ellipsis stands for, is a label with one extent. Operands
 * are contracted two at a time from the left; a label is summed as soon as neither the result nor a
 * later operand has it. */
#include <string.h>

#include "ir/ops/dot.h"
#include "ir/ops/ops_common.h"

enum { OPERANDS_MAX = 16, LETTERS = 52, LABELS = LETTERS + MAX_RANK };

typedef struct Term {
    int n;
    int label[MAX_RANK];
} Term;

typedef struct Einsum {
    int n;
    Term term[OPERANDS_MAX], out;
} Einsum;

static int letter_label(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? 26 + c - 'A' : -1;
}

static Status bad(const Node *n, Diag *d, const char *why)
{
    return op_error(n, d, "equation", "Einsum: %s in '%s'", why, attr_string(n, "equation", ""));
}

/* One term up to `end`, for an operand of `rank` (-1: the result, with `hidden` ellipsis axes). */
static Status read_term(const Node *n, Diag *d, const char **s, int rank, int hidden, Term *t)
{
    int letters = 0, dots = 0;
    const char *p = *s;

    for (; *p && *p != ',' && *p != '-'; p++) {
        letters += letter_label(*p) >= 0;
        dots += *p == '.';
        if (letter_label(*p) < 0 && *p != '.' && *p != ' ') return bad(n, d, "unknown character");
    }
    if (dots != 0 && dots != 3) return bad(n, d, "a misplaced '.'");
    if (rank >= 0) hidden = dots ? rank - letters : 0;
    if (hidden < 0 || letters + (dots ? hidden : 0) > MAX_RANK ||
        (rank >= 0 && letters + hidden != rank))
        return bad(n, d, "a term that does not fit the rank of its operand");
    t->n = 0;
    for (p = *s; *p && *p != ',' && *p != '-'; p++) {
        if (letter_label(*p) >= 0) t->label[t->n++] = letter_label(*p);
        if (*p != '.') continue;
        if (p[1] != '.' || p[2] != '.') return bad(n, d, "a misplaced '.'");
        for (int i = 0; i < hidden; i++) /* aligned at the right */
            t->label[t->n++] = LETTERS + MAX_RANK - hidden + i;
        p += 2;
    }
    *s = p;
    return OK;
}

/* Without "->": ellipsis axes, then the letters that stand once, in alphabetical order. */
static Status implied_result(const Node *n, Diag *d, Einsum *e)
{
    static const char order[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    int seen[LABELS] = {0};

    for (int k = 0; k < e->n; k++)
        for (int i = 0; i < e->term[k].n; i++)
            seen[e->term[k].label[i]]++;
    e->out.n = 0;
    for (int l = LETTERS; l < LABELS; l++)
        if (seen[l]) e->out.label[e->out.n++] = l;
    for (const char *p = order; *p; p++) {
        if (seen[letter_label(*p)] != 1) continue;
        if (e->out.n == MAX_RANK) return bad(n, d, "a result of too many axes");
        e->out.label[e->out.n++] = letter_label(*p);
    }
    return OK;
}

static Status einsum_read(const Node *n, Diag *d, const int *rank, Einsum *e)
{
    const char *s = attr_string(n, "equation", "");
    int hidden = 0;
    unsigned char seen[LABELS] = {0};

    memset(e, 0, sizeof *e);
    if (n->n_in > OPERANDS_MAX) return op_unsupported(n, d, "%d operands", n->n_in);
    for (int k = 0; k < n->n_in; k++) {
        if (k > 0 && *s++ != ',') return bad(n, d, "fewer terms than operands");
        TRY(read_term(n, d, &s, rank[k], 0, &e->term[k]));
        for (int i = 0; i < e->term[k].n; i++) {
            seen[e->term[k].label[i]] = 1;
            int l = e->term[k].label[i];
            if (l >= LETTERS && LABELS - l > hidden) hidden = LABELS - l;
        }
    }
    e->n = n->n_in;
    if (*s == 0) return implied_result(n, d, e);
    if (s[0] != '-' || s[1] != '>') return bad(n, d, "more terms than operands");
    s += 2;
    TRY(read_term(n, d, &s, -1, hidden, &e->out));
    if (*s) return bad(n, d, "text behind the result");
    for (int i = 0; i < e->out.n; i++) {
        if (seen[e->out.label[i]] != 1)
            return bad(n, d, "an axis of the result that is unknown or repeated");
        seen[e->out.label[i]] = 2;
    }
    return OK;
}

/* Extents of all labels from the operands' dims. */
static Status label_dims(const Node *n, Diag *d, DimTable *t, const Einsum *e, Dim *dims)
{
    for (int l = 0; l < LABELS; l++)
        dims[l] = NULL;
    for (int k = 0; k < e->n; k++)
        for (int i = 0; i < e->term[k].n; i++) {
            Dim own = in_type(n, k)->dim[i], *known = &dims[e->term[k].label[i]];
            if (!*known || dim_is(*known, 1)) {
                *known = own;
                continue;
            }
            if (!dim_is(own, 1) && dim_distinct(t, *known, own))
                return bad(n, d, "axes of one name and different extents");
            if (dim_is_const(own) && !dim_is(own, 1))
                *known = own;
            else if (e->term[k].label[i] >= LETTERS && !dim_is(own, 1) && own->lo <= 1 &&
                     (*known)->lo <= 1 && own != *known)
                *known = infer_larger_or_none(t, *known, own);
        }
    return OK;
}

static Status einsum_of_node(const Node *n, Diag *d, Einsum *e)
{
    int rank[OPERANDS_MAX];

    for (int k = 0; k < n->n_in && k < OPERANDS_MAX; k++)
        rank[k] = in_type(n, k)->rank;
    return einsum_read(n, d, rank, e);
}

static Status infer_einsum(Infer *cx, Node *n)
{
    Einsum e;
    Dim of[LABELS], dims[MAX_RANK];

    for (int k = 0; k < n->n_in; k++)
        TRY(infer_ranked(cx, n, k));
    TRY(einsum_of_node(n, cx->diag, &e));
    TRY(label_dims(n, cx->diag, &cx->module->dims, &e, of));
    for (int i = 0; i < e.out.n; i++)
        dims[i] = of[e.out.label[i]];
    infer_out(cx, n, 0, in_type(n, 0)->dtype, e.out.n, dims);
    return OK;
}

/* ---- evaluation: all points of all labels, the result's first ---- */

typedef struct Points {
    int n;
    int at[LABELS]; /* label -> position, -1: not there */
    int64_t extent[LABELS];
} Points;

static Status eval_points(Eval *cx, const Node *n, const Einsum *e, const Tensor *const *in,
                          Points *p)
{
    p->n = 0;
    for (int l = 0; l < LABELS; l++)
        p->at[l] = -1;
    for (int i = 0; i < e->out.n; i++) {
        p->at[e->out.label[i]] = p->n;
        p->extent[p->n++] = 1;
    }
    for (int k = 0; k < e->n; k++)
        for (int i = 0; i < e->term[k].n; i++) {
            int *at = &p->at[e->term[k].label[i]];
            int64_t own = in[k]->dim[i];
            if (*at < 0) {
                *at = p->n;
                p->extent[p->n++] = 1;
            }
            if (p->extent[*at] == 1) p->extent[*at] = own;
            if (own != 1 && own != p->extent[*at])
                return bad(n, cx->diag, "axes of one name and different extents");
        }
    return OK;
}

static int64_t operand_offset(const Points *p, const Term *t, const Tensor *x, const int64_t *index)
{
    int64_t at = 0;

    for (int i = 0; i < t->n; i++)
        at = at * x->dim[i] + (x->dim[i] == 1 ? 0 : index[p->at[t->label[i]]]);
    return at;
}

static Status eval_einsum(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int rank[OPERANDS_MAX];
    int64_t index[LABELS] = {0}, inner = 1;
    bool floats = dtype_is_float(in[0]->dtype);
    Einsum e;
    Points p;

    for (int k = 0; k < n->n_in && k < OPERANDS_MAX; k++)
        rank[k] = in[k]->rank;
    TRY(einsum_read(n, cx->diag, rank, &e));
    TRY(eval_points(cx, n, &e, in, &p));
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, e.out.n, p.extent));
    for (int i = e.out.n; i < p.n; i++)
        inner *= p.extent[i];
    for (int64_t o = 0; o < out[0]->count; o++) {
        double sum = 0;
        uint64_t isum = 0;
        for (int64_t r = 0; r < inner; r++, eval_next(p.n, p.extent, index)) {
            double v = 1;
            uint64_t w = 1;
            for (int k = 0; k < e.n; k++) {
                int64_t at = operand_offset(&p, &e.term[k], in[k], index);
                if (floats)
                    v *= tensor_double(in[k], at);
                else
                    w *= (uint64_t)tensor_int(in[k], at);
            }
            sum += v;
            isum += w;
        }
        if (floats)
            tensor_set_double(out[0], o, sum);
        else
            tensor_set_int(out[0], o, (int64_t)isum);
    }
    return OK;
}

/* ---- lowering ---- */

typedef struct Part {
    Value *value;
    Term term;
} Part;

static bool has_label(const Term *t, int label)
{
    for (int i = 0; i < t->n; i++)
        if (t->label[i] == label) return true;
    return false;
}

static void add_label(Term *t, int label)
{
    if (!has_label(t, label) && t->n < MAX_RANK) t->label[t->n++] = label;
}

/* LOAD of a part, where label l is loop index at[l]. */
static const Sx *part_at(Build *b, int src, const Part *p, const int *at, const Dim *of)
{
    const Sx *idx[MAX_RANK];

    for (int i = 0; i < p->term.n; i++) {
        int label = p->term.label[i];
        idx[i] = sx_index_or_one(b, p->value->type.dim[i], of[label], sx_index(b->sx, at[label]));
    }
    return sx_at(b, src, p->value, idx);
}

/* The sum over all labels of x and y that `keep` lacks; y NULL: of x alone. */
static Value *contract(Build *b, const Part *x, const Part *y, const Term *keep, const Dim *of,
                       DType out)
{
    int at[LABELS], n = 0;
    Dim dims[MAX_RANK], reduce[2 * MAX_RANK];
    Term sum = {0};
    Value *in[2] = {x->value, y ? y->value : NULL};
    bool columns = false;
    DType acc = dot_dtype(x->value->type.dtype);
    Dot d = {.label = "einsum", .n_in = y ? 2 : 1, .in = in, .dims = dims, .reduce = reduce};

    for (int i = 0; i < keep->n; i++) {
        at[keep->label[i]] = n;
        dims[n++] = of[keep->label[i]];
        columns |= y && has_label(&y->term, keep->label[i]) && !has_label(&x->term, keep->label[i]);
    }
    for (int i = 0; i < x->term.n; i++)
        if (!has_label(keep, x->term.label[i])) add_label(&sum, x->term.label[i]);
    for (int i = 0; y && i < y->term.n; i++)
        if (!has_label(keep, y->term.label[i])) add_label(&sum, y->term.label[i]);
    for (int i = 0; i < sum.n; i++) {
        at[sum.label[i]] = n++;
        reduce[i] = of[sum.label[i]];
    }
    d.rank = keep->n;
    d.n_reduce = sum.n;
    d.a = part_at(b, 0, x, at, of);
    if (y) d.b = part_at(b, 1, y, at, of);
    d.out = out;
    d.lanes = !columns;
    if (y && sum.n > 0) return build_dot(b, &d);
    const Sx *v = sx_cast(b->sx, d.a, acc);
    if (y) v = sx_mul(b->sx, v, sx_cast(b->sx, d.b, acc));
    if (sum.n == 0)
        return build_map(b, "einsum", d.n_in, in, out, d.rank, dims, sx_cast(b->sx, v, out));
    Acc a = {.monoid = MONOID_SUM, .dtype = acc, .body = v};
    return build_reduce(b, "einsum", d.n_in, in, d.rank, dims, sum.n, reduce, ORDER_CHAIN, a, out,
                        NULL);
}

/* Labels of x that are needed outside of it: in the result, or in an operand but `self`. */
static Term needed_labels(const Part *x, const Part *part, int n, int self, const Term *out)
{
    Term t = {0};

    for (int i = 0; i < x->term.n; i++) {
        bool needed = has_label(out, x->term.label[i]);
        for (int k = 0; k < n; k++)
            needed |= k != self && part[k].value && has_label(&part[k].term, x->term.label[i]);
        if (needed) add_label(&t, x->term.label[i]);
    }
    return t;
}

static Status lower_einsum(Build *b, const Node *n, Value **out)
{
    Einsum e;
    Dim of[LABELS];
    Part part[OPERANDS_MAX];
    DType type = in_type(n, 0)->dtype, wide = dot_dtype(type);

    TRY(einsum_of_node(n, b->diag, &e));
    TRY(label_dims(n, b->diag, b->dims, &e, of));
    for (int k = 0; k < e.n; k++)
        part[k] = (Part){n->in[k], e.term[k]};
    for (int k = 0; k < e.n && e.n > 1 && b->status == OK; k++) { /* sums within one operand */
        Term keep = needed_labels(&part[k], part, e.n, k, &e.out);
        if (keep.n == part[k].term.n) continue;
        part[k].value = contract(b, &part[k], NULL, &keep, of, wide);
        part[k].term = keep;
    }
    for (int k = 1; k + 1 < e.n && b->status == OK; k++) {
        Part both = {NULL, part[0].term};
        Term keep;
        for (int i = 0; i < part[k].term.n; i++)
            if (!has_label(&both.term, part[k].term.label[i])) {
                if (both.term.n == MAX_RANK)
                    return op_unsupported(n, b->diag, "a product of too many axes");
                add_label(&both.term, part[k].term.label[i]);
            }
        Part left = part[0];
        part[0].value = NULL;
        Part right = part[k];
        part[k].value = NULL;
        keep = needed_labels(&both, part, e.n, -1, &e.out);
        part[0].value = contract(b, &left, &right, &keep, of, wide);
        part[0].term = keep;
    }
    if (b->status != OK) return b->status;
    out[0] = contract(b, &part[0], e.n > 1 ? &part[e.n - 1] : NULL, &e.out, of, type);
    return b->status;
}

const OpDef einsum_ops[] = {
    {.name = "Einsum",
     .since = 28,
     .about = "sums of products over named axes",
     .in = (const PortDef[]){{"Inputs", T_NUMBER, "T", .variadic = true}, {0}},
     ROW_OUT({"Output", T_NUMBER, "T"}),
     ROW_ATTRS(ATTR_REQ("equation", ATTR_STRING)),
     .traits = OP_PURE,
     .infer = infer_einsum,
     .eval = eval_einsum,
     .lower = lower_einsum},
    {0},
};
