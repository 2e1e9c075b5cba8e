/* resize_taps.c: see resize_taps.h. */
#include "ir/ops/resize_taps.h"

#include <string.h>

#include "ir/mathd.h"

typedef struct Word {
    const char *word;
    int value;
} Word;

static Status word_attr(const Node *n, Diag *d, const char *attr, const char *absent,
                        const Word *words, int *out)
{
    const char *s = attr_string(n, attr, absent);

    for (const Word *w = words; w->word; w++)
        if (strcmp(w->word, s) == 0) {
            *out = w->value;
            return OK;
        }
    return op_error(n, d, attr, "Resize: unknown %s '%s'", attr, s);
}

static const Word mode_words[] = {
    {"nearest", MODE_NEAREST}, {"linear", MODE_LINEAR}, {"cubic", MODE_CUBIC}, {0}};
static const Word round_words[] = {{"floor", ROUND_FLOOR},
                                   {"floor_or_ceil", ROUND_FIRST},
                                   {"ceil", ROUND_CEIL},
                                   {"round_prefer_floor", ROUND_LOW},
                                   {"round_prefer_ceil", ROUND_HIGH},
                                   {0}};
static const Word coordinate_words[] = {{"half_pixel", AT_HALF_PIXEL},
                                        {"half_pixel_symmetric", AT_HALF_PIXEL_SYMMETRIC},
                                        {"pytorch_half_pixel", AT_PYTORCH},
                                        {"align_corners", AT_CORNERS},
                                        {"asymmetric", AT_ASYMMETRIC},
                                        {"tf_crop_and_resize", AT_CROP},
                                        {0}};
static const Word policy_words[] = {
    {"stretch", 's'}, {"not_larger", 'l'}, {"not_smaller", 'm'}, {0}};

static bool has_elements(const Node *n, int k)
{
    const Type *t = has_in(n, k) ? in_type(n, k) : NULL;

    return t && !(t->rank == 1 && dim_is(t->dim[0], 0));
}

Status resize_read(const Node *n, Diag *d, int rank, Resize *r)
{
    int v, count;
    const int64_t *axes = attr_ints(n, "axes", &count);
    unsigned seen = 0;

    memset(r, 0, sizeof *r);
    TRY(word_attr(n, d, "mode", "nearest", mode_words, &v));
    r->mode = (Mode)v;
    TRY(word_attr(n, d, "nearest_mode", "round_prefer_floor", round_words, &v));
    r->round = (Round)v;
    TRY(word_attr(n, d, "coordinate_transformation_mode", "half_pixel", coordinate_words, &v));
    r->at = (Coordinate)v;
    TRY(word_attr(n, d, "keep_aspect_ratio_policy", "stretch", policy_words, &v));
    r->policy = (char)v;
    r->antialias = attr_int(n, "antialias", 0) != 0 && r->mode != MODE_NEAREST;
    r->exclude = attr_int(n, "exclude_outside", 0) != 0;
    r->cubic_a = attr_float(n, "cubic_coeff_a", -0.75);
    r->extrapolation = attr_float(n, "extrapolation_value", 0);
    r->by_size = has_elements(n, 3);
    if (r->by_size == has_elements(n, 2))
        return op_error(n, d, "sizes", "Resize: give either scales or sizes");
    r->n_axis = axes ? count : rank;
    if (r->n_axis > rank) return op_error(n, d, "axes", "Resize: more axes than the rank");
    for (int i = 0; i < r->n_axis; i++) {
        r->axis[i] = i;
        if (axes) TRY(infer_axis(n, d, "axes", axes[i], rank, &r->axis[i]));
        if (seen >> r->axis[i] & 1) return op_error(n, d, "axes", "Resize: an axis stands twice");
        seen |= 1u << r->axis[i];
    }
    return OK;
}

/* ---- taps ---- */

static double position(const Resize *r, const AxisPlan *p, int64_t o)
{
    double in = (double)p->in, out = (double)p->out, exact = p->scale * in, y = (double)o;
    double half = (y + 0.5) / p->scale - 0.5;

    switch (r->at) {
    case AT_HALF_PIXEL:
        return half;
    case AT_HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - out / exact) + half;
    case AT_PYTORCH:
        return exact == 1 ? -0.5 : half;
    case AT_CORNERS:
        return exact == 1 ? 0 : y * (in - 1) / (exact - 1);
    case AT_ASYMMETRIC:
        return y / p->scale;
    case AT_CROP: {
        double width = (p->roi[1] - p->roi[0]) * (in - 1);
        return (exact == 1 ? width / 2 : y * width / (exact - 1)) + p->roi[0] * (in - 1);
    }
    }
    return half;
}

bool resize_outside(const Resize *r, const AxisPlan *p, int64_t o)
{
    double x = position(r, p, o);

    return r->at == AT_CROP && (x < 0 || x > (double)(p->in - 1));
}

static double kernel_at(const Resize *r, double x)
{
    double a = r->cubic_a;

    x = x < 0 ? -x : x;
    if (r->mode == MODE_LINEAR) return x < 1 ? 1 - x : 0;
    if (x <= 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
    return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

int64_t resize_tap_count(const Resize *r, double scale)
{
    double reach = r->mode == MODE_CUBIC ? 2 : 1;

    if (r->mode == MODE_NEAREST) return 1;
    if (!r->antialias || scale >= 1 || scale <= 0) return r->mode == MODE_CUBIC ? 4 : 2;
    if (reach / scale > RESIZE_REACH) return 2 * RESIZE_REACH;
    return 2 - 2 * ((int64_t)mathd_floor(-reach / scale) + 1);
}

static int64_t nearest(Round how, double x, double scale)
{
    double low = mathd_floor(x), part = x - low;

    switch (how) {
    case ROUND_FLOOR:
        break;
    case ROUND_CEIL:
        return (int64_t)mathd_ceil(x);
    case ROUND_FIRST:
        return (int64_t)(scale < 1 ? mathd_ceil(x) : low);
    case ROUND_LOW:
        return (int64_t)low + (part > 0.5);
    case ROUND_HIGH:
        return (int64_t)low + (part >= 0.5);
    }
    return (int64_t)low;
}

static int64_t clamp(int64_t i, int64_t extent)
{
    return i < 0 ? 0 : i >= extent ? extent - 1 : i;
}

void resize_taps(const Resize *r, const AxisPlan *p, int64_t o, int64_t *place, double *weight)
{
    double x = position(r, p, o), low = mathd_floor(x), ratio = x == low ? 1 : x - low, sum = 0;
    int64_t n = resize_tap_count(r, p->scale), first;
    double shrink = r->antialias && p->scale < 1 ? p->scale : 1;

    if (r->mode == MODE_NEAREST) {
        place[0] = clamp(nearest(r->round, x, p->scale), p->in);
        weight[0] = 1;
        return;
    }
    /* the place left of x is number n / 2 - 1; an integer x counts as the one right of it */
    first = (int64_t)low - n / 2 + (x == low ? 0 : 1);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = first + i;
        weight[i] = kernel_at(r, shrink * ((double)(i - n / 2 + 1) - ratio));
        if (r->exclude && (at < 0 || at >= p->in)) weight[i] = 0;
        sum += weight[i];
        place[i] = clamp(at, p->in);
    }
    for (int64_t i = 0; i < n && (r->antialias || r->exclude) && sum != 0; i++)
        weight[i] /= sum;
}
