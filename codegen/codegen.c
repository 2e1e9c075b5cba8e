/* codegen.c: from a fused graph to objects.
 *
 *     kernels   prepared one after the other; those of the same text are one function
 *     weights   constants that somebody reads, and packed copies; equal bytes are there once
 *     plan, host program, and the kernels in groups: one LLVM context a job, jobs on threads
 *
 * How kernels are grouped depends on their number alone, so that objects do not depend on the
 * machine that they are made on. */
#include "codegen/codegen.h"

#include <stdio.h>
#include <string.h>

#include "codegen/bands.h"
#include "codegen/c/c_print.h"
#include "codegen/cpu/cpu_entry.h"
#include "codegen/cpu/cpu_kernel.h"
#include "support/checked.h"
#include "support/digest.h"
#include "support/jobs.h"
#include "support/vec.h"

enum { MOST_GROUPS = 32, KERNELS_A_GROUP = 4, WEIGHT_ALIGN = 64, FEW_LAUNCHES = 64 };

/* One kernel: a function for each level. */
typedef struct Function {
    const CpuKernel *kernel[CPU_MOST_ISAS];
    const char *name[CPU_MOST_ISAS];
} Function;

/* One object: its own arena, sink and LLVM context, so that jobs share nothing. */
typedef struct Job {
    struct Compile *c;
    int level;
    int first, step; /* functions first, first + step, ...; first < 0: the host program */
    Arena *arena;
    Diag diag;
    CpuModule *module; /* the host program's, filled already */
    CodeObject object;
    Text text;
} Job;

typedef struct Compile {
    Module *m;
    const CodegenOptions *o;
    CpuIsas levels;
    Arena *arena;
    Diag *diag;
    Code *out;
    const char *symbol;

    EntryKernel **entry; /* by Node.id */
    Band **band;         /* by Node.id */
    const char **name;   /* of launches, for --bench */
    int n_name, cap_name;
    const char **key; /* of launches, for --tune */
    int n_key, cap_key;
    Function *function;
    int n_function, cap_function;
    Map by_digest; /* text of a digest -> index of the function + 1 */

    int64_t *constant; /* by Value.id */
    WeightPiece *piece;
    int n_piece, cap_piece;
    Map pieces; /* hash and size of bytes -> index + 1 */
    size_t weights_size;
    Job *job;
    int n_job;
} Compile;

/* ---- weights ---- */

static Status no_memory(Compile *c, const WeightBytes *b)
{
    return diag(c->diag, ERR_LIMIT, (Where){.file = c->m->file},
                "no memory for %zu bytes of weights", b->size);
}

/* A hash of the bytes: those that are made when they are written are made for it, too. */
static Status weights_key(Compile *c, const WeightBytes *b, char key[40])
{
    ArenaMark mark = arena_mark(c->arena);
    const void *data = weights_bytes(b, c->arena);

    if (!data && b->size) return no_memory(c, b);
    snprintf(key, 40, "%016llx-%zx",
             (unsigned long long)hash_bytes(data, b->size, (uint64_t)(uintptr_t)c), b->size);
    arena_reset(c->arena, mark);
    return OK;
}

static Status same_weights(Compile *c, const WeightBytes *x, const WeightBytes *y, bool *same)
{
    ArenaMark mark = arena_mark(c->arena);
    const void *px = weights_bytes(x, c->arena), *py = weights_bytes(y, c->arena);

    if (x->size && (!px || !py)) return no_memory(c, x);
    *same = x->size == y->size && (x->size == 0 || memcmp(px, py, x->size) == 0);
    arena_reset(c->arena, mark);
    return OK;
}

/* Offset of these bytes among the weights. */
static Status add_weights(Compile *c, const WeightBytes *b, int64_t *at)
{
    char key[40];
    uintptr_t index;
    size_t start, end;
    bool same = false;

    TRY(weights_key(c, b, key));
    index = (uintptr_t)map_get(&c->pieces, key);
    if (index) TRY(same_weights(c, &c->piece[index - 1].bytes, b, &same));
    if (same) {
        *at = (int64_t)c->piece[index - 1].at;
        return OK;
    }
    if (!checked_align(c->weights_size, WEIGHT_ALIGN, &start) ||
        !checked_add(start, b->size, &end) || end > INT64_MAX)
        return diag(c->diag, ERR_LIMIT, (Where){.file = c->m->file}, "the weights are too large");
    VEC_PUSH(c->arena, c->piece, c->n_piece, c->cap_piece, (WeightPiece){start, *b});
    map_set(&c->pieces, arena_strdup(c->arena, key), (void *)(uintptr_t)c->n_piece);
    c->weights_size = end;
    *at = (int64_t)start;
    return OK;
}

static Status add_constant(Compile *c, const Value *v)
{
    if (!v || !v->data || v->data->dtype == DT_STRING || c->constant[v->id] >= 0) return OK;
    return add_weights(c, &(WeightBytes){.data = v->data->data, .size = v->data->bytes},
                       &c->constant[v->id]);
}

static Status add_results(Compile *c, const Region *r)
{
    for (int i = 0; i < r->n_result; i++)
        TRY(add_constant(c, r->result[i]));
    return OK;
}

static Status constants_of(void *context, Node *n)
{
    Compile *c = context;
    const EntryKernel *e = c->entry[n->id];

    for (int k = 0; k < n->n_in; k++)
        if (!e || !e->abi->unread || !e->abi->unread[k]) TRY(add_constant(c, n->in[k]));
    for (int i = 0; i < n->n_region; i++)
        TRY(add_results(c, n->region[i]));
    return OK;
}

static Status gather_weights(Compile *c)
{
    TRY(module_visit(c->m, constants_of, c));
    TRY(add_results(c, c->m->main));
    c->out->weights = (Weights){c->weights_size, c->piece, c->n_piece};
    return OK;
}

/* ---- kernels ---- */

/* What decides a kernel's code: its text, and which operands are constants (packed ones lie in
 * another order). */
static void kernel_key(Compile *c, const Node *n, const Band *band, char key[33])
{
    ArenaMark mark = arena_mark(c->arena);
    Text t;

    text_init(&t, c->arena);
    kernel_print(n, &t);
    for (int k = 0; k < n->n_in; k++)
        text_char(&t, n->in[k] && n->in[k]->data ? 'c' : 'v');
    if (band) text_f(&t, " band %lld", (long long)band->rows);
    digest_text(digest_bytes(t.s, t.n), key);
    arena_reset(c->arena, mark);
}

static const char *launch_name(Compile *c, const Node *n)
{
    const char *label = n->kernel->label ? n->kernel->label : "kernel";
    const char *node = n->origin && n->origin->node ? n->origin->node : "";

    return *node ? arena_printf(c->arena, "%s %s", label, node) : label;
}

/* NAME_k3, or with several levels NAME_v4_k3. */
static const char *name_function(const Compile *c, int level, int number)
{
    char *level_name;

    if (c->levels.n == 1) return arena_printf(c->arena, "%s_k%d", c->symbol, number);
    level_name = arena_strdup(c->arena, cpu_isa_short(c->levels.isa[level]));
    for (char *s = level_name; *s; s++)
        if (*s == '-') *s = '_';
    return arena_printf(c->arena, "%s_%s_k%d", c->symbol, level_name, number);
}

static const char *function_name(const void *context, int level, int number)
{
    return ((const Compile *)context)->function[number].name[level];
}

/* *out is NULL where it cannot be cut into bands. */
static Status prepare_level(Compile *c, const Node *n, const Band *band, int level,
                            const TileChoice *tile, const CpuKernel *lead, CpuKernel **out)
{
    const CpuIsa *isa = c->levels.isa[level];

    if (band)
        return cpu_kernel_prepare_band(c->arena, c->m, n, band->rows, isa, tile, lead, c->diag,
                                       out);
    return cpu_kernel_prepare(c->arena, c->m, n, isa, tile, lead, c->diag, out);
}

static Status add_function(Compile *c, const Node *n, const Band *band, CpuKernel *lead)
{
    Function f = {.kernel = {lead}};
    CpuKernel *kernel;

    for (int i = 0; i < c->levels.n; i++) {
        f.name[i] = name_function(c, i, c->n_function);
        if (i == 0) continue;
        TRY(prepare_level(c, n, band, i, tile_choices, lead, &kernel));
        INVARIANT(c->diag, kernel);
        f.kernel[i] = kernel;
    }
    VEC_PUSH(c->arena, c->function, c->n_function, c->cap_function, f);
    return OK;
}

/* Machine code; kernels of the same text are one function. */
static Status prepare_machine(Compile *c, const Node *n, const Band *band, EntryKernel *e)
{
    CpuKernel *kernel;
    uintptr_t index;
    const char *tiled;
    char key[33];

    kernel_key(c, n, band, key);
    TRY(prepare_level(c, n, band, 0, tile_choice_of(c->o->tune, key), NULL, &kernel));
    INVARIANT(c->diag, kernel);
    tiled = cpu_kernel_is_tiled(kernel) ? arena_strdup(c->arena, key) : NULL;
    VEC_PUSH(c->arena, c->key, c->n_key, c->cap_key, tiled);
    index = (uintptr_t)map_get(&c->by_digest, key);
    if (!index) {
        TRY(add_function(c, n, band, kernel));
        index = (uintptr_t)c->n_function;
        map_set(&c->by_digest, arena_strdup(c->arena, key), (void *)index);
    }
    e->abi = cpu_kernel_abi(kernel);
    e->number = (int)index - 1;
    if (c->levels.n == 1) e->function = function_name(c, 0, e->number);
    return OK;
}

static Status prepare_c(Compile *c, Node *n, EntryKernel *e)
{
    e->function = arena_printf(c->arena, "%s_k%d", c->symbol, c->n_name);
    return c_print_kernel(c->arena, c->m, n, e->function, c->o->c_source, c->diag, &e->abi);
}

/* The kernels of a band, unless some cannot be cut. */
static Status try_band(Compile *c, Band *b)
{
    CpuKernel *kernel;
    KernelRows made[INGOT_BAND_KERNELS] = {{0}}, read[INGOT_BAND_KERNELS] = {{0}};
    const KernelAbi *abi[INGOT_BAND_KERNELS];
    bool fits = true;
    char key[33];

    for (int i = 0; i < b->n && fits; i++) {
        const Node *n = b->node[i];
        kernel_key(c, n, b, key);
        TRY(prepare_level(c, n, b, 0, tile_choice_of(c->o->tune, key), NULL, &kernel));
        fits = kernel && (i == 0 || cpu_kernel_rows(kernel, b->in[i], &read[i])) &&
               (i == b->n - 1 || cpu_kernel_rows(kernel, -1, &made[i]));
        if (fits) abi[i] = cpu_kernel_abi(kernel);
    }
    if (!fits || !bands_measure(c->m, b, abi, made, read)) bands_drop(c->band, b);
    return OK;
}

static Status try_bands(void *context, Node *n)
{
    Compile *c = context;
    Band *b = c->band[n->id];

    return b && band_ends(b, n) ? try_band(c, b) : OK;
}

static Status prepare_node(void *context, Node *n)
{
    Compile *c = context;
    EntryKernel *e;
    int64_t *packed;

    if (n->kind != NODE_KERNEL) return OK;
    e = ARENA_NEW(c->arena, EntryKernel);
    e->name = c->n_name;
    TRY(c->o->c_source ? prepare_c(c, n, e) : prepare_machine(c, n, band_of(c->band, n), e));
    packed = ARENA_ARRAY(c->arena, int64_t, e->abi->n_pack);
    for (int k = 0; k < e->abi->n_pack; k++)
        TRY(add_weights(c, &e->abi->pack[k], &packed[k]));
    e->packed = packed;
    c->entry[n->id] = e;
    VEC_PUSH(c->arena, c->name, c->n_name, c->cap_name, launch_name(c, n));
    return OK;
}

/* ---- jobs ---- */

static Status fill_kernels(Job *j, CpuModule *m)
{
    const Compile *c = j->c;

    for (int i = j->first; i < c->n_function; i += j->step)
        TRY(cpu_kernel_emit(m, c->function[i].kernel[j->level], c->function[i].name[j->level]));
    return OK;
}

static Status run_job(void *context, int64_t i, int thread)
{
    Job *j = &((Compile *)context)->job[i];
    const CodegenOptions *o = j->c->o;
    CpuModule *m = j->module;
    Status s = OK;

    (void)thread;
    if (!m) {
        TRY(cpu_module_open(j->arena, j->c->levels.isa[j->level], o->level, &j->diag, &m));
        s = fill_kernels(j, m);
    }
    if (s == OK)
        s = cpu_module_emit(m, arena_printf(j->arena, "%s%lld.o", j->c->symbol, (long long)i),
                            j->arena, &j->object, o->keep_asm ? &j->text : NULL,
                            o->keep_llvm ? &j->text : NULL);
    cpu_module_close(m);
    j->module = NULL;
    return s;
}

static Status open_jobs(Compile *c)
{
    int groups = (c->n_function + KERNELS_A_GROUP - 1) / KERNELS_A_GROUP;

    if (groups > MOST_GROUPS) groups = MOST_GROUPS;
    c->job = ARENA_ARRAY(c->arena, Job, groups * c->levels.n + 1);
    for (int i = 0; i <= groups * c->levels.n; i++) {
        Job *j = &c->job[i];
        *j = (Job){.c = c, .first = -1, .step = groups, .arena = arena_new(0)};
        if (i > 0) {
            j->level = (i - 1) / groups;
            j->first = (i - 1) % groups;
        }
        if (!j->arena)
            return diag(c->diag, ERR_LIMIT, (Where){.file = c->m->file}, "out of memory");
        diag_init(&j->diag, j->arena);
        text_init(&j->text, j->arena);
        c->n_job = i + 1;
    }
    return OK;
}

static void close_jobs(Compile *c)
{
    for (int i = 0; i < c->n_job; i++) {
        cpu_module_close(c->job[i].module);
        arena_free(c->job[i].arena);
    }
}

/* The host program is written before the jobs start: it makes new dims, which jobs must not see.
 * With few launches it is optimised a little, with many not at all: see cpu_entry.c. */
static Status write_host(Compile *c)
{
    int level = c->o->level > 0 && c->n_name <= FEW_LAUNCHES ? 1 : 0;
    Job *j = &c->job[0];
    EntryInput in = {.graph = c->m,
                     .plan = &c->out->plan,
                     .kernel = (const EntryKernel *const *)c->entry,
                     .band = c->band,
                     .constant = c->constant,
                     .weights_size = (int64_t)c->weights_size,
                     .n_kernel_names = c->n_name,
                     .kernel_name = c->name,
                     .symbol = c->symbol,
                     .flush_subnormals = c->o->flush_subnormals,
                     .levels = &c->levels,
                     .n_function = c->levels.n > 1 ? c->n_function : 0,
                     .function_name = function_name,
                     .context = c};

    TRY(cpu_module_open(j->arena, cpu_isa_common(&c->levels), level, c->diag, &j->module));
    return cpu_entry_emit(j->module, &in, c->diag);
}

static Status collect(Compile *c)
{
    Text text;

    text_init(&text, c->arena);
    c->out->object = ARENA_ARRAY(c->arena, CodeObject, c->n_job);
    for (int i = 0; i < c->n_job; i++) {
        const CodeObject *o = &c->job[i].object;
        void *data = arena_try(c->arena, o->size, 1);
        if (!data) return diag(c->diag, ERR_LIMIT, (Where){0}, "no memory for an object");
        memcpy(data, o->data, o->size);
        c->out->object[c->out->n_object++] =
            (CodeObject){arena_strdup(c->arena, o->name), data, o->size};
        if (c->job[i].text.n) text_put_n(&text, c->job[i].text.s, c->job[i].text.n);
    }
    c->out->text = text.s;
    return OK;
}

static Status run_jobs(Compile *c)
{
    Status s;

    TRY(open_jobs(c));
    TRY(write_host(c));
    s = jobs_run(c->o->jobs, c->n_job, run_job, c);
    for (int i = 0; i < c->n_job; i++)
        diag_merge(c->diag, &c->job[i].diag);
    TRY(s);
    return collect(c);
}

/* ---- the whole ---- */

static Status find_target(Compile *c)
{
    TRY(cpu_isa_parse(c->o->target, &c->levels, c->diag));
    for (int i = 0; c->levels.n > 1 && i < c->levels.n; i++) { /* which share packed weights: f32 */
        CpuIsa *isa = arena_copy(c->arena, c->levels.isa[i], sizeof *isa);
        isa->bf16 = false;
        c->levels.isa[i] = isa;
    }
    if (c->o->c_source) c->levels.n = 1; /* there is no other machine code but the host program */
    return OK;
}

static Status start(Compile *c)
{
    size_t n = (size_t)c->m->next_id + 1;

    if (c->o->c_source) c_print_prelude(c->o->c_source);
    map_init(&c->by_digest, c->arena, true);
    map_init(&c->pieces, c->arena, true);
    c->symbol = c->o->symbol ? c->o->symbol : "model";
    c->entry = arena_try(c->arena, n, sizeof *c->entry);
    c->constant = arena_try(c->arena, n, sizeof *c->constant);
    if (!c->entry || !c->constant)
        return diag(c->diag, ERR_LIMIT, (Where){.file = c->m->file}, "out of memory");
    for (size_t i = 0; i < n; i++)
        c->constant[i] = -1;
    return find_target(c);
}

static Status find_bands(Compile *c)
{
    if (c->o->c_source) return OK;
    TRY(bands_find(c->m, c->arena, &c->band, c->diag));
    return module_visit(c->m, try_bands, c);
}

static Status compile(Compile *c)
{
    TRY(start(c));
    TRY(find_bands(c));
    TRY(module_visit(c->m, prepare_node, c));
    TRY(gather_weights(c));
    TRY(plan_memory(c->m, c->band, c->arena, &c->out->plan, c->diag));
    c->out->n_kernels = c->n_function;
    c->out->n_calls_of_kernels = c->n_name;
    c->out->kernel_key = c->key;
    c->out->arena_size = plan_size(&c->out->plan);
    if (!dims_ok(&c->m->dims))
        return diag(c->diag, ERR_LIMIT, (Where){.file = c->m->file}, "a size is too large");
    return run_jobs(c);
}

Status codegen_compile(Module *m, const CodegenOptions *o, Arena *arena, Code *out, Diag *d)
{
    Compile c = {.m = m, .o = o, .arena = arena, .diag = d, .out = out};
    Status s;

    *out = (Code){0};
    s = compile(&c);
    close_jobs(&c);
    return s;
}

Status codegen_plan(Module *m, const char *target, Arena *arena, Plan *out, Diag *d)
{
    CodegenOptions o = {.target = target};
    Compile c = {.m = m, .o = &o, .arena = arena, .diag = d};

    TRY(start(&c));
    TRY(find_bands(&c));
    return plan_memory(m, c.band, arena, out, d);
}

static int32_t port_dtype(const Type *t)
{
    switch (t->kind) {
    case TYPE_TENSOR:
        return dtype_onnx(t->dtype);
    case TYPE_SEQUENCE:
        return INGOT_SEQUENCE;
    case TYPE_OPTIONAL:
        return INGOT_OPTIONAL;
    case TYPE_MAP:
        return INGOT_MAP;
    case TYPE_UNKNOWN:
        break;
    }
    return 0;
}

static ingot_port port(const char *name, const Type *t, Arena *a);

/* What a list holds: one port, or those of a map's keys and values. */
static const ingot_port *port_elem(const Type *t, Arena *a)
{
    Type keys = type_tensor(t->dtype, RANK_UNKNOWN, NULL);
    Type values = {.kind = TYPE_SEQUENCE, .elem = t->elem};
    ingot_port *p;

    if (!t->elem) return NULL;
    p = ARENA_ARRAY(a, ingot_port, 2);
    p[0] = port("", t->kind == TYPE_MAP ? &keys : t->elem, a);
    if (t->kind == TYPE_MAP) p[1] = port("", &values, a);
    return p;
}

static ingot_port port(const char *name, const Type *t, Arena *a)
{
    bool list = t->kind != TYPE_TENSOR && t->kind != TYPE_UNKNOWN;
    int rank = list ? 1 : t->kind == TYPE_TENSOR && t->rank >= 0 ? t->rank : -1;
    int64_t *dims = ARENA_ARRAY(a, int64_t, rank);
    const char **symbols = ARENA_ARRAY(a, const char *, rank);

    if (list) dims[0] = -1;
    for (int i = 0; !list && i < rank; i++) {
        dims[i] = dim_is_const(t->dim[i]) ? t->dim[i]->value : -1;
        symbols[i] = t->dim[i]->kind == DIM_SYM ? t->dim[i]->name : NULL;
    }
    return (ingot_port){.name = name ? name : "",
                        .dtype = port_dtype(t),
                        .rank = rank,
                        .dims = dims,
                        .symbols = symbols,
                        .optional = t->kind == TYPE_OPTIONAL,
                        .elem = list ? port_elem(t, a) : NULL};
}

void codegen_ports(const Module *m, Arena *arena, const ingot_port **in, const ingot_port **out)
{
    const Region *r = m->main;
    ingot_port *i = ARENA_ARRAY(arena, ingot_port, r->n_arg);
    ingot_port *o = ARENA_ARRAY(arena, ingot_port, r->n_result);

    for (int k = 0; k < r->n_arg; k++)
        i[k] = port(r->arg[k]->name, &r->arg[k]->type, arena);
    for (int k = 0; k < r->n_result; k++)
        o[k] = port(m->output_name[k], &r->result[k]->type, arena);
    *in = i;
    *out = o;
}
