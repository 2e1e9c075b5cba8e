/* cmd_check.c: `ingot check`: generated code against the reference evaluator, printed C, itself. */
#include "cli/cmd_check.h"

#include <stdarg.h>
#include <stdio.h>

#include "support/io.h"

static void say(const Check *c, const char *word, const char *format, va_list args)
{
    const char *text = arena_vprintf(c->o->arena, format, args);

    printf("%s %s: %s: %s\n", word, c->model, c->what, text);
    fflush(stdout);
}

void check_passed(Check *c, const char *format, ...)
{
    va_list args;

    c->count[0]++;
    va_start(args, format);
    say(c, "ok  ", format, args);
    va_end(args);
}

void check_failed(Check *c, const char *format, ...)
{
    va_list args;

    c->count[1]++;
    va_start(args, format);
    say(c, "FAIL", format, args);
    va_end(args);
}

void check_skipped(Check *c, const char *format, ...)
{
    va_list args;

    c->count[2]++;
    va_start(args, format);
    say(c, "skip", format, args);
    va_end(args);
}

static const char *name_of(const Options *o, Diag *d)
{
    TargetInfo target;

    if (codegen_target(o->target, &target, d) != OK) return NULL;
    return arena_printf(o->arena, "%s -O%d%s", target.name,
                        o->level.given ? (int)o->level.value : 2, o->no_fold ? " --no-fold" : "");
}

static Status one(Check *c)
{
    c->what = name_of(c->o, c->d);
    if (!c->what) {
        c->what = "?";
        return diag_status(c->d);
    }
    TRY(folder_temporary(c->o->arena, &c->folder, c->d));
    Status s = c->o->bits      ? check_bits(c)
               : c->o->plain_c ? check_plain_c(c)
               : c->o->cuda    ? check_cuda(c)
                               : check_evaluator(c);
    folder_remove(c->folder);
    return s;
}

static Status matrix(Check *c)
{
    static const char *const target[] = {"x86-64-v4", "x86-64-v3", "x86-64-v2"};
    const Options *given = c->o;

    for (int i = 0; i < 12; i++) {
        Options o = *given;
        TargetInfo info;
        o.target = target[i / 4];
        o.level = (OptionINT){true, i & 1 ? 3 : 0};
        o.no_fold = (i & 2) != 0;
        c->o = &o;
        c->what = name_of(&o, c->d);
        TRY(codegen_target(o.target, &info, c->d));
        if (codegen_target_runs(&info))
            TRY(one(c));
        else
            check_skipped(c, "this processor cannot run it");
    }
    c->o = given;
    return OK;
}

Status cmd_check(const Options *o, Diag *d)
{
    Check c = {.o = o, .d = d};
    Status s;

    if (o->bits + o->plain_c + o->cuda + o->matrix > 1)
        return diag(d, ERR_USAGE, (Where){0},
                    "--bits, --c, --cuda and --matrix exclude each other");
    for (int i = 0; i < o->argument.n; i++) {
        c.model = o->argument.item[i];
        if (path_is_folder(c.model)) c.model = path_join(o->arena, c.model, "model.onnx");
        c.o = o;
        s = o->matrix ? matrix(&c) : one(&c);
        if (s == OK) continue;
        if (o->argument.n == 1) return s;
        c.o = o;
        check_failed(&c, "%s", status_text(s)); /* the messages come at the end */
    }
    printf("%d passed, %d failed, %d skipped\n", c.count[0], c.count[1], c.count[2]);
    return c.count[1] ? ERR_MISMATCH : OK;
}
