/* check_values.c: generated code against the reference evaluator (close), and against the same
 * kernels printed as C (the same bits). When an output differs, all intermediates are looked at, so
 * that the first tensor that differs is named. */
#include <math.h>

#include "cli/cmd_check.h"
#include "cli/inputs.h"
#include "support/str.h"

/* ---- comparing ---- */

static double largest(const ingot_tensor *t)
{
    int64_t n = ingot_tensor_elements(t);
    DType dtype = dtype_from_onnx(t->dtype);
    double most = 0;

    if (!dtype_is_float(dtype)) return 0;
    for (int64_t i = 0; i < n; i++) {
        double v = fabs(dtype_load_double(dtype, (const char *)t->data + i * dtype_bytes(dtype)));
        if (isfinite(v) && v > most) most = v;
    }
    return most;
}

/* Numbers far below the largest of a tensor are differences of larger ones. */
static Comparison scaled(const Comparison *how, const ingot_tensor *want)
{
    Comparison c = *how;

    if (c.scaled && c.atol < 1e-5 * largest(want)) c.atol = 1e-5 * largest(want);
    return c;
}

int check_first_difference(const Comparison *how, const Module *m, const ingot_tensor *a,
                           const ingot_tensor *b, int n_first, Arena *arena, const char **why)
{
    int n = m->main->n_result;

    for (int i = 0; i < n; i++) {
        int k = (i + n_first) % n; /* intermediates, behind the outputs, are computed before */
        Comparison c = scaled(how, &b[k]);
        if (!tensors_agree(&c, &a[k], &b[k], arena, why)) return k;
    }
    return -1;
}

/* ---- the evaluator ---- */

typedef struct Sides {
    Variant code, reference; /* reference: the evaluator's, or kernels as C */
    ingot_tensor *in, *got, *want;
    int n_output; /* of the model itself */
    Comparison how;
    Text c_source;
} Sides;

static Status tolerance(const Check *c, Sides *s)
{
    TRY(comparison_read(path_folder(c->o->arena, c->model), c->o->arena, &s->how, c->d));
    if (c->o->rtol && (!parse_double(c->o->rtol, &s->how.rtol) || !(s->how.rtol >= 0)))
        return diag(c->d, ERR_USAGE, (Where){0}, "--rtol takes a number of at least 0");
    if (c->o->atol && (!parse_double(c->o->atol, &s->how.atol) || !(s->how.atol >= 0)))
        return diag(c->d, ERR_USAGE, (Where){0}, "--atol takes a number of at least 0");
    s->how.scaled = !c->o->atol;
    return OK;
}

static Status prepare(Check *c, bool tensors, Sides *s)
{
    TRY(variant_load(c->o, c->model, tensors, &s->code, c->d));
    TRY(variant_load(c->o, c->model, tensors, &s->reference, c->d));
    s->n_output = s->code.loaded.module->main->n_result;
    TRY(variant_make(&s->code, c->folder, tensors ? "tensors" : "model"));
    TRY(inputs_read(&s->code.o, s->code.loaded.module, c->model, INPUT_TESTS, &s->in, c->d));
    s->got = ARENA_ARRAY(s->code.o.arena, ingot_tensor, s->n_output);
    s->want = ARENA_ARRAY(s->code.o.arena, ingot_tensor, s->n_output);
    return variant_run(&s->code, (int)c->o->threads.value, s->in, s->got, s->code.o.arena);
}

static void finish(Sides *s)
{
    if (s->in) inputs_free(s->code.loaded.module, s->in);
    variant_close(&s->code);
    variant_close(&s->reference);
}

static Status against_evaluator(Check *c, bool tensors, Sides *s)
{
    TRY(prepare(c, tensors, s));
    TRY(tolerance(c, s));
    return evaluate(s->reference.loaded.module, s->in, s->want, s->reference.o.arena, c->d);
}

static Status against_c(Check *c, bool tensors, Sides *s)
{
    TRY(prepare(c, tensors, s));
    s->how.bits = true;
    text_init(&s->c_source, s->reference.o.arena);
    s->reference.o.c_source = &s->c_source;
    TRY(variant_make(&s->reference, c->folder, tensors ? "tensors_c" : "model_c"));
    return variant_run(&s->reference, 1, s->in, s->want, s->reference.o.arena);
}

static const char *tensor_name(const Check *c, const Sides *s, int k)
{
    const Module *m = s->reference.loaded.module;
    const Node *n = m->main->result[k]->def;
    const char *op = n && n->origin && n->origin->op ? n->origin->op : "";
    const char *node = n && n->origin && n->origin->node ? n->origin->node : "";

    return arena_printf(c->o->arena, "tensor '%s'%s%s%s%s", m->output_name[k], *op ? " of " : "",
                        op, *node ? " " : "", node);
}

typedef Status (*Against)(Check *c, bool tensors, Sides *s);

/* -1 when all agree. */
static Status look(Check *c, Against against, bool tensors, int *n_model, int *at,
                   const char **name, const char **why, int *compared)
{
    Sides s = {0};
    Status status = against(c, tensors, &s);

    if (status == OK) {
        if (!tensors) *n_model = s.n_output;
        *compared = s.n_output;
        *at = check_first_difference(&s.how, s.reference.loaded.module, s.got, s.want,
                                     tensors ? *n_model : 0, c->o->arena, why);
        if (*at >= 0) *name = tensor_name(c, &s, *at);
    }
    finish(&s);
    return status;
}

static Status check_against(Check *c, Against against, const char *what)
{
    const char *name = NULL, *why = NULL, *inner_name, *inner_why;
    int n_model = 0, at = -1, compared = 0, inner = -1;

    TRY(look(c, against, false, &n_model, &at, &name, &why, &compared));
    if (at >= 0 || c->o->tensors)
        TRY(look(c, against, true, &n_model, &inner, &inner_name, &inner_why, &compared));
    if (inner >= 0)
        check_failed(c, "%s: %s: %s", what, inner_name, inner_why);
    else if (at >= 0)
        check_failed(c, "%s: %s: %s; its intermediates agree", what, name, why);
    else
        check_passed(c, "%s: %d tensors agree", what, compared);
    return OK;
}

Status check_evaluator(Check *c)
{
    return check_against(c, against_evaluator, "evaluator");
}

Status check_plain_c(Check *c)
{
    return check_against(c, against_c, "printed C");
}
