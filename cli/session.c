/* session.c: the road of a model as commands take it: load, passes, code, artifact. */
#include <string.h>

#include "cli/cli.h"
#include "codegen/link/link.h"

static Status parse_fixes(const Options *o, PassOptions *out, Diag *d)
{
    DimFix *fix = ARENA_ARRAY(o->arena, DimFix, o->dim.n);

    for (int i = 0; i < o->dim.n; i++) {
        const char *s = o->dim.item[i], *at = strrchr(s, '=');
        if (!at || at == s || !parse_i64(at + 1, &fix[i].value) || fix[i].value < 0)
            return diag(d, ERR_USAGE, (Where){0}, "--dim takes NAME=N with N >= 0, not '%s'", s);
        fix[i].name = arena_strndup(o->arena, s, (size_t)(at - s));
    }
    out->fix = fix;
    out->n_fix = o->dim.n;
    return OK;
}

static Status level_of(const Options *o, int *out, Diag *d)
{
    *out = 2;
    if (!o->level.given) return OK;
    if (o->level.value < 0 || o->level.value > 3)
        return diag(d, ERR_USAGE, (Where){0}, "-O takes 0 to 3");
    *out = (int)o->level.value;
    return OK;
}

Status session_passes(const Options *o, TargetInfo *target, PassOptions *out, Diag *d)
{
    *out = (PassOptions){.skip = o->skip_pass,
                         .dump = o->dump,
                         .dump_dir = o->dump_dir,
                         .verify_each = o->verify_each,
                         .time = o->time_passes,
                         .bisect = o->bisect_pass.given ? o->bisect_pass.value : -1,
                         .no_fold = o->no_fold,
                         .target = target};
    if (o->math) TRY(math_parse(o->math, o->arena, out, d));
    TRY(level_of(o, &out->level, d));
    TRY(parse_fixes(o, out, d));
    return codegen_target(o->target, target, d);
}

Status session_load(const Options *o, const char *model, Loaded *out, Diag *d)
{
    FrontendOptions f = {.external_data = o->external_data};

    *out = (Loaded){0};
    TRY(user_ops_known(o, &f, d));
    if (o->memory_limit.given) {
        if (o->memory_limit.value < 1 || o->memory_limit.value > INT64_MAX >> 20)
            return diag(d, ERR_USAGE, (Where){0}, "--memory-limit takes MiB, at least 1");
        f.memory_limit = (size_t)o->memory_limit.value << 20;
    }
    if (o->max_nodes.given) {
        if (o->max_nodes.value < 1)
            return diag(d, ERR_USAGE, (Where){0}, "--max-nodes takes a number of at least 1");
        f.max_nodes = o->max_nodes.value;
    }
    if (o->model_bytes)
        return frontend_load_bytes(o->model_bytes, o->model_size, model, &f, o->arena, out, d);
    return frontend_load(model, &f, o->arena, out, d);
}

Status session_fuse(const Options *o, Module *m, Diag *d)
{
    TargetInfo target;
    PassOptions p;

    TRY(session_passes(o, &target, &p, d));
    return pass_run_all(m, &p, d);
}

Status session_quantise(const Options *o, Module *m, bool *changed, Diag *d)
{
    TargetInfo target;
    PassOptions p;

    TRY(session_passes(o, &target, &p, d));
    return pass_run_quantised(m, &p, changed, d);
}

Status session_codegen(const Options *o, Module *m, const char *symbol, Code *out, Diag *d)
{
    CodegenOptions c = {.target = o->target,
                        .symbol = symbol,
                        .flush_subnormals = o->flush_subnormals,
                        .keep_asm = o->emit && !strcmp(o->emit, "asm"),
                        .keep_llvm = o->emit && !strcmp(o->emit, "llvm"),
                        .tune = o->tiles,
                        .c_source = o->c_source};

    TRY(level_of(o, &c.level, d));
    if (o->threads.given && (o->threads.value < 0 || o->threads.value > 4096))
        return diag(d, ERR_USAGE, (Where){0}, "--threads takes 0 to 4096");
    if (o->jobs.given && (o->jobs.value < 0 || o->jobs.value > 4096))
        return diag(d, ERR_USAGE, (Where){0}, "--jobs takes 0 to 4096");
    c.jobs = (int)o->jobs.value;
    return codegen_compile(m, &c, o->arena, out, d);
}

typedef Status (*LinkForm)(const LinkInput *in, const char *path, Diag *d);

static LinkForm link_form(const char *form)
{
    static const struct {
        const char *name;
        LinkForm link;
    } forms[] = {{"exe", link_exe},
                 {"lib", link_static},
                 {"shared", link_shared},
                 {"obj", link_object},
                 {"header", link_header}};

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].name, form) == 0) return forms[i].link;
    return NULL;
}

Status session_link_with(const Options *o, const Module *m, const Code *code, const char *symbol,
                         const char *form, const char *path, int n_more, const CodeObject *more,
                         Diag *d)
{
    LinkBytes *objects = ARENA_ARRAY(o->arena, LinkBytes, code->n_object + n_more + o->op.n);
    CodeObject *own = ARENA_ARRAY(o->arena, CodeObject, o->op.n);
    LinkForm link = link_form(form);
    TargetInfo target;
    LinkInput in;
    int n_own, n = 0;

    TRY(user_ops_objects(o, own, &n_own, d));
    for (int i = 0; i < code->n_object; i++)
        objects[n++] = (LinkBytes){code->object[i].data, code->object[i].size};
    for (int i = 0; i < n_more; i++)
        objects[n++] = (LinkBytes){more[i].data, more[i].size};
    for (int i = 0; i < n_own; i++)
        objects[n++] = (LinkBytes){own[i].data, own[i].size};
    TRY(codegen_target(o->target, &target, d));
    in = (LinkInput){.name = symbol,
                     .objects = objects,
                     .n_objects = n,
                     .weights = code->weights,
                     .n_inputs = m->main->n_arg,
                     .n_outputs = m->main->n_result,
                     .target = target.name,
                     .arena_size = code->arena_size,
                     .codecs = codegen_needs_codecs(m),
                     .linker = o->linker,
                     .keep_symbols = o->keep_symbols};
    codegen_ports(m, o->arena, &in.inputs, &in.outputs);
    if (!link) return diag(d, ERR_USAGE, (Where){0}, "there is no form '%s' of artifact", form);
    return link(&in, path, d);
}

Status session_link(const Options *o, const Module *m, const Code *code, const char *symbol,
                    const char *form, const char *path, Diag *d)
{
    return session_link_with(o, m, code, symbol, form, path, 0, NULL, d);
}

const char *session_symbol(Arena *a, const char *path)
{
    const char *name = path_name(path), *dot = strrchr(name, '.');
    size_t n = dot && dot != name ? (size_t)(dot - name) : strlen(name);

    if (n > 3 && strncmp(name, "lib", 3) == 0 && dot) {
        name += 3;
        n -= 3;
    }
    return link_identifier(a, arena_strndup(a, name, n));
}
