/* golden_run.c: one pass alone, on text.
 *
 *     golden_run [--update] FILE...
 *
 * A FILE holds comments (;) and a command, a line of four dashes, IR text, a line of four dashes,
 * and what is expected: IR text, or `error: ` and a part of the message. Commands:
 *
 *     print STAGE              parse, verify as imported, inferred, lowered or fused, print
 *     pass NAME [n=8]...       one pass; names with = fix dims
 *     pass all [n=8]...        the whole pipeline
 *     pass NAME --math RULES   other arithmetic than exact
 *
 * Held besides, without being written down: the result verifies, it parses back to the same text,
 * and the pass changes nothing when it runs again. --update rewrites what is expected. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pass.h"
#include "support/io.h"

#define SEPARATOR "----\n"
#define MAX_FIX   8

typedef struct Case {
    const char *file, *name; /* as given; in messages */
    const char *command, *in, *want;
    size_t head; /* bytes before `want` */
    Arena *arena;
    Diag diag;
} Case;

static char *cut(char *text)
{
    char *line = text;
    while (line && strncmp(line, SEPARATOR, 5) != 0) {
        line = strchr(line, '\n');
        if (line) line++;
    }
    if (!line) return NULL;
    *line = 0;
    return line + 5;
}

/* The first line that is no comment. */
static char *find_command(char *text)
{
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (line[0] != ';') return line;
    return NULL;
}

static bool case_read(Case *c, char *text)
{
    char *in = cut(text), *want = in ? cut(in) : NULL;
    if (!want) return false;
    c->head = (size_t)(want - text);
    c->in = in;
    c->want = want;
    c->command = find_command(text);
    return c->command != NULL;
}

static bool stage_named(const char *name, GraphStage *out)
{
    static const char *const names[] = {"imported", "inferred", "lowered", "fused"};
    for (int i = 0; i < 4; i++) {
        *out = (GraphStage)i;
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

/* Passes as they are run in the pipeline, with what it says holds after each. */
static GraphStage stage_after(const char *pass)
{
    for (const Pass *p = pass_pipeline; p->name; p++)
        if (strcmp(p->name, pass) == 0) return p->after;
    return STAGE_FUSED;
}

typedef struct Command {
    const char *verb, *name;
    PassOptions options;
    DimFix fix[MAX_FIX];
} Command;

static bool command_parse(Case *c, Command *k)
{
    char *line = arena_strdup(c->arena, c->command);
    *k = (Command){.verb = strtok(line, " "), .name = strtok(NULL, " ")};
    k->options = (PassOptions){.level = 2, .bisect = -1, .verify_each = true, .fix = k->fix};
    for (char *word = strtok(NULL, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        if (strcmp(word, "--math") == 0) {
            const char *rules = strtok(NULL, " ");
            if (!rules || math_parse(rules, c->arena, &k->options, &c->diag) != OK) return false;
            continue;
        }
        if (!value || k->options.n_fix == MAX_FIX) return false;
        *value = 0;
        if (!parse_i64(value + 1, &k->fix[k->options.n_fix].value)) return false;
        k->fix[k->options.n_fix++].name = word;
    }
    return k->verb && k->name;
}

static Status apply(Case *c, const Command *k, Module *m)
{
    GraphStage stage;
    bool changed;
    if (strcmp(k->verb, "print") == 0) {
        if (!stage_named(k->name, &stage))
            return diag(&c->diag, ERR_USAGE, (Where){0}, "unknown stage");
        return graph_verify(m, stage, &c->diag);
    }
    if (strcmp(k->verb, "pass") != 0)
        return diag(&c->diag, ERR_USAGE, (Where){0}, "unknown command");
    if (strcmp(k->name, "all") == 0) return pass_run_all(m, &k->options, &c->diag);
    TRY(pass_run_one(m, k->name, &k->options, &changed, &c->diag));
    return graph_verify(m, stage_after(k->name), &c->diag);
}

static Status run_text(Case *c, const Command *k, const char *in, Text *out)
{
    Module *m;
    text_init(out, c->arena);
    TRY(graph_parse(c->arena, in, c->name, &m, &c->diag));
    TRY(apply(c, k, m));
    graph_print_data(m, out);
    graph_print(m, out);
    return OK;
}

/* What the command gives: IR text, or the errors. */
static const char *result_of(Case *c, const Command *k, bool *failed)
{
    Text out;
    *failed = run_text(c, k, c->in, &out) != OK;
    if (!*failed) return out.s;
    text_init(&out, c->arena);
    for (const DiagItem *i = c->diag.first; i; i = i->next)
        if (i->severity == DIAG_ERROR) text_f(&out, "error: %s\n", diag_format(i, c->arena));
    return out.s;
}

/* The first line in which two texts differ. */
static void show_difference(const Case *c, const char *want, const char *got)
{
    int line = 1;
    while (*want && *want == *got) {
        line += *want == '\n';
        want++;
        got++;
    }
    while (line > 1 && want[-1] != '\n') {
        want--;
        got--;
    }
    printf("%s: line %d of the result\n  want: %.*s\n  got:  %.*s\n", c->file, line,
           (int)strcspn(want, "\n"), want, (int)strcspn(got, "\n"), got);
}

static bool matches(const char *want, const char *got, bool failed)
{
    if (!failed) return strcmp(want, got) == 0;
    const char *part = str_starts(want, "error: ") ? want + 7 : want;
    size_t n = strcspn(part, "\n");
    for (const char *s = got; *s; s++)
        if (strncmp(s, part, n) == 0) return str_starts(want, "error: ") && n > 0;
    return false;
}

static bool run_again(Case *c, const Command *k, const char *got)
{
    Text twice;
    Module *m;
    Text parsed;
    text_init(&parsed, c->arena);
    if (graph_parse(c->arena, got, c->name, &m, &c->diag) == OK) {
        graph_print_data(m, &parsed);
        graph_print(m, &parsed);
    }
    if (strcmp(parsed.s, got) != 0) {
        printf("%s: what was printed does not parse back\n", c->file);
        show_difference(c, got, parsed.s);
        return false;
    }
    /* the whole pipeline takes operators only, and a dim that is fixed is gone */
    if (strcmp(k->name, "all") == 0 || k->options.n_fix) return true;
    if (run_text(c, k, got, &twice) != OK || strcmp(twice.s, got) != 0) {
        printf("%s: a second run changes something\n", c->file);
        show_difference(c, got, twice.s);
        return false;
    }
    return true;
}

static bool update(const Case *c, const FileBytes *bytes, const char *got)
{
    FILE *f = fopen(c->file, "w");
    if (!f) return false;
    fwrite(bytes->data, 1, c->head, f);
    fputs(got, f);
    return fclose(f) == 0;
}

static bool run_case(Case *c, const FileBytes *bytes, bool rewrite)
{
    Command k;
    bool failed;
    char *text = arena_strndup(c->arena, (const char *)bytes->data, bytes->size);
    diag_init(&c->diag, c->arena);
    if (!case_read(c, text) || !command_parse(c, &k)) {
        printf("%s: not a case: command, ----, text, ----, result\n", c->file);
        return false;
    }
    const char *got = result_of(c, &k, &failed);
    if (!matches(c->want, got, failed)) {
        if (rewrite) return update(c, bytes, got);
        show_difference(c, c->want, got);
        return false;
    }
    return failed || run_again(c, &k, got);
}

static bool run_file(const char *file, bool rewrite)
{
    Case c = {.file = file, .name = path_name(file), .arena = arena_new(0)};
    FileBytes bytes;
    diag_init(&c.diag, c.arena);
    bool ok = file_read(file, &bytes, &c.diag) == OK;
    if (ok) {
        ok = run_case(&c, &bytes, rewrite);
        file_close(&bytes);
    } else {
        printf("%s: cannot be read\n", file);
    }
    arena_free(c.arena);
    return ok;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--update") == 0;
    int failed = 0, count = 0;
    for (int i = 1 + rewrite; i < argc; i++, count++)
        failed += !run_file(argv[i], rewrite);
    printf("%d passed, %d failed\n", count - failed, failed);
    return failed || !count;
}
