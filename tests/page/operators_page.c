/* operators_page.c: docs/OPERATORS.md, from the op table, the upgrade table, the list of calls, the
 * cases in tests/ops and what the conformance run has recorded. Nothing in it is written by hand.
 *
 *   operators_page            prints it
 *   operators_page --check    compares it with the file; exit status 1 when that is stale
 *
 * Run in the root of the tree. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "ir/op.h"
#include "support/io.h"
#include "support/map.h"

#define PAGE   "docs/OPERATORS.md"
#define CASES  "tests/ops"
#define RECORD "tests/conformance/operators.txt"

typedef struct Page {
    Arena *arena;
    Text t;
    Diag *diag;
    Map cases, tests; /* "domain/name" -> files of cases; number of conformance tests, as text */
} Page;

static const char *domain_of(const OpDef *op)
{
    return op->domain ? op->domain : "ai.onnx";
}

static const char *key_of(Page *p, const char *domain, const char *name)
{
    return arena_printf(p->arena, "%s/%s", domain, name);
}

/* ---- what the tests say ---- */

/* A text file with its ends of lines replaced by NUL: calls `each` for every line. */
static Status each_line(Page *p, const char *path,
                        void (*each)(Page *p, const char *file, char *line))
{
    char *text, *save = NULL;
    FileBytes bytes;

    TRY(file_read(path, &bytes, p->diag));
    text = arena_strndup(p->arena, (const char *)bytes.data, bytes.size);
    file_close(&bytes);
    for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
        each(p, path, s);
    return OK;
}

/* "op NAME" or "op DOMAIN/NAME" */
static void note_case(Page *p, const char *file, char *line)
{
    const char *base = strrchr(file, '/') + 1, *key, *had;
    int n = (int)strlen(base) - (int)strlen(".test");

    if (!str_starts(line, "op ")) return;
    key = strchr(line, '/') ? line + 3 : key_of(p, "ai.onnx", line + 3);
    had = map_get(&p->cases, key);
    if (had && strstr(had, arena_printf(p->arena, "%.*s", n, base))) return;
    map_set(&p->cases, key,
            (void *)(uintptr_t)arena_printf(p->arena, "%s%s%.*s", had ? had : "", had ? ", " : "",
                                            n, base));
}

/* "NUMBER DOMAIN/NAME" */
static void note_tests(Page *p, const char *file, char *line)
{
    char *space = strchr(line, ' ');

    (void)file;
    if (*line == '#' || !space) return;
    *space = 0;
    map_set(&p->tests, space + 1, line);
}

static int is_case(const struct dirent *e)
{
    return str_ends(e->d_name, ".test");
}

static Status read_tests(Page *p)
{
    struct dirent **file;
    int n = scandir(CASES, &file, is_case, alphasort);
    Status s = n < 0 ? diag(p->diag, ERR_IO, (Where){.file = CASES}, "cannot be read") : OK;

    map_init(&p->cases, p->arena, true);
    map_init(&p->tests, p->arena, true);
    for (int i = 0; i < n; i++) {
        if (s == OK)
            s = each_line(p, arena_printf(p->arena, CASES "/%s", file[i]->d_name), note_case);
        free(file[i]);
    }
    if (n >= 0) free(file);
    return s == OK ? each_line(p, RECORD, note_tests) : s;
}

/* ---- dtypes ---- */

#define T_COMPLEX (DT_BIT(DT_C64) | DT_BIT(DT_C128))

static const struct {
    const char *name;
    unsigned types;
} groups[] = {{"floats", T_FLOAT},           {"narrow floats", T_FLOAT_NARROW},
              {"integers", T_INT},           {"signed integers", T_SINT},
              {"unsigned integers", T_UINT}, {"narrow integers", T_INT_NARROW},
              {"complex", T_COMPLEX}};

enum { N_GROUPS = sizeof groups / sizeof *groups };

static unsigned every_dtype(void)
{
    unsigned all = 0;

    for (int t = DT_NONE + 1; t < DT_COUNT; t++)
        all |= DT_BIT(t);
    return all;
}

static void put_item(Text *t, bool *first, const char *s)
{
    if (!*first) text_put(t, ", ");
    text_put(t, s);
    *first = false;
}

static void put_single(Text *t, unsigned types, bool first)
{
    for (int k = DT_NONE + 1; k < DT_COUNT; k++)
        if (types & DT_BIT(k)) put_item(t, &first, dtype_text((DType)k));
}

static void put_dtypes(Text *t, unsigned types)
{
    unsigned left = types & every_dtype(), without = every_dtype() & ~left;
    bool first = true;

    if (types == 0)
        text_put(t, "any value");
    else if (!without)
        text_put(t, "all");
    else if (!(without & ~(T_STRING | T_COMPLEX))) {
        text_put(t, "all but ");
        put_dtypes(t, without);
    } else {
        for (int g = 0; g < N_GROUPS; g++) {
            if ((left & groups[g].types) != groups[g].types) continue;
            put_item(t, &first, groups[g].name);
            left &= ~groups[g].types;
        }
        put_single(t, left, first);
    }
}

/* Is it one of the inputs' dtype? */
static bool bound(const OpDef *op, const PortDef *out)
{
    for (const PortDef *in = op->in; out->var && in->name; in++)
        if (in->var && strcmp(in->var, out->var) == 0) return true;
    return false;
}

/* Ports of the same dtypes are named together; a name alone says nothing when all are the same. */
static void put_ports(Text *t, const PortDef *ports)
{
    for (const PortDef *p = ports; p->name; p++) {
        const PortDef *same = ports;
        bool alone = p == ports;

        while (same->types != p->types)
            same++;
        if (same != p) continue; /* named already */
        for (const PortDef *q = ports; q->name; q++)
            alone &= q->types == p->types;
        if (p != ports) text_put(t, "; ");
        for (const PortDef *q = p; q->name && !alone; q++)
            if (q->types == p->types) text_f(t, "%s%s", q == p ? "" : ", ", q->name);
        if (!alone) text_put(t, ": ");
        put_dtypes(t, p->types);
    }
}

/* Results are said where they are not bound to an operand's dtype and have not all those anyway. */
static void put_results(Text *t, const OpDef *op)
{
    bool first = true;

    for (const PortDef *p = op->out; p->name; p++) {
        if (bound(op, p) || (op->in->name && p->types == op->in->types && !op->result)) continue;
        if (op->in->name || !first) text_put(t, first ? " → " : "; ");
        if (op->out[1].name) text_f(t, "%s: ", p->name);
        put_dtypes(t, op->result ? DT_BIT(op->result) : p->types);
        first = false;
    }
}

/* ---- rows ---- */

static void put_older(Page *p, const OpDef *op)
{
    FrontendForm f;
    const char *domain = op->domain ? op->domain : "";
    int before[64], n = 0;

    for (int k = 0; frontend_form(k, &f); k++) {
        int at = 0;
        if (!f.before || strcmp(f.name, op->name) != 0 || strcmp(f.domain, domain) != 0) continue;
        while (at < n && before[at] < f.before)
            at++;
        if ((at < n && before[at] == f.before) || n == 64) continue;
        memmove(&before[at + 1], &before[at], sizeof *before * (size_t)(n - at));
        before[at] = f.before;
        n++;
    }
    for (int i = 0; i < n; i++)
        text_f(&p->t, "%s%d", i ? ", " : "", before[i]);
}

static void put_code(Text *t, const OpDef *op)
{
    text_put(t, op->holder ? "control flow" : "kernels");
    for (int c = 0; c < N_CALLS; c++)
        if (op->calls >> c & 1) text_f(t, ", `%s`", call_name((Call)c));
}

static void put_row(Page *p, const OpDef *op)
{
    const char *key = key_of(p, domain_of(op), op->name);
    const char *tests = map_get(&p->tests, key), *cases = map_get(&p->cases, key);

    text_f(&p->t, "| %s | %d | ", op->name, op->since);
    put_older(p, op);
    text_put(&p->t, " | ");
    put_ports(&p->t, op->in);
    put_results(&p->t, op);
    text_put(&p->t, " | ");
    put_code(&p->t, op);
    text_f(&p->t, " | %s | %s |\n", tests ? tests : "", cases ? cases : "");
}

/* Rows that only other rows build stand in a domain of their own, which no model can name. */
static bool is_public(const OpDef *op)
{
    return strcmp(domain_of(op), "ingot") != 0;
}

static int by_domain_and_name(const void *a, const void *b)
{
    const OpDef *x = *(const OpDef *const *)a, *y = *(const OpDef *const *)b;
    int order = strcmp(domain_of(x), domain_of(y));

    return order ? order : strcmp(x->name, y->name);
}

static const OpDef **sorted(Page *p, int *count)
{
    const OpDef **all;
    int n = 0;

    for (const OpFamily *f = op_families; f->name; f++)
        for (const OpDef *op = f->ops; op->name; op++)
            n += is_public(op);
    all = ARENA_ARRAY(p->arena, const OpDef *, n);
    n = 0;
    for (const OpFamily *f = op_families; f->name; f++)
        for (const OpDef *op = f->ops; op->name; op++)
            if (is_public(op)) all[n++] = op;
    qsort(all, (size_t)n, sizeof *all, by_domain_and_name);
    *count = n;
    return all;
}

static void put_tables(Page *p, int n, const OpDef *const *op)
{
    for (int i = 0; i < n; i++) {
        if (i == 0 || strcmp(domain_of(op[i]), domain_of(op[i - 1])) != 0)
            text_f(
                &p->t,
                "\n\n## %s\n\n| operator | meaning of | older forms below | dtypes | code | node "
                "tests | cases |\n|---|---|---|---|---|---|---|\n",
                domain_of(op[i]));
        put_row(p, op[i]);
    }
}

/* Names that the op table does not have, because what they mean is another operator. */
static void put_names(Page *p)
{
    FrontendForm f;

    text_put(&p->t,
             "\n\n## Other names\n\nOperators that are read as others: withdrawn ones, experiments "
             "of the first opsets, and contributions that became standard.\n\n| operator | domain "
             "| becomes |\n"
             "|---|---|---|\n");
    for (int k = 0; frontend_form(k, &f); k++)
        if (!f.before && !op_find(f.domain, f.name))
            text_f(&p->t, "| %s | %s | %s |\n", f.name, *f.domain ? f.domain : "ai.onnx",
                   f.now ? f.now : "several nodes");
}

static void put_absent(Page *p)
{
    const char *op, *why;

    text_put(
        &p->t,
        "\n\n## Not compiled\n\nOperators of com.microsoft that are known by name. A model "
        "with one of them is refused with what stands here.\n\n| operator | why |\n|---|---|\n");
    for (int k = 0; frontend_absent(k, &op, &why); k++)
        text_f(&p->t, "| %s | %s |\n", op, why);
}

static void put_head(Page *p, int n)
{
    text_f(
        &p->t,
        "# Operators\n\n"
        "The %d operators that ingot compiles, written by `build/tests/operators_page` from the op "
        "table (`ir/ops/`),\nthe table of older forms (`frontend/onnx/onnx_upgrade.c`) and the "
        "tests. "
        "`ingot inspect --ops` lists them with one\nline of explanation each. An operator that is "
        "not here "
        "can be brought along: [USER_OPERATORS.md](USER_OPERATORS.md).\n\n"
        "- **meaning of**: the version of the operator whose meaning ingot has. Models of every "
        "opset from 1 "
        "to %d are read.\n"
        "- **older forms below**: nodes of versions below these are rewritten when a model is "
        "read, because a "
        "version changed\n  attributes, inputs or defaults; other versions mean the same, or "
        "less.\n"
        "- **dtypes** of the operands, by name where they differ, and of results (behind the "
        "arrow) that do not "
        "follow from them.\n  *any value*: tensors, sequences, optionals or maps.\n"
        "- **code**: *kernels* are generated; a `name` is a function of the runtime that does the "
        "part of the "
        "work which is no\n  loop nest (below), where it is needed.\n"
        "- **node tests**: how many of the conformance tests contain the operator, as itself or "
        "behind an "
        "older form. **cases**: its file in `tests/ops`. Each operator also has "
        "random configurations (`tests/random`).\n\n"
        "| dtypes | |\n|---|---|\n",
        n, frontend_newest());
    for (int g = 0; g < N_GROUPS; g++) {
        text_f(&p->t, "| %s | ", groups[g].name);
        put_single(&p->t, groups[g].types, true);
        text_put(&p->t, " |\n");
    }
    text_put(&p->t, "| all | all of these, bool and string |\n");
}

static void put_calls(Page *p, int n, const OpDef *const *op)
{
    text_put(&p->t,
             "\n\n## Calls\n\nThe functions of the runtime that artifacts may call, all of them "
             "(`ir/call.def`). A row of the op table says which\nits operator may need; lowering "
             "refuses others, "
             "and the conformance run fails on them.\n\n"
             "| call | does | for |\n|---|---|---|\n");
    for (int c = 0; c < N_CALLS; c++) {
        bool first = true;
        text_f(&p->t, "| `%s` | %s | ", call_name((Call)c), call_about((Call)c));
        for (int i = 0; i < n; i++)
            if (op[i]->calls >> c & 1) put_item(&p->t, &first, op[i]->name);
        text_put(&p->t, " |\n");
    }
}

static Status compare(Page *p)
{
    FileBytes bytes;
    bool same;

    TRY(file_read(PAGE, &bytes, p->diag));
    same = bytes.size == p->t.n && memcmp(bytes.data, p->t.s, p->t.n) == 0;
    file_close(&bytes);
    if (same) return OK;
    return diag(p->diag, ERR_MISMATCH, (Where){.file = PAGE},
                "it is stale: build/tests/operators_page > build/page && mv build/page " PAGE
                " renews it");
}

int main(int argc, char **argv)
{
    Arena *arena = arena_new(0);
    Diag d;
    Page p;
    const OpDef **op;
    Status s;
    int n;

    diag_init(&d, arena);
    p = (Page){.arena = arena, .diag = &d};
    text_init(&p.t, arena);
    s = read_tests(&p);
    op = sorted(&p, &n);
    put_head(&p, n);
    put_tables(&p, n, op);
    put_names(&p);
    put_absent(&p);
    put_calls(&p, n, op);
    if (s == OK && argc > 1 && strcmp(argv[1], "--check") == 0)
        s = compare(&p);
    else if (s == OK)
        fwrite(p.t.s, 1, p.t.n, stdout);
    if (s != OK && d.first) fprintf(stderr, "%s\n", diag_format(d.first, arena));
    arena_free(arena);
    return s == OK ? 0 : 1;
}
