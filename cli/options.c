/* options.c: the command line against the rows of options.def.
 *
 *     --name=VALUE, --name VALUE, -oVALUE, -o VALUE, --flag; `--` ends options; `-` is an argument
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "support/vec.h"

typedef enum OptionKind { KIND_FLAG_, KIND_TEXT_, KIND_INT_, KIND_LIST_ } OptionKind;

typedef struct OptionRow {
    const char *name;
    char letter;
    OptionKind kind;
    const char *argument;
    int commands;
    const char *help;
    size_t offset;
} OptionRow;

static const OptionRow rows[] = {
#define OPTION(field, kind, name, letter, argument, commands, help)                                \
    {name, letter, KIND_##kind##_, argument, commands, help, offsetof(Options, field)},
#include "cli/options.def"
#undef OPTION
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* Edits that turn a into b, for "did you mean": both are short. */
static int distance(const char *a, const char *b)
{
    enum { MOST = 32 };
    int row[MOST + 1], n = (int)strlen(b);

    if (strlen(a) > MOST || n > MOST) return MOST;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int cost = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < cost) cost = row[j] + 1;
            if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1;
            row[j] = cost;
        }
    }
    return row[n];
}

static Status unknown(const Command *c, const char *text, const char *name, Diag *d)
{
    const OptionRow *best = NULL;
    int least = 4;

    for (int i = 0; i < N_ROWS; i++) {
        int far = rows[i].commands & c->bit ? distance(name, rows[i].name) : least;
        if (far < least) {
            least = far;
            best = &rows[i];
        }
    }
    if (best)
        return diag(d, ERR_USAGE, (Where){0}, "ingot %s has no option '%s'; did you mean --%s?",
                    c->name, text, best->name);
    return diag(d, ERR_USAGE, (Where){0}, "ingot %s has no option '%s'; see ingot %s --help",
                c->name, text, c->name);
}

static const OptionRow *row_of_name(const Command *c, const char *name, size_t n)
{
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].commands & c->bit && strlen(rows[i].name) == n &&
            strncmp(rows[i].name, name, n) == 0)
            return &rows[i];
    return NULL;
}

static const OptionRow *row_of_letter(const Command *c, char letter)
{
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].commands & c->bit && rows[i].letter == letter) return &rows[i];
    return NULL;
}

static Status set(const OptionRow *r, const char *value, Options *out, Diag *d)
{
    void *field = (char *)out + r->offset;
    OptionINT *number = field;
    OptionList *list = field;

    switch (r->kind) {
    case KIND_FLAG_:
        *(bool *)field = true;
        break;
    case KIND_TEXT_:
        *(const char **)field = value;
        break;
    case KIND_INT_:
        number->given = true;
        if (!parse_i64(value, &number->value))
            return diag(d, ERR_USAGE, (Where){0}, "--%s takes a whole number, not '%s'", r->name,
                        value);
        break;
    case KIND_LIST_:
        VEC_PUSH(out->arena, list->item, list->n, list->cap, value);
        break;
    }
    return OK;
}

/* One option at argv[*i]; moves *i to the last word that it took. */
static Status take(const Command *c, int argc, char **argv, int *i, Options *out, Diag *d)
{
    const char *text = argv[*i], *value = NULL, *name = text + 2;
    const OptionRow *r;
    size_t n;

    if (text[1] == '-') {
        n = strcspn(name, "=");
        r = row_of_name(c, name, n);
        if (name[n] == '=') value = name + n + 1;
        name = arena_strndup(out->arena, name, n);
    } else {
        r = row_of_letter(c, text[1]);
        if (r && r->kind != KIND_FLAG_ && text[2]) value = text + 2;
        if (r && r->kind == KIND_FLAG_ && text[2]) r = NULL;
        name = text + 1;
    }
    if (!r) return unknown(c, text, name, d);
    if (r->kind == KIND_FLAG_ && value)
        return diag(d, ERR_USAGE, (Where){0}, "--%s takes no value", r->name);
    if (r->kind != KIND_FLAG_ && !value) {
        if (*i + 1 >= argc)
            return diag(d, ERR_USAGE, (Where){0}, "--%s needs a value: %s", r->name, r->argument);
        value = argv[++*i];
    }
    return set(r, value, out, d);
}

Status options_parse(const Command *c, int argc, char **argv, Options *out, Diag *d)
{
    bool only_arguments = false;

    for (int i = 0; i < argc; i++) {
        const char *s = argv[i];
        if (!only_arguments && strcmp(s, "--") == 0)
            only_arguments = true;
        else if (!only_arguments && s[0] == '-' && s[1])
            TRY(take(c, argc, argv, &i, out, d));
        else
            VEC_PUSH(out->arena, out->argument.item, out->argument.n, out->argument.cap, s);
    }
    if (out->help) return OK;
    if (out->argument.n < c->least || out->argument.n > c->most)
        return diag(d, ERR_USAGE, (Where){0}, "usage: ingot %s %s", c->name, c->usage);
    return OK;
}

static void help_row(const OptionRow *r)
{
    char left[64];

    snprintf(left, sizeof left, "%s%c%s--%s%s%s", r->letter ? "-" : "", r->letter ? r->letter : ' ',
             r->letter ? ", " : "   ", r->name, r->argument ? " " : "",
             r->argument ? r->argument : "");
    printf("  %-27s %s\n", left, r->help);
}

/* The rest by name, so that a command's help fits a screen. */
static void name_quiet(const Command *c)
{
    int column = 0;

    for (int i = 0; i < N_ROWS; i++) {
        const OptionRow *r = &rows[i];
        int wide = (int)strlen(r->name) + 4 + (int)(r->argument ? strlen(r->argument) + 1 : 0);
        if (!(r->commands & c->bit) || !(r->commands & C_QUIET)) continue;
        if (column == 0 || column + wide > 96) {
            printf(column ? "\n     " : "\nand (see ingot help options):\n     ");
            column = 5;
        }
        printf(" --%s%s%s", r->name, r->argument ? " " : "", r->argument ? r->argument : "");
        column += wide - 1;
    }
    if (column) printf("\n");
}

void options_help(const Command *c)
{
    printf("ingot %s: %s\n\n  ingot %s %s\n\n", c->name, c->about, c->name, c->usage);
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].commands & c->bit && !(rows[i].commands & C_QUIET)) help_row(&rows[i]);
    name_quiet(c);
    printf("\nexamples\n%s", c->examples);
}

void options_list(void)
{
    for (int i = 0; i < N_ROWS; i++) {
        help_row(&rows[i]);
        printf("%30s", "");
        for (const Command *c = commands; c->name; c++)
            if (rows[i].commands & c->bit) printf(" %s", c->name);
        printf("\n");
    }
}
