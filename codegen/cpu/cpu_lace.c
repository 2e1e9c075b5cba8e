/* cpu_lace.c: results of a few channels next to each other, whose operands are planes: images that
 * are brought into the order of their pixels.
 *
 *     plane 0   r0 r1 r2 r3 ...       a vector of pixels of each plane is computed,
 *     plane 1   g0 g1 g2 g3 ...       then shuffled: r0 g0 b0 r1 g1 b1 ...
 *     plane 2   b0 b1 b2 b3 ...
 *
 * With lanes along the channels, most of a vector would be empty. */
#include "codegen/cpu/cpu_emit.h"

enum { MOST_CHANNELS = 4, MOST_LANES = 16 };

/* Planes, and what is the same for all pixels. */
static bool loads_fit(const CpuFn *f, const CpuTileLoops *x)
{
    int w = f->s->loop[x->w].last;
    size_t i = 0;
    const void *key;
    void *affine;

    while (map_next(&f->s->address, &i, &key, &affine)) {
        const Affine *a = affine;
        if (((const Sx *)key)->op != SX_LOAD) continue;
        if (a->n_term) return false;
        if (a->coef[w] && !affine_is_coef(a, w, 1)) return false;
    }
    return true;
}

static bool results_fit(const CpuFn *f, const CpuTileLoops *x, int64_t channels)
{
    const Stage *s = f->s->stage;

    if (s->n_acc || f->s->scan >= 0 || cpu_in_register(f, f->s)) return false;
    for (int j = 0; j < s->n_out; j++) {
        const Affine *a = f->s->store[j];
        if (s->out[j].dst || a->n_term || !affine_is_coef(a, f->s->loop[x->v].last, 1) ||
            !affine_is_coef(a, f->s->loop[x->w].last, channels))
            return false;
    }
    return true;
}

int cpu_lace_lanes(const CpuFn *f)
{
    int lanes = cpu_native_lanes(f);

    return lanes > MOST_LANES ? MOST_LANES : lanes;
}

static bool fits(const CpuFn *f, const CpuTileLoops *x)
{
    Dim channels = f->s->loop[x->v].extent;

    return dim_is_const(channels) && channels->value > 1 && channels->value <= MOST_CHANNELS &&
           !f->from[x->v] && cpu_lace_lanes(f) >= MOST_CHANNELS &&
           nest_guess(f->s->loop[x->w].extent) >= cpu_lace_lanes(f) && loads_fit(f, x) &&
           results_fit(f, x, channels->value);
}

/* Vector k of the pixels' elements: a channel more with each shuffle. */
static LLVMValueRef laced(CpuFn *f, const LLVMValueRef *plane, int channels, int k)
{
    LLVMValueRef pick[MOST_LANES], r = plane[0];
    int lanes = f->lanes;

    for (int c = 1; c < channels; c++) {
        for (int i = 0; i < lanes; i++) {
            int channel = (k * lanes + i) % channels, pixel = (k * lanes + i) / channels;
            pick[i] = LLVMGetPoison(f->m->i32);
            if (channel == c) pick[i] = cpu_i32(f->m, lanes + pixel);
            if (channel < c) pick[i] = cpu_i32(f->m, c == 1 ? pixel : i);
        }
        r = LLVMBuildShuffleVector(f->b, r, plane[c], LLVMConstVector(pick, (unsigned)lanes), "");
    }
    return r;
}

static void store_laced(CpuFn *f, int j, const LLVMValueRef *value, int channels)
{
    DType d = f->s->stage->out[j].dtype;
    LLVMValueRef base = cpu_result(f, j), at = cpu_offset(f, f->s->store[j], 0),
                 plane[MOST_CHANNELS];

    cpu_at(f, f->level);
    for (int c = 0; c < channels; c++)
        plane[c] = cpu_to_mem(f, d, value[c]);
    for (int k = 0; k < channels; k++) {
        LLVMValueRef to = LLVMBuildAdd(f->b, at, cpu_i64(f->m, (int64_t)k * f->lanes), "");
        cpu_store_vector(f, d, laced(f, plane, channels, k), cpu_element(f, d, base, to), NULL);
    }
}

/* All values are known before the first is stored. */
static void pixels(CpuFn *f, const CpuTileLoops *x, int channels)
{
    int n_out = f->s->stage->n_out;
    LLVMValueRef *value = ARENA_ARRAY(f->arena, LLVMValueRef, n_out * channels);

    f->vec = x->w;
    f->across = x->v;
    f->lanes = cpu_lace_lanes(f);
    f->unroll = f->active = channels;
    cpu_loop_at(f, x->v, cpu_i64(f->m, 0));
    for (int u = 0; u < channels; u++)
        for (int j = 0; j < n_out; j++)
            value[j * channels + u] = cpu_vector(f, f->s->value[j], u);
    for (int j = 0; j < n_out; j++)
        store_laced(f, j, value + j * channels, channels);
    f->vec = f->across = -1;
    f->lanes = f->unroll = f->active = 1;
}

bool cpu_lace_loops(CpuFn *f, CpuTileLoops *x)
{
    LLVMValueRef end;
    CpuLoop l;

    if (!fits(f, x)) return false;
    end = cpu_whole_steps(f, x->w_from, x->w_to, cpu_lace_lanes(f));
    l = cpu_loop_open(f, x->w_from, end, cpu_lace_lanes(f), 0, NULL);
    cpu_loop_at(f, x->w, l.index);
    pixels(f, x, (int)f->s->loop[x->v].extent->value);
    cpu_loop_close(f, &l, NULL);
    cpu_restamp(f);
    x->w_from = end;
    return true;
}
