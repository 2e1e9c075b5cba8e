/* graph_run.h: kernel_run.h for kernels as the pipeline makes them, with what is fused before and
 * behind a contraction. Each case is a graph as text; its kernels are what is run. Weights (const)
 * get random elements behind parsing. Open sizes take in turn each value of a list of edges, 0
 * among them. */
#ifndef INGOT_TESTS_GRAPH_RUN_H
#define INGOT_TESTS_GRAPH_RUN_H

#include "passes/pass.h"
#include "tests/unit/kernel_run.h"

/* Floats are whole multiples of `by`. */
static void whole_weights(Run *r, Module *m, double by)
{
    uint64_t state = 7;

    for (Node *n = m->main->first; n; n = n->next)
        for (int i = 0; i < n->n_in; i++) {
            const Tensor *old = n->in[i] ? n->in[i]->data : NULL;
            Tensor *t;
            bool bytes = old && (old->dtype == DT_U8 || old->dtype == DT_I8);
            if (!old || (!dtype_is_float(old->dtype) && !bytes) || old->count < 2) continue;
            t = tensor_new(r->arena, old->dtype, old->rank, old->dim);
            for (int64_t k = 0; k < t->count; k++) {
                uint64_t x = run_random(&state) >> 40;
                if (bytes)
                    tensor_set_int(t, k, (int64_t)(x & 255) - (t->dtype == DT_I8 ? 128 : 0));
                else
                    dtype_store_double(t->dtype, tensor_at(t, k), ((double)(x & 7) - 3) * by, true);
            }
            n->in[i]->data = t;
        }
}

/* The operand that is the low part of what a kernel sums, and 1; 0: there is none. */
static int low_part(const Node *n)
{
    const Stage *s = &n->kernel->stage[0];
    const Sx *e = s->n_acc && s->acc[0].body->op == SX_ADD ? s->acc[0].body->arg[1] : NULL;

    while (e && e->op != SX_LOAD)
        e = e->n ? e->arg[0] : NULL;
    return e ? e->src + 1 : 0;
}

/* In the arithmetic of `how`, with weights that are multiples of `by`. Where that gives them low
 * parts, the other side has none: the product of both is left out. */
static inline void graph_add_by(Run *r, const char *name, MathKind how, double by, const char *text)
{
    MathRule rule = {.how = how};
    PassOptions o = {.level = 2, .bisect = -1, .no_fold = true, .math = &rule, .n_math = 1};
    Module *m;

    if (graph_parse(r->arena, text, name, &m, &r->diag) != OK) {
        CHECK(false && "parsed");
        return;
    }
    whole_weights(r, m, by);
    CHECK_EQ(pass_run_all(m, &o, &r->diag), OK);
    for (Node *n = m->main->first; n; n = n->next) {
        RunCase *c;
        if (n->kind != NODE_KERNEL) continue;
        c = run_add(r, name, n);
        c->module = m;
        c->rounds = true;
        if (by != 1) c->zero = low_part(n);
    }
}

static inline void graph_add_as(Run *r, const char *name, MathKind how, const char *text)
{
    graph_add_by(r, name, how, 1, text);
}

static inline void graph_add(Run *r, const char *name, const char *text)
{
    graph_add_as(r, name, MATH_EXACT, text);
}

#define DIMS             "dim b 0..3\ndim m 0..40\ndim n 0..70\ndim k 0..40\n"
#define GRAPH(name, ...) graph_add(r, name, arena_printf(r->arena, DIMS __VA_ARGS__))

/* AMX with functions in place of its instructions, alone and in front of AVX2; and AMX itself where
 * the processor has it. Gives how often kernels were made for AMX. */
static inline int graph_run_tiles(Run *r)
{
    CpuIsa tiles = *cpu_isa_find(r->pairs ? "x86-64-v4-bf16" : "x86-64-v4-vnni");
    CpuIsa amx = *cpu_isa_find("x86-64-amx");

    tiles.name = "AMX by functions";
    tiles.tiles = CPU_TILES_CALLED;
    run_isas(r, &tiles, NULL);
    if (!r->pairs) run_isas(r, cpu_isa_find("x86-64-v3"), &tiles);
    if (amx.features & ~cpu_isa_here()) {
        fprintf(stderr, "skipped: AMX itself, which this processor has not\n");
        return 1;
    }
    run_isas(r, &amx, NULL);
    return 2;
}

/* The cases at every level and through C. Levels with vectors have at least `tiled` kernels on
 * register tiles, of which `cut` go by blocks of K. */
static inline void graph_run_levels(Run *r, int tiled, int cut)
{
    static const char *const levels[] = {"x86-64-v4-bf16", "x86-64-v4-vnni", "x86-64-v4",
                                         "x86-64-v3",      "x86-64-v2",      "scalar"};
    static const char *const pairs[][2] = {{"x86-64-v3-vnni", "x86-64-v4-vnni"},
                                           {"x86-64-v3", "x86-64-v4"},
                                           {"x86-64-v2", "x86-64-v3"}};

    for (int i = 0; i < 6; i++) {
        const CpuIsa *isa = cpu_isa_find(levels[i]);
        if (isa->bf16 && !r->pairs) continue; /* no more than the next level has */
        r->tiled = r->form[CPU_GEMM_CUTS_K] = 0;
        run_level(r, levels[i]);
        if (!isa->vector_bytes || (isa->features & ~cpu_isa_here())) continue;
        CHECK_EQ(r->form[CPU_GEMM_CUTS_K], cut);
        if (r->tiled >= tiled) continue;
        fprintf(stderr, "%s: %d of %d kernels on tiles, want %d\n", levels[i], r->tiled, r->n,
                tiled);
        check_failures++;
    }
    for (int i = 0; i < 3; i++)
        run_isas(r, cpu_isa_find(pairs[i][0]), cpu_isa_find(pairs[i][1]));
    run_c(r);
}

/* `count` groups of cases. `whole`: without FMA, on whole numbers only (no mathematics). */
static inline int graph_run_groups(int count, void (*const *group)(Run *), int tiled, bool whole)
{
    static const int64_t edges[] = {37, 1, 8, 0};
    Run *r = run_new();

    r->values = edges;
    r->n_values = 4;
    r->whole = whole;
    for (int i = 0; i < count; i++)
        group[i](r);
    graph_run_levels(r, tiled, 0);
    arena_free(r->arena);
    return check_failures;
}

#endif
