/* cpu_gemm_pack.c: operands into the layout that tiles stream.
 *
 *     A: panels of rows, [k][row]; panel p of rows [m, m + r) starts at element m * K
 *     B while compiling: panels of nr columns, [k][column]; the last one has eights of columns,
 *     filled with zeros, and what its last vector reads beyond them belongs to the next k
 *     B at run time: one block of columns, [k][pitch]
 *     A at run time: [row][a_pitch] where k is contiguous in memory and known, else panels as above
 *
 * Constants are packed while compiling: plain loads by copies, when the weights are written; all
 * else by the reference evaluation of the scalar expression. At run time the expression itself is
 * emitted: padding, conversion, transposition cost nothing more. */
#include "codegen/cpu/cpu_gemm_impl.h"

#include <string.h>

#include "ir/op.h"

enum { ROWS_AT_ONCE = 192 }; /* of A that lie along a row of memory: most of a page */

/* ---- while compiling ---- */

static const Sx *side_value(const CpuGemm *g, int side)
{
    return g->nest->stage[side].value[0];
}

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
        bool used = sx_uses_index(&g->nest->module->sx, side_value(g, side), i);
        if ((used || g->group[i] == SET_K) && !dim_is_const(g->extent[i])) return false;
    }
    sx_visit(&g->nest->module->sx, side_value(g, side), only_constants, &c);
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

/* ---- at run time ---- */

/* Loops of a stage that belong to a set, in order of nesting (row-major). */
static int loops_of(const CpuGemm *g, int side, int set, int *out)
{
    const NestStage *s = &g->nest->stage[side];
    int n = 0;

    for (int i = 0; i < g->n_index; i++)
        if (g->group[i] == set && s->loop_of[i] >= 0 && s->loop[s->loop_of[i]].last == i)
            out[n++] = s->loop_of[i];
    return n;
}

typedef struct Packing {
    CpuFn *f;
    const CpuGemm *g;
    int side;
    LLVMValueRef to, first, last; /* columns of the block */
    int k[NEST_INDICES], n_k;     /* loops of the side's stage */
    int n[NEST_INDICES], n_n;
    LLVMValueRef m0, rows; /* of a panel */
    int n_rows;
} Packing;

static void at_loop(CpuFn *f, int l, LLVMValueRef v)
{
    f->loop_value[l] = v;
    f->loop_level[l] = f->level;
    cpu_restamp(f);
}

static void store_lanes(CpuFn *f, LLVMValueRef p, LLVMValueRef v, LLVMValueRef mask)
{
    if (mask) {
        LLVMTypeRef types[] = {LLVMTypeOf(v), f->m->ptr};
        LLVMValueRef args[] = {v, p, cpu_i32(f->m, 4), mask};
        cpu_intrinsic(f->m, "llvm.masked.store", 2, types, 4, args);
    } else {
        LLVMSetAlignment(LLVMBuildStore(f->b, v, p), 4);
    }
}

static LLVMValueRef lanes_value(Packing *p)
{
    const Sx *e = side_value(p->g, p->side);

    return p->f->lanes > 1 ? cpu_vector(p->f, e, 0) : cpu_value(p->f, e, 0);
}

/* The work at one chunk of lanes; `at` is the place of the chunk's first element within its row. */
typedef void (*ChunkBody)(Packing *p, LLVMValueRef at);

/* Chunks of `lanes` points of loop l from `from` on, masked at `to`; element i goes to row + i. */
static void chunks(Packing *p, int l, LLVMValueRef from, LLVMValueRef to, int lanes, bool masked,
                   LLVMValueRef row, ChunkBody body)
{
    CpuFn *f = p->f;
    CpuLoop loop = cpu_loop_open(f, from, to, lanes, 0, NULL);

    f->vec = lanes > 1 ? l : -1;
    f->lanes = lanes;
    f->unroll = f->active = 1;
    at_loop(f, l, loop.index);
    cpu_at(f, f->level);
    if (masked) f->mask[0] = cpu_lane_limit(f, LLVMBuildSub(f->b, to, loop.index, ""));
    body(p, gemm_add(f, row, loop.index));
    f->mask[0] = NULL;
    cpu_loop_close(f, &loop, NULL);
    f->vec = -1;
    f->lanes = 1;
}

static bool shorter_than(const CpuFn *f, int l, int lanes)
{
    Dim e = f->s->loop[l].extent;

    return dim_is_const(e) && e->value < lanes;
}

static void span(Packing *p, int l, LLVMValueRef from, LLVMValueRef to, LLVMValueRef row,
                 ChunkBody body)
{
    CpuFn *f = p->f;
    int lanes = p->g->lanes;
    bool masks = cpu_can_mask(f);
    LLVMValueRef whole = from;

    if (!shorter_than(f, l, lanes)) {
        cpu_at(f, f->level);
        whole = LLVMBuildSub(f->b, to, from, "");
        whole = LLVMBuildAnd(f->b, whole, cpu_i64(f->m, -(int64_t)lanes), "");
        whole = gemm_add(f, from, whole);
        chunks(p, l, from, whole, lanes, false, row, body);
    }
    chunks(p, l, whole, to, masks ? lanes : 1, masks, row, body);
}

/* The loops over k, the last one outermost: what a guard asks of the window's last index is then
 * known outside of the long loop over channels. `at` grows by each loop's step. */
static void over_k(Packing *p, int i, LLVMValueRef at, int64_t unit, ChunkBody body)
{
    CpuFn *f = p->f;
    LLVMValueRef extent, step = cpu_i64(f->m, unit);
    CpuLoop l;

    if (i < 0) {
        body(p, at);
        return;
    }
    extent = cpu_dim(f, f->s->loop[p->k[i]].extent);
    for (int j = i + 1; j < p->n_k; j++) {
        LLVMValueRef inner = cpu_dim(f, f->s->loop[p->k[j]].extent);
        cpu_at(f, f->level);
        step = gemm_mul(f, step, inner);
    }
    l = cpu_loop_open(f, cpu_i64(f->m, 0), extent, 1, 0, NULL);
    at_loop(f, p->k[i], l.index);
    cpu_at(f, f->level);
    at = gemm_add(f, at, gemm_mul(f, l.index, step));
    over_k(p, i - 1, at, unit, body);
    cpu_loop_close(f, &l, NULL);
}

/* ---- columns: element (k, c) goes to k * pitch + c - first ---- */

static void store_chunk(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;
    LLVMValueRef v = lanes_value(p);

    cpu_at(f, f->level);
    store_lanes(f, gemm_float_at(f, p->to, at), v, f->mask[0]);
}

static void chunk_over_k(Packing *p, LLVMValueRef at)
{
    over_k(p, p->n_k - 1, at, p->g->pitch, store_chunk);
}

static LLVMValueRef smax(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return cpu_call2(f, "llvm.smax", a, b);
}

static LLVMValueRef smin(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return cpu_call2(f, "llvm.smin", a, b);
}

/* The loops outside of the innermost one stand at row `r` of the plane that the columns are. */
static void place_row(Packing *p, LLVMValueRef r)
{
    CpuFn *f = p->f;
    const NestStage *s = f->s;

    for (int i = p->n_n - 2; i >= 0; i--) {
        LLVMValueRef v = r, extent;
        if (i > 0) {
            extent = cpu_dim(f, s->loop[p->n[i]].extent);
            cpu_at(f, f->level);
            v = LLVMBuildURem(f->b, r, extent, "");
            r = LLVMBuildUDiv(f->b, r, extent, "");
        }
        at_loop(f, p->n[i], v);
    }
}

/* Columns that are points of several loops: row after row, the lanes within a row. */
static void pack_rows_of_plane(Packing *p)
{
    CpuFn *f = p->f;
    int l = p->n[p->n_n - 1];
    LLVMValueRef width = cpu_dim(f, f->s->loop[l].extent), r0, r1, start, from, to;
    CpuLoop rows;

    cpu_at(f, f->level);
    r0 = LLVMBuildUDiv(f->b, p->first, width, "");
    r1 = LLVMBuildUDiv(f->b, LLVMBuildSub(f->b, p->last, cpu_i64(f->m, 1), ""), width, "");
    rows = cpu_loop_open(f, r0, gemm_add(f, r1, cpu_i64(f->m, 1)), 1, 0, NULL);
    place_row(p, rows.index);
    cpu_at(f, f->level);
    start = gemm_mul(f, rows.index, width);
    from = smax(f, LLVMBuildSub(f->b, p->first, start, ""), cpu_i64(f->m, 0));
    to = smin(f, LLVMBuildSub(f->b, p->last, start, ""), width);
    span(p, l, from, to, LLVMBuildSub(f->b, start, p->first, ""), chunk_over_k);
    cpu_loop_close(f, &rows, NULL);
}

/* Columns that are one loop: k after k, since each k is contiguous. */
static void pack_line(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;

    cpu_at(f, f->level);
    span(p, p->n[0], p->first, p->last, LLVMBuildSub(f->b, at, p->first, ""), store_chunk);
}

/* Rows or columns, `set` of a side, that are one loop, contiguous along the innermost k: tiles,
 * transposed. */
static bool are_turned(const CpuGemm *g, int side, int set)
{
    const NestStage *s = &g->nest->stage[side];
    int k[NEST_INDICES], n[NEST_INDICES], n_k = loops_of(g, side, SET_K, k);
    size_t i = 0;
    const void *key;
    void *affine;

    if (loops_of(g, side, set, n) != 1 || n_k < 1) return false;
    while (map_next(&s->address, &i, &key, &affine)) {
        if (nest_transposes(s, key, n[0], k[n_k - 1])) return true;
    }
    return false;
}

bool gemm_columns_are_turned(const CpuGemm *g)
{
    return are_turned(g, STAGE_B, SET_N);
}

static bool packs_tiles(Packing *p, CpuTileLoops *x)
{
    if (!are_turned(p->g, p->side, p->side == STAGE_A ? SET_M : SET_N)) return false;
    if (!cpu_can_mask(p->f)) return false;
    *x = (CpuTileLoops){.v = p->n[0], .w = p->k[p->n_k - 1], .v_cut = true, .rows_first = true};
    return cpu_tiles_fit(p->f, x);
}

/* A place in the block or panel: the row of k that tiles begin at. */
typedef struct TilePlace {
    Packing *p;
    LLVMValueRef at, pitch; /* from one k to the next */
    int w;
} TilePlace;

static void store_column(CpuFn *f, void *context, LLVMValueRef column)
{
    const TilePlace *x = context;
    LLVMValueRef k = f->loop_value[x->w], at;

    (void)column;
    cpu_at(f, f->level);
    at = gemm_add(f, x->at, gemm_mul(f, k, x->pitch));
    at = gemm_add(f, at, LLVMBuildSub(f->b, f->loop_value[x->p->n[0]], x->p->first, ""));
    store_chunk(x->p, at);
}

static void pack_tiles(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;
    TilePlace place = {.p = p, .at = at, .w = p->k[p->n_k - 1]};
    CpuTileLoops x;

    if (!packs_tiles(p, &x)) return;
    place.pitch = p->side == STAGE_A ? p->rows : cpu_i64(f->m, p->g->pitch);
    x.v_from = p->first;
    x.v_to = p->last;
    x.w_from = cpu_i64(f->m, 0);
    x.w_to = cpu_dim(f, f->s->loop[x.w].extent);
    x.point = store_column;
    x.context = &place;
    cpu_tiles(f, &x);
}

/* All of k but the innermost, where that is part of tiles. */
static void tiles_over_k(Packing *p, int64_t pitch)
{
    over_k(p, p->n_k - 2, cpu_i64(p->f->m, 0), pitch, pack_tiles);
}

/* What tiles read behind the last column must be a number, or it may be slow. */
static void zero_rest(Packing *p)
{
    CpuFn *f = p->f;
    int64_t nr = p->g->nr;
    LLVMValueRef n, end, k = cpu_dim(f, p->g->size_k), at;
    CpuLoop over, l;

    if (dim_is_const(p->g->size_n) && p->g->size_n->value % nr == 0) return;
    cpu_at(f, f->level);
    n = LLVMBuildSub(f->b, p->last, p->first, "");
    end = LLVMBuildUDiv(f->b, gemm_add(f, n, cpu_i64(f->m, nr - 1)), cpu_i64(f->m, nr), "");
    end = gemm_mul(f, end, cpu_i64(f->m, nr));
    over = cpu_loop_open(f, cpu_i64(f->m, 0), k, 1, 0, NULL);
    cpu_at(f, f->level);
    at = gemm_mul(f, over.index, cpu_i64(f->m, p->g->pitch));
    l = cpu_loop_open(f, n, end, 1, 0, NULL);
    cpu_at(f, f->level);
    LLVMBuildStore(f->b, LLVMConstNull(f->element),
                   gemm_float_at(f, p->to, gemm_add(f, at, l.index)));
    cpu_loop_close(f, &l, NULL);
    cpu_loop_close(f, &over, NULL);
}

void gemm_emit_pack_b(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef n0, LLVMValueRef n1)
{
    Packing p = {.f = f, .g = g, .side = STAGE_B, .to = to, .first = n0, .last = n1};

    CpuTileLoops x;

    p.n_k = loops_of(g, STAGE_B, SET_K, p.k);
    p.n_n = loops_of(g, STAGE_B, SET_N, p.n);
    if (packs_tiles(&p, &x))
        tiles_over_k(&p, g->pitch);
    else if (p.n_n == 0)
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), g->pitch, store_chunk);
    else if (p.n_n == 1)
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), g->pitch, pack_line);
    else
        pack_rows_of_plane(&p);
    zero_rest(&p);
}

/* ---- rows ---- */

/* As [row][k], lanes along the innermost k: what lies row after row in memory stays so. */
static void row_of_k(Packing *p, LLVMValueRef at)
{
    int l = p->k[p->n_k - 1];
    LLVMValueRef extent = cpu_dim(p->f, p->f->s->loop[l].extent);

    span(p, l, cpu_i64(p->f->m, 0), extent, at, store_chunk);
}

static void pack_as_rows(Packing *p)
{
    CpuFn *f = p->f;
    CpuLoop l = cpu_loop_open(f, cpu_i64(f->m, 0), p->rows, 1, 0, NULL);
    LLVMValueRef at;

    cpu_at(f, f->level);
    gemm_place(f, p->g, STAGE_A, SET_M, gemm_add(f, p->m0, l.index));
    cpu_at(f, f->level);
    at = gemm_mul(f, l.index, cpu_i64(f->m, p->g->a_pitch));
    over_k(p, p->n_k - 2, at, 1, row_of_k);
    cpu_loop_close(f, &l, NULL);
}

/* As a panel [k][row], one element after the other. */
static void rows_of_k(Packing *p, LLVMValueRef k)
{
    CpuFn *f = p->f;
    CpuLoop l = cpu_loop_open(f, cpu_i64(f->m, 0), p->rows, 1, 0, NULL);
    LLVMValueRef v, at;

    cpu_at(f, f->level);
    gemm_place(f, p->g, STAGE_A, SET_M, gemm_add(f, p->m0, l.index));
    v = cpu_value(f, side_value(p->g, STAGE_A), 0);
    cpu_at(f, f->level);
    at = gemm_add(f, gemm_mul(f, k, p->rows), l.index);
    store_lanes(f, gemm_float_at(f, p->to, at), v, NULL);
    cpu_loop_close(f, &l, NULL);
}

/* Whether all rows are one loop, next to each other in memory. */
static bool rows_are_lanes(Packing *p)
{
    const NestStage *s = &p->g->nest->stage[STAGE_A];
    const Sx *e = side_value(p->g, STAGE_A);
    const Affine *x = e->op == SX_LOAD && !e->guarded ? map_get(&s->address, e) : NULL;

    return x && !x->n_term && p->n_n == 1 && affine_is_coef(x, s->loop[p->n[0]].last, 1);
}

/* As panels, lanes along the rows: what is next to each other in memory is read at once. */
static void panels_of_k(Packing *p, LLVMValueRef k)
{
    CpuFn *f = p->f;
    CpuLoop l = cpu_loop_open(f, p->first, p->last, p->n_rows, 0, NULL);
    LLVMValueRef panel, at;

    cpu_at(f, f->level);
    panel = gemm_mul(f, LLVMBuildSub(f->b, l.index, p->first, ""), cpu_dim(f, p->g->size_k));
    cpu_at(f, f->level);
    at = LLVMBuildSub(f->b, gemm_add(f, panel, gemm_mul(f, k, p->rows)), l.index, "");
    span(p, p->n[0], l.index, gemm_add(f, l.index, p->rows), at, store_chunk);
    cpu_loop_close(f, &l, NULL);
}

/* One panel, lanes along the rows: what is next to each other along k in memory is turned. */
static void turned_panel(Packing *p)
{
    cpu_at(p->f, p->f->level);
    p->last = gemm_add(p->f, p->m0, p->rows);
    tiles_over_k(p, p->n_rows);
}

int gemm_panels_at_once(const CpuGemm *g, int rows)
{
    Packing p = {.g = g};

    p.n_n = loops_of(g, STAGE_A, SET_M, p.n);
    return !g->a_pitch && rows_are_lanes(&p) ? (ROWS_AT_ONCE + rows - 1) / rows : 1;
}

void gemm_emit_pack_a(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef m0, LLVMValueRef m1,
                      int rows)
{
    Packing p = {.f = f, .g = g, .side = STAGE_A, .to = to, .m0 = m0, .first = m0, .last = m1};
    CpuTileLoops x;

    p.n_rows = rows;
    p.rows = cpu_i64(f->m, rows);
    p.n_k = loops_of(g, STAGE_A, SET_K, p.k);
    p.n_n = loops_of(g, STAGE_A, SET_M, p.n);
    if (g->a_pitch)
        pack_as_rows(&p);
    else if (rows_are_lanes(&p))
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), 1, panels_of_k);
    else if (rows >= g->lanes / 2 && packs_tiles(&p, &x))
        turned_panel(&p);
    else
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), 1, rows_of_k);
}
