/* bands.c: which kernels may go through their rows together, and how many rows at a time. */
#include "codegen/bands.h"

#include "codegen/plan.h"

enum {
    BAND_ROWS = 56,         /* a multiple of the heights of tiles: 14, 8, 7, 4 */
    BAND_BYTES = 768 << 10, /* of all rows between kernels: half as many rows where they are more */
    TASK_ROWS = 512,        /* packing is worth while for so many */
    PACKING = 4,            /* takes as long as so many rows */
    WORTH_A_PART = 2000,    /* elements of matrices: about 2 us */
    LEAST_BYTES = 1 << 20   /* matrices that are in the cache anyway */
};

static bool is_product(Module *m, const Node *n)
{
    Contraction c;

    return n->kernel->n_stage == 1 && kernel_contraction(&m->sx, &n->kernel->stage[0], &c);
}

/* The kernel whose only result n's operand k is, where nobody else reads that. */
static const Node *maker(const Node *n, int k)
{
    const Value *v = n->in[k];

    for (int i = 0; i < n->n_in; i++)
        if (i != k && n->in[i] == v) return NULL;
    while (v && v->uses == 1 && v->def && v->def->kind == NODE_RESHAPE)
        v = v->def->in[0];
    if (!v || v->uses != 1 || !v->def || v->def->kind != NODE_KERNEL || v->def->n_out != 1)
        return NULL;
    return v->def->parent == n->parent ? v->def : NULL;
}

/* The one before n, which reads `operand` of it. */
static const Node *before(Module *m, const Node *n, int *operand)
{
    for (int k = 0; k < n->n_in; k++) {
        const Node *x = n->in[k] ? maker(n, k) : NULL;
        const Value *v = x ? x->out[0] : NULL;
        if (!v || v->type.rank < 2 || dtype_bits(v->type.dtype) < 8) continue;
        if (is_product(m, n) && is_product(m, x)) continue;
        *operand = k;
        return x;
    }
    return NULL;
}

/* Whether the matrices are large enough, or may be. */
static bool is_large(const Value *v)
{
    return plan_bytes(v) < 0 || plan_bytes(v) >= LEAST_BYTES;
}

static int64_t rows_of_band(const Band *b)
{
    int64_t bytes = 0;

    for (int i = 0; i + 1 < b->n; i++) {
        const Value *v = b->node[i]->out[0];
        Dim columns = v->type.dim[v->type.rank - 1];
        if (plan_bytes(v) < 0 || columns->value > BAND_BYTES) return BAND_ROWS / 2;
        bytes += BAND_ROWS * columns->value * dtype_bytes(v->type.dtype);
    }
    return bytes > BAND_BYTES ? BAND_ROWS / 2 : BAND_ROWS;
}

typedef struct Search {
    Module *m;
    Arena *arena;
    Band **of;
    bool sums; /* looks for bands with sums over rows: their matrices cannot be fused away */
} Search;

/* All nodes of b, and the views between them, belong to `to`. */
static void mark(Band **of, const Band *b, Band *to)
{
    const Node *last = b->node[b->n - 1];

    of[b->node[0]->id] = to;
    for (int i = b->n - 1; i > 0; last = b->node[--i]) {
        const Value *v = last->in[b->in[i]];
        of[last->id] = to;
        for (; v->def != b->node[i - 1]; v = v->def->in[0])
            of[v->def->id] = to;
    }
}

static bool has_sums(const Band *b)
{
    for (int i = 1; i < b->n - 1; i++)
        if (b->node[i]->kernel->n_stage > 1) return true;
    return false;
}

/* From the last product back to the first. */
static Status look(void *context, Node *last)
{
    Search *s = context;
    Band b = {.n = 1}, *kept;
    const Node *n = last;

    if (n->kind != NODE_KERNEL || s->of[n->id] || !is_product(s->m, n)) return OK;
    b.node[INGOT_BAND_KERNELS - 1] = n;
    do {
        int at = INGOT_BAND_KERNELS - b.n;
        if (at == 0) return OK;
        n = before(s->m, n, &b.in[at]);
        if (!n || s->of[n->id]) return OK;
        b.node[at - 1] = n;
        b.n++;
    } while (!is_product(s->m, n));
    if (!is_large(n->out[0])) return OK;
    kept = ARENA_NEW(s->arena, Band);
    *kept = (Band){.n = b.n};
    for (int i = 0; i < b.n; i++) {
        kept->node[i] = b.node[INGOT_BAND_KERNELS - b.n + i];
        kept->in[i] = i ? b.in[INGOT_BAND_KERNELS - b.n + i] : -1;
    }
    if (has_sums(kept) != s->sums) return OK;
    kept->rows = rows_of_band(kept);
    kept->in_task = (TASK_ROWS + kept->rows - 1) / kept->rows;
    mark(s->of, kept, kept);
    return OK;
}

Status bands_find(Module *m, Arena *arena, Band ***out, Diag *d)
{
    Search s = {m, arena, arena_try(arena, (size_t)m->next_id + 1, sizeof(Band *)), true};

    if (!s.of) return diag(d, ERR_LIMIT, (Where){.file = m->file}, "out of memory");
    analysis_uses(m);
    *out = s.of;
    TRY(module_visit(m, look, &s));
    s.sums = false; /* a scaled projection in front of scores leaves them to these */
    return module_visit(m, look, &s);
}

void bands_drop(Band **of, const Band *b)
{
    mark(of, b, NULL);
}

static Dim aligned(DimTable *t, Dim bytes)
{
    return dim_mul_c(t, dim_ceil_div(t, bytes, dim_const(t, 64)), 64);
}

bool bands_measure(Module *m, Band *b, const KernelAbi *const *abi, const KernelRows *made,
                   const KernelRows *read)
{
    DimTable *t = &m->dims;
    Dim all = dim_mul(t, made[0].outer, made[0].rows), bands, scratch = dim_const(t, 0);
    int last = b->n - 1;

    b->shape = made[0];
    if (read[last].outer != made[0].outer || read[last].rows != made[0].rows) return false;
    for (int i = 0; i < last; i++) {
        const Value *v = b->node[i]->out[0];
        if (i > 0 && (made[i].rows != all || read[i].rows != all)) return false;
        if (made[i].columns != read[i + 1].columns) return false;
        b->row[i] = dim_mul_c(t, made[i].columns, dtype_bytes(v->type.dtype));
        scratch = dim_add(t, scratch, aligned(t, dim_mul_c(t, b->row[i], b->rows)));
    }
    for (int i = 0; i <= last; i++) {
        scratch = dim_add(t, scratch, aligned(t, abi[i]->scratch));
        if (abi[i]->n_in + abi[i]->n_out + abi[i]->n_pack > INGOT_BAND_POINTERS) return false;
    }
    bands = dim_ceil_div(t, b->shape.rows, dim_const(t, b->rows));
    b->scratch = scratch;
    b->grain = dim_add_c(t, dim_min(t, b->shape.rows, dim_const(t, TASK_ROWS)), PACKING);
    b->grain = dim_mul(t, b->grain, b->shape.columns);
    b->grain = dim_max(t, dim_div(t, dim_const(t, WORTH_A_PART), b->grain), dim_const(t, 1));
    b->tasks = dim_mul(t, b->shape.outer, dim_ceil_div(t, bands, dim_const(t, b->in_task)));
    return true;
}
