/* pipeline.c: the table of passes, and the runner that alone verifies, dumps, times, skips and
 * bisects. */
#include <string.h>
#include <time.h>

#include "passes/pass.h"
#include "support/io.h"

const Pass pass_pipeline[] = {
    {"dims", "--dim into types", 0, true, false, STAGE_INFERRED, pass_dims},
    /* before fold, which would make floats of quantised weights */
    {"unsigned", "signed activations as unsigned bytes", 1, false, true, STAGE_INFERRED,
     pass_unsigned},
    {"qdq", "quantised integers instead of floats", 1, false, false, STAGE_INFERRED, pass_qdq},
    {"fold", "constants, by the evaluator", 1, false, true, STAGE_INFERRED, pass_fold},
    {"simplify", "what equals a value that is there", 1, false, true, STAGE_INFERRED,
     pass_simplify},
    /* again: what simplify opened (a branch taken, a shape known) */
    {"fold", "constants, by the evaluator", 1, false, true, STAGE_INFERRED, pass_fold},
    {"dce", "what nobody reads", 0, true, true, STAGE_INFERRED, pass_dce},
    {"cse", "equal nodes once", 1, false, false, STAGE_INFERRED, pass_cse},
    {"lower", "operators to primitives", 0, true, false, STAGE_LOWERED, pass_lower},
    {"cse", "equal nodes once", 1, false, false, STAGE_LOWERED, pass_cse},
    {"dce", "what nobody reads", 0, true, true, STAGE_LOWERED, pass_dce},
    {"layout", "order of axes in memory", 1, false, false, STAGE_LOWERED, pass_layout},
    {"fuse", "which primitives share a kernel", 1, false, true, STAGE_FUSED, pass_fuse},
    {"widen", "16-bit floats that are read often as f32", 1, false, false, STAGE_FUSED, pass_widen},
    {"halo", "windows of convolutions without guards", 1, false, false, STAGE_FUSED, pass_halo},
    /* behind halo, whose frames its transforms read and fill */
    {"winograd", "3 x 3 convolutions in another basis, if asked for", 1, false, false, STAGE_FUSED,
     pass_winograd},
    {"bf16", "products of rounded numbers, if asked for", 1, false, false, STAGE_FUSED, pass_bf16},
    /* behind bf16: a piece's rounded copy is no piece */
    {"concat", "pieces made within the whole", 1, false, false, STAGE_FUSED, pass_concat},
    {"dce", "what nobody reads", 0, true, true, STAGE_FUSED, pass_dce},
    {0},
};

bool pass_accept(PassContext *cx)
{
    if (cx->options->bisect >= 0 && cx->accepted >= cx->options->bisect) return false;
    cx->accepted++;
    return true;
}

/* `list` is "a,b,c" or "all". */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);

    if (!list) return false;
    if (strcmp(list, "all") == 0) return true;
    for (const char *s = list; *s;) {
        size_t item = strcspn(s, ",");
        if (item == n && strncmp(s, name, n) == 0) return true;
        s += item;
        s += *s == ',';
    }
    return false;
}

static FILE *dump_file(const PassOptions *o)
{
    return o->dump_to ? o->dump_to : stderr;
}

static Status dump(PassContext *cx, Module *m, const Pass *p, int step, bool changed)
{
    const PassOptions *o = cx->options;
    Text text;

    text_init(&text, cx->scratch);
    text_f(&text, "; after %s%s\n", p->name, changed ? "" : " (unchanged)");
    if (changed || o->dump_dir) graph_print(m, &text);
    if (!o->dump_dir) {
        fwrite(text.s, 1, text.n, dump_file(o));
        return OK;
    }
    const char *name = arena_printf(cx->scratch, "%02d-%s.ir", step, p->name);
    return file_write_all(path_join(cx->scratch, o->dump_dir, name), 0644, text.s, text.n,
                          cx->diag);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static Status run_one(PassContext *cx, Module *m, const Pass *p, int step, bool *changed)
{
    const PassOptions *o = cx->options;
    ArenaMark mark = arena_mark(cx->scratch);
    double start = o->time ? seconds() : 0;

    *changed = false;
    if (p->uses) analysis_uses(m);
    TRY(p->run(cx, m, changed));
    if (!arena_ok(m->arena))
        return diag(cx->diag, ERR_LIMIT, (Where){.file = m->file}, "%s: out of memory", p->name);
    if (o->time) fprintf(dump_file(o), "%-10s %8.2f ms\n", p->name, (seconds() - start) * 1e3);
    if (o->verify_each && graph_verify(m, p->after, cx->diag) != OK)
        return diag(cx->diag, ERR_BUG, (Where){.file = m->file, .node = p->name},
                    "the graph is broken after this pass");
    if (listed(o->dump, p->name)) TRY(dump(cx, m, p, step, *changed));
    arena_reset(cx->scratch, mark);
    return OK;
}

static Status with_context(const PassOptions *o, Diag *d, PassContext *cx)
{
    *cx = (PassContext){.options = o, .diag = d, .scratch = arena_new(0)};
    if (!cx->scratch) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    return OK;
}

static bool wanted(const PassOptions *o, const Pass *p)
{
    return p->required || (o->level >= p->level && !listed(o->skip, p->name));
}

/* Up to the pass `last`, or all; changed: by the last one that ran. */
static Status run_until(Module *m, const PassOptions *o, const Pass *last, bool *changed, Diag *d)
{
    PassContext cx;
    Status s;
    int step = 0;

    *changed = false;
    TRY(with_context(o, d, &cx));
    s = OK;
    for (const Pass *p = pass_pipeline; p->name && s == OK; p++, step++) {
        *changed = false;
        if (wanted(o, p)) s = run_one(&cx, m, p, step, changed);
        if (p == last) break;
    }
    arena_free(cx.scratch);
    return s;
}

Status pass_run_all(Module *m, const PassOptions *o, Diag *d)
{
    bool changed;

    return run_until(m, o, NULL, &changed, d);
}

Status pass_run_quantised(Module *m, const PassOptions *o, bool *changed, Diag *d)
{
    const Pass *p = pass_pipeline;

    while (p->run != pass_qdq)
        p++;
    return run_until(m, o, p, changed, d);
}

Status pass_run_one(Module *m, const char *name, const PassOptions *o, bool *changed, Diag *d)
{
    PassContext cx;
    Status s;

    for (const Pass *p = pass_pipeline; p->name; p++) {
        if (strcmp(p->name, name) != 0) continue;
        TRY(with_context(o, d, &cx));
        s = run_one(&cx, m, p, 0, changed);
        arena_free(cx.scratch);
        return s;
    }
    return diag(d, ERR_USAGE, (Where){0}, "there is no pass '%s'; ingot pass --list names them",
                name);
}
