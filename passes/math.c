/* math.c: the rules of --math: which kernels compute in which arithmetic. */
#include <fnmatch.h>
#include <string.h>

#include "passes/pass.h"

static const char *const kind_text[MATH_KINDS] = {
    [MATH_EXACT] = "exact",
    [MATH_WINOGRAD] = "winograd",
    [MATH_BF16] = "bf16",
    [MATH_BF16X3] = "bf16x3",
};

const char *math_text(MathKind k)
{
    return kind_text[k];
}

static bool kind_named(const char *s, size_t n, MathKind *out)
{
    for (int k = 0; k < MATH_KINDS; k++) {
        *out = (MathKind)k;
        if (strlen(kind_text[k]) == n && strncmp(kind_text[k], s, n) == 0) return true;
    }
    return false;
}

Status math_parse(const char *text, Arena *a, PassOptions *out, Diag *d)
{
    int most = 1;

    for (const char *s = text; *s; s++)
        most += *s == ',';
    MathRule *rule = ARENA_ARRAY(a, MathRule, most);
    out->math = rule;
    out->n_math = 0;
    for (const char *s = text; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL) {
        size_t n = strcspn(s, ",");
        const char *name = s;
        for (const char *c = s; c < s + n; c++) /* names of nodes may hold '=' */
            if (*c == '=') name = c + 1;
        if (!kind_named(name, n - (size_t)(name - s), &rule->how))
            return diag(
                d, ERR_USAGE, (Where){0},
                "--math: '%.*s' is no arithmetic; exact, winograd, bf16, bf16x3 are (and auto, "
                "for compile)",
                (int)n, s);
        rule->pattern = name == s ? NULL : arena_strndup(a, s, (size_t)(name - s) - 1);
        rule++;
        out->n_math++;
    }
    return OK;
}

static bool fits(const char *pattern, const Node *n)
{
    if (!pattern) return true;
    if (n->kernel->label && fnmatch(pattern, n->kernel->label, 0) == 0) return true;
    for (const Origin *o = n->origin; o; o = o->next)
        if (o->node && fnmatch(pattern, o->node, 0) == 0) return true;
    return false;
}

MathKind math_of(const PassOptions *o, const Node *n)
{
    for (int i = o->n_math - 1; i >= 0; i--)
        if (fits(o->math[i].pattern, n)) return o->math[i].how;
    return MATH_EXACT;
}
