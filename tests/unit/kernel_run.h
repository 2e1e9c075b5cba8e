/* kernel_run.h: for tests of kernels: a list of kernel nodes becomes one shared object for a level,
 * each is run on random operands, and its results are held against kernel_interpret bit for bit. */
#ifndef INGOT_TESTS_KERNEL_RUN_H
#define INGOT_TESTS_KERNEL_RUN_H

#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codegen/c/c_print.h"
#include "codegen/cpu/cpu_isa.h"
#include "codegen/cpu/cpu_kernel.h"
#include "ingot/ingot_rt.h"
#include "ir/build.h"
#include "tests/unit/check.h"

enum { RUN_CASES = 256, RUN_OPERANDS = 8, RUN_TURNS = 8 };

typedef struct RunCase {
    const char *name;
    Module *module;
    Node *node;
    bool rounds; /* has fused multiply-adds that round: only levels with FMA give the same bits */
    bool fails;  /* a data error is expected */
    int64_t lo, hi;               /* integers of operands; floats too when small */
    bool special;                 /* NaN, infinities, -0 among the floats */
    Tensor **want[2 * RUN_TURNS]; /* of the reference: the same at all levels */
    Status status[2 * RUN_TURNS];
    bool in_place; /* result 0 has the memory of operand 0 */
    int zero;      /* number of an operand that is 0, and 1; 0: none */
} RunCase;

typedef struct Run {
    Arena *arena;
    Diag diag;
    Module *module;
    Build b;
    RunCase cases[RUN_CASES];
    int n;
    int64_t n_value; /* of every symbol, when there is no list */
    /* values of symbols, another one in each turn: for all open sizes of a kernel */
    const int64_t *values;
    int n_values, turn;
    int tiled;                /* kernels on register tiles so far */
    int form[CPU_GEMM_FORMS]; /* kernels that go so */
    bool whole; /* small whole numbers where there is no FMA: no sum rounds, so all levels agree */
    bool pairs; /* of bf16 are added at once where the target can: an order of its own */
    int64_t l2; /* CpuIsa's */
    Arena *turn_arena; /* of one turn */
} Run;

static uint64_t run_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool run_bind(void *context, Dim symbol, int64_t *value)
{
    const Run *r = context;
    int64_t v = r->n_value;

    if (r->values) v = r->values[(symbol->name[0] + r->turn) % r->n_values];
    *value = v < symbol->lo ? symbol->lo : v > symbol->hi ? symbol->hi : v;
    return true;
}

static Run *run_new(void)
{
    Arena *a = arena_new(0);
    Run *r = ARENA_NEW(a, Run);

    r->arena = a;
    diag_init(&r->diag, a);
    r->module = module_new(a, "test");
    r->b = build_at(r->module->main, NULL, NULL, &r->diag);
    r->n_value = 37;
    return r;
}

static inline Value *run_arg(Run *r, DType t, int rank, const Dim *dim)
{
    Dim *copy = arena_copy(r->arena, dim, sizeof(Dim) * (size_t)rank);
    return region_add_arg(r->module->main, "x", type_tensor(t, rank, copy));
}

static inline Value *run_value(Run *r, DType t, int rank, const int64_t *dim)
{
    Dim d[MAX_RANK];

    for (int i = 0; i < rank; i++)
        d[i] = dim_const(&r->module->dims, dim[i]);
    return run_arg(r, t, rank, d);
}

static RunCase *run_add(Run *r, const char *name, Node *n)
{
    RunCase *c = &r->cases[r->n++];

    *c = (RunCase){.name = name, .module = r->module, .node = n, .lo = -20, .hi = 100};
    if (!n || r->b.status != OK) {
        fprintf(stderr, "%s: not built\n", name);
        exit(1);
    }
    return c;
}

static inline RunCase *run_add_value(Run *r, const char *name, Value *v)
{
    return run_add(r, name, v ? v->def : NULL);
}

static Tensor *run_tensor(Run *r, Arena *a, const Type *type)
{
    int64_t dim[MAX_RANK];

    for (int i = 0; i < type->rank; i++)
        dim_eval(type->dim[i], run_bind, r, &dim[i]);
    return tensor_new(a, type->dtype, type->rank, dim);
}

static void run_fill(const RunCase *c, Tensor *t, bool whole, uint64_t *state)
{
    static const double special[] = {NAN, INFINITY, -INFINITY, -0.0, 0.0, 1e-40, 3e38, -7.5};

    for (int64_t i = 0; i < t->count; i++) {
        uint64_t z = run_random(state);
        double v = (double)(int64_t)(z >> 20) / (double)(1LL << 43) * 8 - 4;

        if (whole) v = (double)(z >> 40 & 7) - 3;
        if (c->special && !whole && z % 5 == 0) v = special[(z >> 8) % 8];
        if (dtype_is_float(t->dtype))
            dtype_store_double(t->dtype, tensor_at(t, i), v, true);
        else
            dtype_store_int(t->dtype, tensor_at(t, i),
                            c->lo + (int64_t)(z % (uint64_t)(c->hi - c->lo + 1)));
    }
}

static void run_clear_point(Run *r, const Node *n, const Sx *load, const int64_t *index, Tensor *t)
{
    SxTable *s = &n->parent->module->sx;
    SxEnv env = {.index = index, .dim = run_bind, .context = r};
    int64_t at = 0;

    if (sx_eval(s, n->kernel->stage[0].acc[0].where, &env)) return;
    for (int i = 0; i < t->rank; i++)
        at = at * t->dim[i] + (int64_t)sx_eval(s, load->arg[i], &env);
    memset(tensor_at(t, at), 0, (size_t)dtype_bytes(t->dtype));
}

/* What an operand of a product is, or is widened from; of a sum of two, of the first or second. */
static const Sx *run_load(const Sx *e, int part)
{
    if (e->op == SX_ADD) e = e->arg[part];
    return e->op == SX_LOAD ? e : e->arg[0];
}

static void run_clear_load(Run *r, const Node *n, const Sx *load, Tensor *const *in)
{
    const Stage *s = &n->kernel->stage[0];
    int64_t index[2 * MAX_RANK] = {0}, extent[2 * MAX_RANK];
    int i;

    for (i = 0; i < s->rank + s->n_reduce; i++) {
        extent[i] = 1;
        if (sx_uses_index(&n->parent->module->sx, load, i))
            dim_eval(i < s->rank ? s->extent[i] : s->reduce[i - s->rank], run_bind, r, &extent[i]);
        if (extent[i] < 1) return;
    }
    do {
        run_clear_point(r, n, load, index, in[load->src]);
        for (i = s->rank + s->n_reduce - 1; i >= 0 && ++index[i] == extent[i]; i--)
            index[i] = 0;
    } while (i >= 0);
}

/* Products that do not count are of zeros: those are put where they belong. */
static void run_clear_beyond(Run *r, const Node *n, Tensor *const *in)
{
    const Stage *s = &n->kernel->stage[0];
    const Acc *a = &s->acc[0];

    if (!s->n_acc || !a->where) return;
    for (int part = 0; part < 2; part++) {
        const Sx *load = run_load(a->body, part);
        if (n->in[load->src]->data) load = run_load(a->body2, part);
        run_clear_load(r, n, load, in);
    }
}

static bool run_same(const Tensor *a, const Tensor *b)
{
    for (int64_t i = 0; i < a->count; i++) {
        uint64_t x = dtype_load_bits(a->dtype, tensor_at(a, i));
        uint64_t y = dtype_load_bits(b->dtype, tensor_at(b, i));
        if (x == y) continue;
        if (dtype_is_float(a->dtype) && isnan(tensor_double(a, i)) && isnan(tensor_double(b, i)))
            continue;
        fprintf(stderr, "  element %lld: %llx, want %llx (%g, %g)\n", (long long)i,
                (unsigned long long)x, (unsigned long long)y, tensor_double(a, i),
                tensor_double(b, i));
        return false;
    }
    return true;
}

static void run_call(Run *r, const KernelAbi *abi, ingot_kernel fn, void *const *ptr,
                     ingot_call *call)
{
    int64_t *dim = ARENA_ARRAY(r->turn_arena, int64_t, abi->n_dim), tasks, scratch, step = 1;
    ingot_kernel_args args = {.call = call, .ptr = ptr, .dim = dim};
    void *memory;

    for (int i = 0; i < abi->n_dim; i++)
        CHECK(dim_eval(abi->dim[i], run_bind, r, &dim[i]));
    CHECK(dim_eval(abi->tasks, run_bind, r, &tasks));
    CHECK(dim_eval(abi->scratch, run_bind, r, &scratch));
    memory = aligned_alloc(64, (size_t)(scratch + 127) / 64 * 64);
    memset(memory, 0xee, (size_t)scratch);
    for (int64_t t = 0; t < tasks; t += step, step = step % 7 + 1) {
        int64_t end = t + step < tasks ? t + step : tasks;
        fn(&args, t, end, memory);
    }
    free(memory);
}

static Tensor **run_results(Run *r, Arena *a, const Node *n)
{
    Tensor **out = ARENA_ARRAY(a, Tensor *, n->n_out);

    for (int i = 0; i < n->n_out; i++)
        out[i] = run_tensor(r, a, &n->out[i]->type);
    return out;
}

static void run_reference(Run *r, RunCase *c, Tensor *const *in, int turn)
{
    Diag quiet;

    if (c->want[turn]) return;
    diag_init(&quiet, r->arena);
    c->want[turn] = run_results(r, r->arena, c->node);
    for (int i = 0; i < c->node->n_out; i++) /* what nobody writes */
        memset(c->want[turn][i]->data, 0x55, c->want[turn][i]->bytes);
    c->status[turn] = kernel_interpret(&c->module->sx, c->node->kernel, (const Tensor *const *)in,
                                       c->want[turn], run_bind, r, &quiet);
}

/* A copy of an operand between pages that nobody may read: next to the one behind it, or to the
 * one before it. */
static void *run_fenced(const Tensor *t, bool behind, void **map, size_t *size)
{
    const size_t page = 4096, room = (t->bytes + page - 1) / page * page;
    char *p;

    *size = room + 2 * page;
    *map = p = mmap(NULL, *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || (room && mprotect(p + page, room, PROT_READ | PROT_WRITE) != 0)) {
        fprintf(stderr, "no memory for an operand\n");
        exit(1);
    }
    p += page + (behind ? room - t->bytes : 0);
    if (t->bytes) memcpy(p, t->data, t->bytes);
    return p;
}

static void run_report(const Run *r, const RunCase *c, const char *level, bool whole)
{
    fprintf(stderr, "%s at %s, turn %d%s", c->name, level, r->turn, whole ? ", whole numbers" : "");
    check_failures++;
}

static void run_case(Run *r, RunCase *c, const KernelAbi *abi, ingot_kernel fn, const char *level,
                     bool fma)
{
    const Node *n = c->node;
    bool whole = r->whole && !fma;
    int turn = r->turn * 2 + whole;
    Tensor *in[RUN_OPERANDS], **got = run_results(r, r->turn_arena, n);
    void *ptr[3 * RUN_OPERANDS], *map[RUN_OPERANDS];
    size_t mapped[RUN_OPERANDS];
    uint64_t state = 42;
    ingot_call call = {0};

    for (int i = 0; i < n->n_in; i++) {
        in[i] = (Tensor *)(uintptr_t)n->in[i]->data;
        if (!in[i])
            run_fill(c, in[i] = run_tensor(r, r->turn_arena, &n->in[i]->type), whole, &state);
        if (i == c->zero - 1) memset(in[i]->data, 0, in[i]->bytes);
    }
    run_clear_beyond(r, n, in);
    for (int i = 0; i < n->n_in; i++) {
        ptr[i] = run_fenced(in[i], (r->turn + i) % 2 == 0, &map[i], &mapped[i]);
        if (abi->unread && abi->unread[i]) ptr[i] = NULL;
    }
    for (int i = 0; i < n->n_out; i++) {
        memset(got[i]->data, 0x55, got[i]->bytes);
        ptr[n->n_in + i] = got[i]->data;
    }
    for (int i = 0; i < abi->n_pack; i++)
        ptr[n->n_in + n->n_out + i] =
            (void *)(uintptr_t)weights_bytes(&abi->pack[i], r->turn_arena);
    if (c->in_place) ptr[n->n_in] = ptr[0];
    run_reference(r, c, in, turn);
    run_call(r, abi, fn, ptr, &call);
    if (c->in_place) memcpy(got[0]->data, ptr[0], got[0]->bytes);
    for (int i = 0; i < n->n_in; i++)
        munmap(map[i], mapped[i]);
    if ((call.error != 0) != c->fails || (c->status[turn] != OK) != c->fails) {
        run_report(r, c, level, whole);
        fprintf(stderr, ": data error %d, reference %d, expected %d\n", call.error, c->status[turn],
                c->fails);
    }
    for (int i = 0; i < n->n_out && !c->fails && (fma || whole || !c->rounds); i++) {
        if (run_same(got[i], c->want[turn][i])) continue;
        run_report(r, c, level, whole);
        fprintf(stderr, ": result %d differs\n", i);
    }
}

/* One turn for each value that open sizes take. */
static void run_turns(Run *r, RunCase *c, const KernelAbi *abi, ingot_kernel fn, const char *level,
                      bool fma)
{
    int turns = r->values && abi->n_dim ? r->n_values : 1;

    for (r->turn = 0; r->turn < turns; r->turn++) {
        r->turn_arena = arena_new(0);
        run_case(r, c, abi, fn, level, fma);
        arena_free(r->turn_arena);
    }
    r->turn = 0;
}

static const char run_helpers[] =
    "#include <stdint.h>\n"
    "struct call { const void *in; void *out, *instance; int32_t error; };\n"
    "int32_t ingot_rt_fail(struct call *c, int32_t code, int32_t origin, const char *what,\n"
    "                      int64_t a, int64_t b)\n"
    "{ (void)origin, (void)what, (void)a, (void)b; if (!c->error) c->error = code; return code; "
    "}\n";

/* What CPU_TILES_CALLED calls: tiles of 16 rows of 64 bytes, of which the shapes say how many are
 * there; a tile that is used outside of a shape, or with another one than its partners have, ends
 * the test. */
static const char run_tiles[] =
    "#include <stdlib.h>\n"
    "#include <string.h>\n"
    "static uint8_t tile[8][16][64], rows[8], width[8];\n"
    "void ldtilecfg(const uint8_t *c)\n"
    "{ if (c[0] != 1) abort(); memset(tile, 0x5a, sizeof tile);\n"
    "  for (int t = 0; t < 8; t++) { width[t] = c[16 + 2 * t]; rows[t] = c[48 + t];\n"
    "    if (rows[t] > 16 || width[t] > 64 || c[17 + 2 * t] || !rows[t] != !width[t]) abort(); } "
    "}\n"
    "void tilerelease(void) { memset(rows, 0, 8); memset(width, 0, 8); }\n"
    "static void there(int t) { if (!rows[t]) abort(); }\n"
    "void tilezero(uint8_t t) { there(t); memset(tile[t], 0, sizeof tile[t]); }\n"
    "void tileloadd64(uint8_t t, const char *p, int64_t stride)\n"
    "{ there(t); memset(tile[t], 0, sizeof tile[t]);\n"
    "  for (int r = 0; r < rows[t]; r++) memcpy(tile[t][r], p + r * stride, width[t]); }\n"
    "void tilestored64(uint8_t t, char *p, int64_t stride)\n"
    "{ there(t); for (int r = 0; r < rows[t]; r++) memcpy(p + r * stride, tile[t][r], width[t]); "
    "}\n"
    "static void dot(int c, int a, int b, int is_signed)\n"
    "{ if (rows[c] != rows[a] || width[c] != width[b] || width[a] != 4 * rows[b]) abort();\n"
    "  for (int m = 0; m < rows[c]; m++) for (int n = 0; n < width[c] / 4; n++) {\n"
    "    int32_t s; memcpy(&s, &tile[c][m][4 * n], 4);\n"
    "    for (int k = 0; k < width[a]; k++) { uint8_t x = tile[a][m][k];\n"
    "      s += (is_signed ? (int8_t)x : x) * (int8_t)tile[b][k / 4][4 * n + k % 4]; }\n"
    "    memcpy(&tile[c][m][4 * n], &s, 4); } }\n"
    "static float wide(const uint8_t *p)\n"
    "{ uint32_t u = (uint32_t)p[1] << 24 | (uint32_t)p[0] << 16; float f; memcpy(&f, &u, 4);\n"
    "  return f; }\n"
    "void tdpbf16ps(uint8_t c, uint8_t a, uint8_t b)\n"
    "{ if (rows[c] != rows[a] || width[c] != width[b] || width[a] != 4 * rows[b]) abort();\n"
    "  for (int m = 0; m < rows[c]; m++) for (int n = 0; n < width[c] / 4; n++) {\n"
    "    float s, even = 0, odd = 0; memcpy(&s, &tile[c][m][4 * n], 4);\n"
    "    for (int k = 0; k < rows[b]; k++) {\n"
    "      even += wide(&tile[a][m][4 * k]) * wide(&tile[b][k][4 * n]);\n"
    "      odd += wide(&tile[a][m][4 * k + 2]) * wide(&tile[b][k][4 * n + 2]); }\n"
    "    s += even + odd; memcpy(&tile[c][m][4 * n], &s, 4); } }\n"
    "void tdpbusd(uint8_t c, uint8_t a, uint8_t b) { dot(c, a, b, 0); }\n"
    "void tdpbssd(uint8_t c, uint8_t a, uint8_t b) { dot(c, a, b, 1); }\n";

static void run_write(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(data, 1, n, f) != n) exit(1);
    fclose(f);
}

/* The functions have hidden visibility: a table beside them gives them out. */
static const char *run_table_text(Run *r)
{
    Text t;

    text_init(&t, r->arena);
    text_put(&t, run_helpers);
    text_put(&t, run_tiles);
    for (int i = 0; i < r->n; i++)
        text_f(&t, "void k%d(const void *, int64_t, int64_t, void *);\n", i);
    text_put(&t, "void (*const kernels[])(const void *, int64_t, int64_t, void *) = {");
    for (int i = 0; i < r->n; i++)
        text_f(&t, "k%d,", i);
    text_put(&t, "};\n");
    return t.s;
}

/* cc -shared of an object or C source and that table, loaded; files are removed at once. */
static void *run_link(Run *r, const char *suffix, const void *data, size_t size)
{
    const char *table = run_table_text(r);
    const char *base = getenv("TMPDIR");
    char folder[256], command[2000], path[3][300];
    void *so;

    snprintf(folder, sizeof folder, "%s/kernel_run_XXXXXX", base && *base ? base : P_tmpdir);
    if (!mkdtemp(folder)) exit(1);
    snprintf(path[0], sizeof path[0], "%s/k%s", folder, suffix);
    snprintf(path[1], sizeof path[1], "%s/table.c", folder);
    snprintf(path[2], sizeof path[2], "%s/k.so", folder);
    run_write(path[0], data, size);
    run_write(path[1], table, strlen(table));
    snprintf(command, sizeof command,
             "cc -O0 -std=gnu11 -ffp-contract=off -fPIC -shared -Iinclude -o %s %s %s -lm", path[2],
             path[0], path[1]);
    CHECK_EQ(system(command), 0);
    so = dlopen(path[2], RTLD_NOW | RTLD_LOCAL);
    if (!so) fprintf(stderr, "%s\n", dlerror());
    for (int i = 0; i < 3; i++)
        unlink(path[i]);
    rmdir(folder);
    return so;
}

static void run_all(Run *r, void *so, const KernelAbi *const *abi, const char *level, bool fma)
{
    const ingot_kernel *fn = so ? dlsym(so, "kernels") : NULL;

    CHECK(fn != NULL);
    for (int i = 0; fn && i < r->n; i++)
        run_turns(r, &r->cases[i], abi[i], fn[i], level, fma);
}

/* `wide`: NULL, or the level whose packed operands this one shares. */
static inline void run_isas(Run *r, const CpuIsa *level, const CpuIsa *wider)
{
    CpuIsa own = *level, leads = wider ? *wider : own;
    const CpuIsa *isa = &own, *wide = wider ? &leads : NULL;
    const char *what =
        wide ? arena_printf(r->arena, "%s behind %s", isa->name, wide->name) : isa->name;
    const KernelAbi *abi[RUN_CASES];
    CpuKernel *k, *lead = NULL;
    CpuModule *m;
    CodeObject object;
    void *so;

    own.l2 = leads.l2 = r->l2;
    if (isa->features & ~cpu_isa_here()) return;
    CHECK_EQ(cpu_module_open(r->arena, isa, 2, &r->diag, &m), OK);
    for (int i = 0; i < r->n; i++) {
        char name[32];

        snprintf(name, sizeof name, "k%d", i);
        if (wide)
            CHECK_EQ(cpu_kernel_prepare(r->arena, r->cases[i].module, r->cases[i].node, wide,
                                        tile_choices, NULL, &r->diag, &lead),
                     OK);
        CHECK_EQ(cpu_kernel_prepare(r->arena, r->cases[i].module, r->cases[i].node, isa,
                                    tile_choices, lead, &r->diag, &k),
                 OK);
        CHECK_EQ(cpu_kernel_emit(m, k, name), OK);
        abi[i] = cpu_kernel_abi(k);
        r->tiled += cpu_kernel_is_tiled(k);
        r->form[cpu_kernel_form(k)]++;
    }
    if (getenv("KERNEL_RUN_LLVM")) {
        Text text;
        text_init(&text, r->arena);
        if (cpu_module_emit(m, "k", r->arena, &object, NULL, &text) == OK) fputs(text.s, stderr);
    } else {
        CHECK_EQ(cpu_module_emit(m, "k", r->arena, &object, NULL, NULL), OK);
    }
    for (DiagItem *i = r->diag.first; i; i = i->next)
        fprintf(stderr, "%s\n", diag_format(i, r->arena));
    if (!r->diag.errors) {
        so = run_link(r, ".o", object.data, object.size);
        run_all(r, so, abi, what, isa->fma && !(r->pairs && isa->bf16));
        if (so) dlclose(so);
    }
    cpu_module_close(m);
}

static inline void run_level(Run *r, const char *level)
{
    run_isas(r, cpu_isa_find(level), NULL);
}

/* The same through plain C. */
static inline void run_c(Run *r)
{
    const KernelAbi *abi[RUN_CASES];
    Text text;
    void *so;

    text_init(&text, r->arena);
    c_print_prelude(&text);
    for (int i = 0; i < r->n; i++) {
        char name[32];

        snprintf(name, sizeof name, "k%d", i);
        CHECK_EQ(c_print_kernel(r->arena, r->cases[i].module, r->cases[i].node, name, &text,
                                &r->diag, &abi[i]),
                 OK);
    }
    if (getenv("KERNEL_RUN_C")) fputs(text.s, stderr);
    so = run_link(r, ".c", text.s, text.n);
    run_all(r, so, abi, "C", true);
    if (so) dlclose(so);
}

#endif
