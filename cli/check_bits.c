/* check_bits.c: the same bits, whatever the number of threads, AVX2 or AVX-512, static or open
 * dims, a batch of one or a slice of eight. */
#include <string.h>

#include "cli/cmd_check.h"
#include "cli/draws.h"
#include "cli/inputs.h"
#include "support/vec.h"

typedef struct Bits {
    Check *c;
    Variant base;
    const char *base_name;
    ingot_tensor *in, *want;
    int n_result;
    Arena *arena; /* the base variant's */
} Bits;

static const char *const levels[] = {"x86-64-v3", "x86-64-v4", NULL};

static bool runs_here(const char *target)
{
    TargetInfo info;

    return codegen_target(target, &info, NULL) == OK && codegen_target_runs(&info);
}

static void hold(const Bits *b, const char *what, const ingot_tensor *got, const ingot_tensor *want)
{
    const Comparison how = {.bits = true};
    const char *why;
    int at = check_first_difference(&how, b->base.loaded.module, got, want, 0, b->arena, &why);

    if (at < 0)
        check_passed(b->c, "same bits: %s", what);
    else
        check_failed(b->c, "same bits: %s: output '%s': %s", what,
                     b->base.loaded.module->output_name[at], why);
}

static Status threads(Bits *b)
{
    static const int counts[] = {2, 3, 8};
    ingot_tensor *got = ARENA_ARRAY(b->arena, ingot_tensor, b->n_result);

    for (int i = 0; i < 3; i++) {
        TRY(variant_run(&b->base, counts[i], b->in, got, b->arena));
        hold(b, arena_printf(b->arena, "1 and %d threads", counts[i]), got, b->want);
    }
    return OK;
}

/* The model compiled with other options, on the same inputs. */
static Status other(Bits *b, const Options *o, const char *name, const char *what)
{
    ingot_tensor *got = ARENA_ARRAY(b->arena, ingot_tensor, b->n_result);
    Variant v;
    Status s = variant_load(o, b->c->model, false, &v, b->c->d);

    if (s == OK) s = variant_make(&v, b->c->folder, name);
    if (s == OK) s = variant_run(&v, 1, b->in, got, b->arena);
    if (s == OK) hold(b, what, got, b->want);
    variant_close(&v);
    return s;
}

static Status targets(Bits *b)
{
    for (int i = 0; levels[i]; i++) {
        Options o = *b->c->o;
        const char *what = arena_printf(b->arena, "%s and %s", b->base_name, levels[i]);
        if (strcmp(levels[i], b->base_name) == 0) continue;
        if (!runs_here(levels[i])) {
            check_skipped(b->c, "same bits: this processor cannot run %s", levels[i]);
            continue;
        }
        o.target = levels[i];
        TRY(other(b, &o, arena_printf(b->arena, "target%d", i), what));
    }
    return OK;
}

/* ---- static dims ---- */

static Status static_dims(Bits *b)
{
    const Region *r = b->base.loaded.module->main;
    Options o = *b->c->o;
    OptionList dim = {0};
    Map seen;

    map_init(&seen, b->arena, false);
    for (int i = 0; i < o.dim.n; i++)
        VEC_PUSH(b->arena, dim.item, dim.n, dim.cap, o.dim.item[i]);
    for (int i = 0; i < r->n_arg; i++)
        for (int k = 0; b->in[i].data && k < r->arg[i]->type.rank; k++) {
            Dim d = r->arg[i]->type.dim[k];
            if (d->kind != DIM_SYM || map_has(&seen, d)) continue;
            map_set(&seen, d, (void *)(uintptr_t)d);
            VEC_PUSH(b->arena, dim.item, dim.n, dim.cap,
                     arena_printf(b->arena, "%s=%lld", d->name, (long long)b->in[i].dims[k]));
        }
    if (!seen.count) return OK;
    o.target = b->base_name;
    o.dim = dim;
    return other(b, &o, "fixed", "open and static dims");
}

/* ---- batch ---- */

enum { BATCH = 8 };

static bool leads(const Value *v, Dim symbol)
{
    return v->type.kind == TYPE_TENSOR && v->type.rank > 0 && v->type.dim[0] == symbol;
}

static void mentions(void *context, Dim symbol)
{
    Dim *found = context;

    if (symbol == *found) *found = NULL;
}

/* Only as the first dim, anywhere. */
static bool nowhere_else(const Value *v, Dim symbol)
{
    Dim found = symbol;

    for (int k = leads(v, symbol); v->type.kind == TYPE_TENSOR && k < v->type.rank; k++)
        dim_symbols(v->type.dim[k], mentions, &found);
    return found != NULL;
}

/* The symbol that leads all inputs and outputs, and is nowhere else. */
static Dim batch_symbol(const Region *r)
{
    Dim symbol = NULL;

    for (int i = 0; i < r->n_arg; i++) {
        const Type *t = &r->arg[i]->type;
        if (t->kind != TYPE_TENSOR || t->rank < 1 || t->dim[0]->kind != DIM_SYM) return NULL;
        if (!symbol) symbol = t->dim[0];
        if (!leads(r->arg[i], symbol) || !nowhere_else(r->arg[i], symbol)) return NULL;
    }
    for (int i = 0; symbol && i < r->n_result; i++)
        if (!leads(r->result[i], symbol) || !nowhere_else(r->result[i], symbol)) return NULL;
    return symbol;
}

/* Row `row` of a tensor whose first dim is the batch. */
static ingot_tensor row_of(const ingot_tensor *t, int64_t row)
{
    ingot_tensor r = *t;
    int64_t n = ingot_tensor_elements(t) / (t->dims[0] ? t->dims[0] : 1);

    r.dims[0] = 1;
    r.data = (char *)t->data + row * n * dtype_bytes(dtype_from_onnx(t->dtype));
    return r;
}

/* Eight copies of a recorded row would show nothing: random ones. */
static Status eight_rows(Bits *b, Dim symbol, ingot_tensor *in)
{
    const Module *m = b->base.loaded.module;
    const ingot_port *ports, *none;
    char why[600];

    codegen_ports(m, b->arena, &ports, &none);
    for (int i = 0; i < m->main->n_arg; i++) {
        int64_t dims[INGOT_MAX_RANK];
        ingot_tensor_want want = {.port = &ports[i], .dims = dims, .seed = 11u + (unsigned)i};
        ingot_tensor t = {0};
        Status s;
        if (!b->in[i].data) continue;
        for (int k = 0; k < b->in[i].rank; k++)
            dims[k] = m->main->arg[i]->type.dim[k] == symbol ? BATCH : b->in[i].dims[k];
        if (ingot_tensor_read("random", &want, &t, why, sizeof why) != INGOT_OK)
            return diag(b->c->d, ERR_LIMIT, (Where){0}, "%s", why);
        s = tensor_copy(&t, b->arena, &in[i], b->c->d);
        ingot_tensor_free(&t);
        TRY(s);
    }
    return OK;
}

static Status batch_rows(Bits *b, const ingot_tensor *in, const ingot_tensor *eight)
{
    const Region *r = b->base.loaded.module->main;
    ingot_tensor *one = ARENA_ARRAY(b->arena, ingot_tensor, r->n_arg);
    ingot_tensor *got = ARENA_ARRAY(b->arena, ingot_tensor, b->n_result);
    ingot_tensor *want = ARENA_ARRAY(b->arena, ingot_tensor, b->n_result);
    static const int rows[] = {0, 3, 7};

    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < r->n_arg; i++)
            one[i] = in[i].data ? row_of(&in[i], rows[k]) : in[i];
        for (int i = 0; i < b->n_result; i++)
            want[i] = row_of(&eight[i], rows[k]);
        TRY(variant_run(&b->base, 1, one, got, b->arena));
        hold(b, arena_printf(b->arena, "batch 1 and row %d of batch 8", rows[k]), got, want);
    }
    return OK;
}

static Status batch(Bits *b)
{
    const Region *r = b->base.loaded.module->main;
    ingot_tensor *in = ARENA_ARRAY(b->arena, ingot_tensor, r->n_arg);
    ingot_tensor *eight = ARENA_ARRAY(b->arena, ingot_tensor, b->n_result);
    Dim symbol = batch_symbol(r);
    Diag quiet, *loud = b->base.d;
    Status s;

    if (!symbol) return OK;
    TRY(eight_rows(b, symbol, in));
    diag_init(&quiet, b->arena);
    b->base.d = &quiet; /* random values may be none that the model allows */
    s = variant_run(&b->base, 1, in, eight, b->arena);
    b->base.d = loud;
    if (s != OK) {
        check_skipped(b->c, "same bits: batch 8: %s",
                      quiet.first ? diag_format(quiet.first, b->arena) : "it does not run");
        return OK;
    }
    return batch_rows(b, in, eight);
}

static Status all(Bits *b)
{
    TRY(variant_make(&b->base, b->c->folder, "base"));
    TRY(inputs_read(&b->base.o, b->base.loaded.module, b->c->model, INPUT_TESTS, &b->in, b->c->d));
    b->n_result = b->base.loaded.module->main->n_result;
    b->want = ARENA_ARRAY(b->arena, ingot_tensor, b->n_result);
    TRY(variant_run(&b->base, 1, b->in, b->want, b->arena));
    TRY(threads(b));
    TRY(targets(b));
    TRY(static_dims(b));
    return batch(b);
}

Status check_bits(Check *c)
{
    Options o = *c->o;
    Bits b = {.c = c};
    Status s;

    for (int i = 0; levels[i] && !b.base_name; i++)
        if (runs_here(levels[i])) b.base_name = levels[i];
    if (!b.base_name) {
        check_skipped(c, "same bits: this processor has no AVX2");
        return OK;
    }
    o.target = b.base_name;
    s = variant_load(&o, c->model, false, &b.base, c->d);
    b.arena = b.base.o.arena;
    if (s == OK && draws_possible(b.base.loaded.module))
        check_skipped(c, "same bits: the model draws random numbers");
    else if (s == OK)
        s = all(&b);
    if (b.in) inputs_free(b.base.loaded.module, b.in);
    variant_close(&b.base);
    return s;
}
