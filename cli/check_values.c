/* check_values.c: generated code against the reference evaluator (close), and against the same
 * kernels printed as C (the same bits). When an output differs, all intermediates are looked at, so
 * that the first tensor that differs is named.
 *
 * Where integers take the place of the floats between a net's bytes, single bytes round to the
 * other side, and later layers spread that. Such a net is held against the evaluator twice: the
 * generated code closely, against the graph with its integers; and that graph, as a whole, against
 * the one in the file. */
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
    int n_output;   /* of the model itself */
    bool quantised; /* the evaluator's graph has integers that the file's has not */
    Comparison how;
    Text c_source;
} Sides;

/* Of the floats of a net and its integers, over each whole output. */
#define QUANTISED_SIMILARITY 0.995

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

static Status load(Check *c, bool tensors, Sides *s)
{
    TRY(variant_load(c->o, c->model, tensors, &s->code, c->d));
    TRY(variant_load(c->o, c->model, tensors, &s->reference, c->d));
    s->n_output = s->code.loaded.module->main->n_result;
    s->got = ARENA_ARRAY(s->code.o.arena, ingot_tensor, s->n_output);
    s->want = ARENA_ARRAY(s->code.o.arena, ingot_tensor, s->n_output);
    return OK;
}

/* Once --dim stands in the types. */
static Status read_inputs(Check *c, Sides *s)
{
    return inputs_read(&s->code.o, s->code.loaded.module, c->model, INPUT_TESTS, &s->in, c->d);
}

static Status prepare(Check *c, bool tensors, Sides *s)
{
    TRY(load(c, tensors, s));
    TRY(variant_make(&s->code, c->folder, tensors ? "tensors" : "model"));
    TRY(read_inputs(c, s));
    return variant_run(&s->code, (int)c->o->threads.value, s->in, s->got, s->code.o.arena);
}

static void finish(Sides *s)
{
    if (s->in) inputs_free(s->code.loaded.module, s->in);
    variant_close(&s->code);
    variant_close(&s->reference);
}

static Status by_evaluator(Check *c, const Variant *v, const Sides *s, ingot_tensor *out)
{
    return evaluate(v->loaded.module, s->in, out, v->o.arena, c->d);
}

static Status against_evaluator(Check *c, bool tensors, Sides *s)
{
    Variant *v = &s->reference;

    TRY(prepare(c, tensors, s));
    TRY(tolerance(c, s));
    TRY(session_quantise(&v->o, v->loaded.module, &s->quantised, c->d));
    return by_evaluator(c, v, s, s->want);
}

/* The graph with integers takes the place of the code. */
static Status against_floats(Check *c, bool tensors, Sides *s)
{
    TRY(load(c, tensors, s));
    TRY(session_quantise(&s->code.o, s->code.loaded.module, &s->quantised, c->d));
    TRY(read_inputs(c, s));
    TRY(by_evaluator(c, &s->code, s, s->got));
    s->how = (Comparison){.cosine = true, .whole = true, .similarity = QUANTISED_SIMILARITY};
    return by_evaluator(c, &s->reference, s, s->want);
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

typedef struct Look {
    int at; /* the first that differs; -1: all agree */
    const char *name, *why;
    int compared;
    bool quantised;
} Look;

static Status look(Check *c, Against against, bool tensors, int n_model, Look *out)
{
    Sides s = {0};
    Status status = against(c, tensors, &s);

    *out = (Look){.at = -1, .compared = s.n_output, .quantised = s.quantised};
    if (status == OK)
        out->at = check_first_difference(&s.how, s.reference.loaded.module, s.got, s.want, n_model,
                                         c->o->arena, &out->why);
    if (out->at >= 0) out->name = tensor_name(c, &s, out->at);
    finish(&s);
    return status;
}

static Status check_against(Check *c, Against against, const char *what, bool *quantised)
{
    Look model, inner = {.at = -1};

    TRY(look(c, against, false, 0, &model));
    if (model.at >= 0 || c->o->tensors) TRY(look(c, against, true, model.compared, &inner));
    if (inner.at >= 0)
        check_failed(c, "%s: %s: %s", what, inner.name, inner.why);
    else if (model.at >= 0)
        check_failed(c, "%s: %s: %s; its intermediates agree", what, model.name, model.why);
    else
        check_passed(c, "%s: %d tensors agree", what,
                     inner.compared ? inner.compared : model.compared);
    if (quantised) *quantised = model.quantised;
    return OK;
}

static Status check_floats(Check *c)
{
    Look f;

    TRY(look(c, against_floats, false, 0, &f));
    if (f.at >= 0)
        check_failed(c, "integers in place of floats: %s: %s", f.name, f.why);
    else
        check_passed(c, "integers in place of floats: cosine at least %g", QUANTISED_SIMILARITY);
    return OK;
}

Status check_evaluator(Check *c)
{
    bool quantised;

    TRY(check_against(c, against_evaluator, "evaluator", &quantised));
    return quantised ? check_floats(c) : OK;
}

Status check_plain_c(Check *c)
{
    return check_against(c, against_c, "printed C", NULL);
}
