/* accuracy.c: two variants of a model, one exact, run on the same inputs. */
#include "cli/accuracy.h"

#include <math.h>
#include <string.h>

#include "cli/cost.h"
#include "cli/inputs.h"
#include "cli/tensors.h"
#include "cli/variant.h"
#include "support/io.h"
#include "support/str.h"

static const double EVALUATED = 4e9; /* operations that the evaluator may take: about 15 s */

/* Fastest first. */
static const char *const ladder[] = {"bf16", "bf16x3", "winograd", "exact"};

enum { BF16, BF16X3, WINOGRAD, EXACT, RUNGS };

/* Whether the target gains anything on a rung. */
static bool gains(const TargetInfo *t, int rung)
{
    if (rung == BF16) return t->has_bf16;
    return rung != BF16X3 || t->has_tiles;
}

bool accuracy_is_asked(const Options *o)
{
    PassOptions p = {0};
    Diag unheard;

    diag_init(&unheard, o->arena);
    if (!o->math || math_parse(o->math, o->arena, &p, &unheard) != OK) return false;
    for (int i = 0; i < p.n_math; i++)
        if (p.math[i].how != MATH_EXACT) return true;
    return false;
}

/* ---- how far apart ---- */

typedef struct Apart {
    double largest, most, squares, norm; /* of differences, of values; sums of squares of both */
    bool differs;                        /* what has no distance */
} Apart;

static void add_float(Apart *a, double got, double want)
{
    double apart = fabs(got - want);

    if (isnan(got) && isnan(want)) return;
    if (got == want) apart = 0;
    if (!(apart < INFINITY)) a->differs = true;
    if (apart > a->largest) a->largest = apart;
    if (isfinite(want) && fabs(want) > a->most) a->most = fabs(want);
    a->squares += apart * apart;
    if (isfinite(want)) a->norm += want * want;
}

static void add_tensor(Apart *a, const ingot_tensor *got, const ingot_tensor *want, Arena *arena)
{
    DType dtype = dtype_from_onnx(want->dtype);
    int64_t n = ingot_tensor_elements(want);
    size_t step = dtype_is_float(dtype) ? (size_t)dtype_bytes(dtype) : 0;
    Comparison same = {.bits = true};
    const char *why;

    if (!step || got->dtype != want->dtype || ingot_tensor_elements(got) != n) {
        a->differs |= !tensors_agree(&same, got, want, arena, &why);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        add_float(a, dtype_load_double(dtype, (const char *)got->data + (size_t)i * step),
                  dtype_load_double(dtype, (const char *)want->data + (size_t)i * step));
}

static double share(double part, double whole)
{
    return part == 0 ? 0 : whole > 0 ? part / whole : INFINITY;
}

static void compare(Accuracy *x, int n, const ingot_tensor *got, const ingot_tensor *want,
                    Arena *arena)
{
    x->largest = x->rms = 0;
    x->outputs = n;
    for (int i = 0; i < n; i++) {
        Apart a = {0};
        add_tensor(&a, &got[i], &want[i], arena);
        x->largest = fmax(x->largest, a.differs ? INFINITY : share(a.largest, a.most));
        x->rms = fmax(x->rms, a.differs ? INFINITY : sqrt(share(a.squares, a.norm)));
    }
}

/* ---- variants ---- */

typedef struct Reference {
    const Options *o;
    const char *model, *folder;
    Variant v; /* the inputs' and the results' arena is its own */
    ingot_tensor *in, *want;
    int n;
    const char *against;
    Diag *d;
} Reference;

static const char *inputs_text(const Options *o, const char *model)
{
    const char *folder = path_folder(o->arena, model);

    if (o->input.n) return "given";
    if (path_is_folder(path_join(o->arena, folder, "test_data_set_0"))) return "test_data_set_0";
    return arena_printf(o->arena, "seed %lld", (long long)o->seed.value);
}

static Status exact_results(Reference *r, bool evaluator)
{
    Variant loaded = {0};
    Arena *a = r->v.o.arena;
    InputDims dims;
    Status s;

    TRY(variant_make(&r->v, r->folder, "exact"));
    TRY(inputs_read(&r->v.o, r->v.loaded.module, r->model, INPUT_TESTS, &r->in, r->d));
    r->n = r->v.loaded.module->main->n_result;
    r->want = ARENA_ARRAY(a, ingot_tensor, r->n);
    dims = (InputDims){r->v.loaded.module, r->in};
    if (!evaluator || cost_of_module(r->v.loaded.module, input_dim, &dims).flops > EVALUATED) {
        r->against = "exact code";
        return variant_run(&r->v, (int)r->o->threads.value, r->in, r->want, a);
    }
    r->against = "evaluator";
    s = variant_load(&r->v.o, r->model, false, &loaded, r->d);
    if (s == OK) s = evaluate(loaded.loaded.module, r->in, r->want, a, r->d);
    variant_close(&loaded);
    return s;
}

static Status open_reference(Reference *r, bool evaluator)
{
    Options exact = *r->o;

    exact.math = "exact";
    exact.emit = NULL;
    exact.dump = NULL;
    TRY(folder_temporary(r->o->arena, &r->folder, r->d));
    TRY(variant_load(&exact, r->model, false, &r->v, r->d));
    return exact_results(r, evaluator);
}

static void close_reference(Reference *r)
{
    if (r->in) inputs_free(r->v.loaded.module, r->in);
    variant_close(&r->v);
    if (r->folder) folder_remove(r->folder);
}

static Status measure(Reference *r, const char *math, Accuracy *out)
{
    Options o = r->v.o;
    ingot_tensor *got;
    Variant v;
    Status s;

    o.math = math;
    s = variant_load(&o, r->model, false, &v, r->d);
    if (s == OK) s = variant_make(&v, r->folder, "measured");
    got = ARENA_ARRAY(v.o.arena, ingot_tensor, r->n);
    if (s == OK) s = variant_run(&v, (int)r->o->threads.value, r->in, got, v.o.arena);
    if (s == OK) compare(out, r->n, got, r->want, v.o.arena);
    out->math = math;
    out->against = r->against;
    out->inputs = inputs_text(r->o, r->model);
    variant_close(&v);
    return s;
}

Status accuracy_measure(const Options *o, const char *model, Accuracy *out, Diag *d)
{
    Reference r = {.o = o, .model = model, .d = d};
    Status s = open_reference(&r, false);

    if (s == OK) s = measure(&r, o->math, out);
    close_reference(&r);
    return s;
}

/* ---- auto ---- */

static Status tolerance_of(const Options *o, double *out, Diag *d)
{
    *out = 1e-3;
    if (o->tolerance && (!parse_double(o->tolerance, out) || !(*out >= 0)))
        return diag(d, ERR_USAGE, (Where){0}, "--tolerance takes a number of at least 0, not '%s'",
                    o->tolerance);
    return OK;
}

static Status climb(Reference *r, double tolerance, Accuracy *out)
{
    TargetInfo target;

    TRY(codegen_target(r->o->target, &target, r->d));
    for (int i = BF16; i < RUNGS; i++) {
        if (!gains(&target, i)) continue;
        TRY(measure(r, ladder[i], out));
        if (out->largest <= tolerance || i == EXACT) return OK; /* nothing is nearer */
        diag_note(r->d, (Where){.file = r->model}, "--math auto: %s is off by %.3g, more than %.3g",
                  ladder[i], out->largest, tolerance);
    }
    return OK;
}

Status accuracy_choose(const Options *o, const char *model, Accuracy *out, Diag *d)
{
    Reference r = {.o = o, .model = model, .d = d};
    double tolerance;
    Status s;

    TRY(tolerance_of(o, &tolerance, d));
    s = open_reference(&r, true);
    if (s == OK) s = climb(&r, tolerance, out);
    close_reference(&r);
    return s;
}
