/* tensors_compare.c: two tensors against each other, and compare.txt. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tensors.h"
#include "support/io.h"

/* ---- compare.txt ---- */

static bool number_after(char **words, int n, const char *name, double *out)
{
    for (int i = 0; i + 1 < n; i++)
        if (strcmp(words[i], name) == 0) return parse_double(words[i + 1], out) && *out >= 0;
    return false;
}

Status comparison_read(const char *folder, Arena *arena, Comparison *out, Diag *d)
{
    const char *path = path_join(arena, folder, "compare.txt");
    char *words[16], *text, *save = NULL;
    FileBytes bytes;
    int n = 0;

    *out = (Comparison){.rtol = 1e-3, .atol = 1e-7, .rtol_bf16 = 0x1p-6};
    if (!path_exists(path)) return OK;
    TRY(file_read(path, &bytes, d));
    text = arena_strndup(arena, (const char *)bytes.data, bytes.size < 4096 ? bytes.size : 4096);
    file_close(&bytes);
    for (char *w = strtok_r(text, " \t\r\n", &save); w && n < 16;
         w = strtok_r(NULL, " \t\r\n", &save))
        words[n++] = w;
    out->rtol_bf16 = 0;
    if (number_after(words, n, "cosine", &out->similarity)) {
        out->cosine = true;
        return OK;
    }
    if (number_after(words, n, "rtol", &out->rtol) && number_after(words, n, "atol", &out->atol))
        return OK;
    return diag(d, ERR_MODEL, (Where){.file = path},
                "expected `rtol R atol A` or `cosine C` with numbers of at least 0");
}

/* ---- tensors ---- */

typedef struct Pair {
    const ingot_tensor *got, *want;
    DType dtype;
    int64_t count; /* of parts: complex numbers have two */
    int parts;     /* of one element */
    int size;      /* bytes of a part */
    Arena *arena;
} Pair;

static const char *type_text(Arena *a, const ingot_tensor *t)
{
    char *s = arena_alloc(a, 256);

    ingot_tensor_type_text(t->dtype, t->rank, t->dims, NULL, s, 256);
    return s;
}

static bool same_type(const ingot_tensor *a, const ingot_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, sizeof a->dims[0] * (size_t)a->rank) == 0;
}

static double part_at(const Pair *p, const ingot_tensor *t, int64_t i)
{
    const char *at = (const char *)t->data + i * p->size;

    return dtype_load_double(p->dtype, at);
}

static const char *index_text(Arena *a, const ingot_tensor *t, int64_t i)
{
    int64_t index[INGOT_MAX_RANK];
    Text text;

    text_init(&text, a);
    for (int k = t->rank - 1; k >= 0; k--) {
        index[k] = t->dims[k] ? i % t->dims[k] : 0;
        i = t->dims[k] ? i / t->dims[k] : 0;
    }
    for (int k = 0; k < t->rank; k++)
        text_f(&text, "%s%lld", k ? "," : "", (long long)index[k]);
    return text.s;
}

/* What is told of a difference. */
typedef struct Difference {
    int64_t first, count;
    double largest; /* of floats */
} Difference;

static double rtol_of(const Comparison *c, DType t)
{
    return t == DT_BF16 && c->rtol_bf16 > c->rtol ? c->rtol_bf16 : c->rtol;
}

static const char *difference_text(const Pair *p, const Comparison *c, const Difference *f)
{
    int64_t i = f->first / p->parts;
    char got[96], want[96];
    Text t;

    text_init(&t, p->arena);
    ingot_tensor_element_text(p->got, i, got, sizeof got);
    ingot_tensor_element_text(p->want, i, want, sizeof want);
    text_f(&t, "%s: at [%s] got %s, want %s", type_text(p->arena, p->want),
           index_text(p->arena, p->want, i), got, want);
    text_f(&t, " (%lld of %lld differ", (long long)f->count, (long long)p->count);
    if (dtype_is_float(p->dtype)) text_f(&t, ", by up to %.3g", f->largest);
    if (!c->bits && dtype_is_float(p->dtype))
        text_f(&t, "; rtol %g atol %g", rtol_of(c, p->dtype), c->atol);
    text_char(&t, ')');
    return t.s;
}

static void note(Difference *f, int64_t i)
{
    if (!f->count++) f->first = i;
}

static bool close_enough(double got, double want, double rtol, double atol)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got)) return want == got;
    return fabs(got - want) <= atol + rtol * fabs(want);
}

static Difference floats(const Pair *p, const Comparison *c)
{
    Difference f = {0};

    for (int64_t i = 0; i < p->count; i++) {
        double got = part_at(p, p->got, i), want = part_at(p, p->want, i);
        if (close_enough(got, want, rtol_of(c, p->dtype), c->atol)) continue;
        note(&f, i);
        if (fabs(got - want) > f.largest) f.largest = fabs(got - want);
    }
    return f;
}

static bool same_string(const ingot_string *a, const ingot_string *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->s, b->s, (size_t)a->n) == 0);
}

static Difference exactly(const Pair *p)
{
    const char *a = p->got->data, *b = p->want->data;
    bool floats = dtype_is_float(p->dtype);
    Difference f = {0};

    for (int64_t i = 0; i < p->count; i++) {
        const char *x = a + i * p->size, *y = b + i * p->size;
        if (p->dtype == DT_STRING) {
            if (!same_string((const ingot_string *)(const void *)x,
                             (const ingot_string *)(const void *)y))
                note(&f, i);
            continue;
        }
        if (memcmp(x, y, (size_t)p->size) == 0) continue;
        if (floats && isnan(part_at(p, p->got, i)) && isnan(part_at(p, p->want, i))) continue;
        note(&f, i);
        if (floats) {
            double by = fabs(part_at(p, p->got, i) - part_at(p, p->want, i));
            if (by > f.largest) f.largest = by;
        }
    }
    return f;
}

static bool similar(const Pair *p, const Comparison *c, const char **why)
{
    double dot = 0, a2 = 0, b2 = 0, cosine;
    int64_t a_most = 0, b_most = 0;

    for (int64_t i = 0; i < p->count; i++) {
        double a = part_at(p, p->got, i), b = part_at(p, p->want, i);
        dot += a * b;
        a2 += a * a;
        b2 += b * b;
        if (a > part_at(p, p->got, a_most)) a_most = i;
        if (b > part_at(p, p->want, b_most)) b_most = i;
    }
    cosine = a2 == 0 && b2 == 0 ? 1 : dot / sqrt(a2 * b2);
    if (cosine >= c->similarity && (c->whole || a_most == b_most)) return true;
    *why = arena_printf(p->arena, "%s: cosine %.6f, at least %g wanted; largest at %lld, want %lld",
                        type_text(p->arena, p->want), cosine, c->similarity, (long long)a_most,
                        (long long)b_most);
    return false;
}

static bool pair_init(Pair *p, const ingot_tensor *got, const ingot_tensor *want, Arena *arena)
{
    int64_t n = ingot_tensor_elements(want);

    *p = (Pair){.got = got, .want = want, .dtype = dtype_from_onnx(want->dtype), .arena = arena};
    if (p->dtype == DT_NONE || n < 0) return false;
    p->parts = dtype_kind(p->dtype) == KIND_COMPLEX ? 2 : 1;
    if (p->dtype == DT_C64) p->dtype = DT_F32;
    if (p->dtype == DT_C128) p->dtype = DT_F64;
    p->count = n * p->parts;
    p->size = dtype_bytes(p->dtype);
    return true;
}

static bool lists_agree(const Comparison *c, const ingot_tensor *got, const ingot_tensor *want,
                        Arena *arena, const char **why)
{
    const ingot_tensor *a = got->data, *b = want->data;

    for (int64_t i = 0; i < want->dims[0]; i++)
        if (!tensors_agree(c, &a[i], &b[i], arena, why)) {
            *why = arena_printf(arena, "element %lld: %s", (long long)i, *why);
            return false;
        }
    return true;
}

bool tensors_agree(const Comparison *c, const ingot_tensor *got, const ingot_tensor *want,
                   Arena *arena, const char **why)
{
    Difference f;
    Pair p;

    *why = NULL;
    if (!same_type(got, want)) {
        *why =
            arena_printf(arena, "got %s, want %s", type_text(arena, got), type_text(arena, want));
        return false;
    }
    if (ingot_tensor_is_list(want)) return lists_agree(c, got, want, arena, why);
    if (!pair_init(&p, got, want, arena)) {
        *why = "no type that could be compared";
        return false;
    }
    if (c->types_only || p.count == 0) return true;
    if (!c->bits && c->cosine && (c->whole ? p.dtype != DT_STRING : dtype_is_float(p.dtype)))
        return similar(&p, c, why);
    f = !c->bits && dtype_is_float(p.dtype) ? floats(&p, c) : exactly(&p);
    if (!f.count) return true;
    *why = difference_text(&p, c, &f);
    return false;
}
