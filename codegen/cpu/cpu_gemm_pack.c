/* cpu_gemm_pack.c: constant operands into the layout that tiles stream, while compiling; what each
 * run packs is in cpu_gemm_copy.c.
 *
 *     A: panels of rows, [k][row]; panel p of rows [m, m + r) starts at element m * K
 *     B: panels of nr columns, [k][column]; the last one has eights of columns,
 *     filled with zeros, and what its last vector reads beyond them belongs to the next k
 *
 * Plain loads are packed by copies, when the weights are written; all else by the reference
 * evaluation of the scalar expression. */
#include "codegen/cpu/cpu_gemm_impl.h"

#include <string.h>

#include "ir/op.h"

typedef struct Constant {
    const Node *node;
    bool floats; /* then weights of 8 bits and less stay what they are: unpacked by each run */
    bool yes;
} Constant;

static void only_constants(void *context, const Sx *e)
{
    Constant *c = context;

    if (e->op == SX_DIM || e->op == SX_ACC || e->op == SX_CHECK) c->yes = false;
    if (e->op == SX_LOAD && (e->src < 0 || !c->node->in[e->src]->data)) c->yes = false;
    if (e->op == SX_LOAD && c->floats && dtype_bits(e->dtype) <= 8) c->yes = false;
}

bool gemm_constant(const CpuGemm *g, int side)
{
    Constant c = {g->nest->node, !g->bytes, true};

    for (int i = 0; i < g->n_index; i++) {
        bool used = sx_uses_index(&g->nest->module->sx, gemm_side(g, side), i);
        if ((used || g->group[i] == SET_K) && !dim_is_const(g->extent[i])) return false;
    }
    sx_visit(&g->nest->module->sx, gemm_side(g, side), only_constants, &c);
    return c.yes;
}

static uint64_t load_constant(void *context, const Sx *e, const int64_t *idx)
{
    const Node *n = context;
    const Tensor *t = n->in[e->src]->data;
    int64_t at = 0;

    for (int i = 0; i < e->n - (e->guarded ? 1 : 0); i++)
        at = e->flat ? idx[0] : at * t->dim[i] + idx[i];
    if (at < 0 || at >= t->count) return 0;
    return dtype_is_int(t->dtype) ? (uint64_t)dtype_load_int(t->dtype, tensor_at(t, at))
                                  : dtype_load_bits(t->dtype, tensor_at(t, at));
}

/* What to pack. Plain: a load of constant strides, or one widened to f32; no evaluation needed, and
 * so cheap that it is done when the weights are written. */
typedef struct Reader {
    const CpuGemm *g;
    int side;
    const Sx *e;
    int64_t index[NEST_INDICES];
    const Tensor *plain, *plain_low; /* low NULL: there is none to add */
    int64_t base, stride[NEST_INDICES];
    int64_t copies, size; /* elements of each */
} Reader;

/* The load that a plain reader copies, or NULL; *low: the one that it adds to that, or NULL. */
static const Sx *plain_load(SxTable *t, const Sx *e, const Sx **low)
{
    const Sx *widened[AMX_PARTS];
    DType d;

    *low = NULL;
    if (gemm_widened_loads(t, e, widened)) {
        *low = widened[1];
        return widened[0];
    }
    if (e->op == SX_CAST && e->dtype == DT_F32) e = e->arg[0];
    d = e->dtype;
    if (e->op != SX_LOAD || e->guarded) return NULL;
    return d == DT_F32 || d == DT_F16 || d == DT_BF16 ? e : NULL;
}

static void reader_start(Reader *r, const CpuGemm *g, int side)
{
    const NestStage *s = &g->nest->stage[side];
    const Sx *low, *load = plain_load(&g->nest->module->sx, s->value[0], &low);
    const Affine *x = load ? map_get(&s->address, load) : NULL;

    *r = (Reader){.g = g, .side = side, .e = s->value[0]};
    if (!x || x->n_term || !dim_is_const(x->base)) return;
    if (low && !gemm_lie_alike(g, side, load, low)) return;
    for (int i = 0; i < g->n_index; i++) {
        if (x->coef[i] && !dim_is_const(x->coef[i])) return;
        r->stride[i] = x->coef[i] ? x->coef[i]->value : 0;
    }
    r->base = x->base->value;
    r->plain = g->nest->node->in[load->src]->data;
    r->plain_low = low ? g->nest->node->in[low->src]->data : NULL;
}

static float read_one(Reader *r)
{
    SxEnv env = {
        .index = r->index, .load = load_constant, .context = (void *)(uintptr_t)r->g->nest->node};
    uint32_t bits = (uint32_t)sx_eval(&r->g->nest->module->sx, r->e, &env);
    float v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Indices of `set` (of those in mask) from a row-major number within it. */
static void set_indices(Reader *r, int set, uint32_t mask, int64_t flat)
{
    for (int i = r->g->n_index - 1; i >= 0; i--) {
        if (r->g->group[i] != set || !(mask >> i & 1)) continue;
        r->index[i] = flat % r->g->extent[i]->value;
        flat /= r->g->extent[i]->value;
    }
}

/* What the indices of `set` add to the place of an element, for n of its points from `first` on. */
static void set_offsets(Reader *r, int set, int64_t first, int64_t n, int64_t *out)
{
    int64_t at = 0;

    set_indices(r, set, UINT32_MAX, first);
    for (int i = 0; i < r->g->n_index; i++)
        if (r->g->group[i] == set) at += r->index[i] * r->stride[i];
    for (int64_t k = 0; k < n; k++) {
        out[k] = at;
        for (int i = r->g->n_index - 1; i >= 0; i--) { /* one further */
            if (r->g->group[i] != set) continue;
            at += r->stride[i];
            if (++r->index[i] < r->g->extent[i]->value) break;
            at -= r->stride[i] * r->index[i];
            r->index[i] = 0;
        }
    }
}

static int64_t height_at(const CpuGemm *g, int64_t m, int64_t M)
{
    int64_t rows;

    if (g->tall >= 0) return m < g->tall * g->rows[0] ? g->rows[0] : g->rows[g->n_rows - 1];
    for (int i = 0; i < g->n_rows; i++) {
        rows = g->rows[i];
        if (M - m >= rows) return rows;
    }
    return 1;
}

/* One panel, [k][line], of `lines` rows or columns, `width` apart: a block of k after the other. */
enum { K_BLOCK = 512, LINES = 64, EIGHT = 8 };

static void panel_of_f32(const char *from, int64_t K, const int64_t *k, int64_t lines,
                         const int64_t *line, int64_t width, float *to)
{
    for (int64_t i = 0; i < K; i++)
        for (int64_t j = 0; j < lines; j++)
            memcpy(&to[i * width + j], from + (k[i] + line[j]) * 4, 4);
}

static void panel_of_any(const Reader *r, int64_t base, int64_t K, const int64_t *k, int64_t lines,
                         const int64_t *line, int64_t width, float *to)
{
    for (int64_t i = 0; i < K; i++)
        for (int64_t j = 0; j < lines; j++) {
            double v = tensor_double(r->plain, base + k[i] + line[j]);
            if (r->plain_low) v += tensor_double(r->plain_low, base + k[i] + line[j]);
            to[i * width + j] = (float)v;
        }
}

static void pack_plain(Reader *r, int set, int64_t first, int64_t lines, int64_t width, float *to)
{
    int64_t k[K_BLOCK], line[LINES], K = r->g->size_k->value, base = r->base, n;
    int unit = r->g->pairs ? 2 : 1;

    for (int i = 0; i < r->g->n_index; i++)
        if (r->g->group[i] == SET_O) base += r->index[i] * r->stride[i];
    for (int64_t k0 = 0; k0 < K; k0 += n) {
        n = K - k0 < K_BLOCK / unit ? K - k0 : K_BLOCK / unit;
        set_offsets(r, SET_K, k0 * unit, n * unit, k);
        for (int64_t l = 0, m; l < lines; l += m) {
            m = lines - l < LINES ? lines - l : LINES;
            set_offsets(r, set, first + l, m, line);
            if (r->g->pairs)
                gemm_pack_pairs(r->plain, base, n, k, m, line, width, to + k0 * width + l);
            else if (r->plain->dtype == DT_F32)
                panel_of_f32((const char *)r->plain->data + base * 4, n, k, m, line, width,
                             to + k0 * width + l);
            else
                panel_of_any(r, base, n, k, m, line, width, to + k0 * width + l);
        }
    }
}

static void pack_evaluated(Reader *r, int set, int64_t first, int64_t lines, int64_t width,
                           float *to)
{
    for (int64_t k = 0; k < r->g->size_k->value; k++) {
        set_indices(r, SET_K, UINT32_MAX, k);
        for (int64_t j = 0; j < lines; j++) {
            set_indices(r, set, UINT32_MAX, first + j);
            to[k * width + j] = read_one(r);
        }
    }
}

static void pack_panel(Reader *r, int set, int64_t first, int64_t lines, int64_t width, float *to)
{
    if (lines < width) memset(to, 0, (size_t)(width * r->g->size_k->value) * sizeof *to);
    (r->plain ? pack_plain : pack_evaluated)(r, set, first, lines, width, to);
}

static void pack_rows(Reader *r, float *to)
{
    int64_t M = r->g->size_m->value, K = r->g->size_k->value;

    for (int64_t m = 0, rows; m < M; m += rows) {
        rows = height_at(r->g, m, M);
        pack_panel(r, SET_M, m, rows, rows, to + m * K);
    }
}

int64_t gemm_last_width(const CpuGemm *g)
{
    int64_t left = g->size_n->value % g->nr;

    return left ? (left + EIGHT - 1) / EIGHT * EIGHT : g->nr;
}

static void pack_columns(Reader *r, float *to)
{
    int64_t N = r->g->size_n->value, K = r->g->size_k->value, nr = r->g->nr, c = 0;

    for (; c + nr <= N; c += nr)
        pack_panel(r, SET_N, c, nr, nr, to + c * K);
    if (c < N) pack_panel(r, SET_N, c, N - c, gemm_last_width(r->g), to + c * K);
}

static void fill_pack(const void *context, void *to)
{
    Reader r = *(const Reader *)context;
    const GemmSide *s = r.side == STAGE_A ? &r.g->a : &r.g->b;

    for (int64_t c = 0; c < r.copies; c++) {
        set_indices(&r, SET_O, s->uses, c);
        (r.side == STAGE_A ? pack_rows : pack_columns)(&r, (float *)to + c * r.size);
    }
}

static Status no_memory(const CpuGemm *g, Diag *d)
{
    return diag(d, ERR_LIMIT, node_where(g->nest->node), "no memory for packed weights");
}

/* Bytes of all copies; false when there are too many. Behind the last k of a narrow panel a vector
 * may follow. */
static bool pack_bytes(const CpuGemm *g, Reader *r, size_t *bytes)
{
    int64_t K = g->size_k->value, lines = g->size_m->value, all, beyond = 0;

    if (r->side != STAGE_A) {
        lines = g->size_n->value / g->nr * g->nr;
        if (lines < g->size_n->value) {
            lines += gemm_last_width(g);
            if (lines % g->lanes) beyond = g->lanes;
        }
    }
    return !__builtin_mul_overflow(lines, K, &r->size) &&
           !__builtin_add_overflow(r->size, beyond, &r->size) &&
           !__builtin_mul_overflow(r->size, r->copies, &all) &&
           !__builtin_mul_overflow((size_t)all, sizeof(float), bytes);
}

Status gemm_pack_constant(CpuGemm *g, int side, Diag *d)
{
    GemmSide *s = side == STAGE_A ? &g->a : &g->b;
    KernelAbi *abi = &g->nest->abi;
    Reader *r = ARENA_NEW(g->nest->arena, Reader);
    WeightBytes b = {.fill = fill_pack, .context = r};

    reader_start(r, g, side);
    r->copies = 1;
    for (int i = 0; i < g->n_index; i++)
        if (s->uses >> i & 1) r->copies *= g->extent[i]->value;
    if (!pack_bytes(g, r, &b.size)) return no_memory(g, d);
    s->size = dim_const(&g->nest->module->dims, r->size);
    if (!r->plain && b.size) { /* costs more than a copy: done once */
        b.data = weights_bytes(&b, g->nest->arena);
        if (!b.data) return no_memory(g, d);
    }
    s->pack = abi->n_pack;
    WeightBytes *pack = ARENA_ARRAY(g->nest->arena, WeightBytes, abi->n_pack + 1);
    if (abi->n_pack) memcpy(pack, abi->pack, sizeof *pack * (size_t)abi->n_pack);
    pack[abi->n_pack++] = b;
    abi->pack = pack;
    return OK;
}
