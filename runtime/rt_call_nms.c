/* rt_call_nms.c: ONNX NonMaxSuppression: of boxes that overlap, the one with the best score.
 *
 * in: boxes [batch, boxes, 4], scores [batch, classes, boxes], both f32; most boxes a class (i64),
 * least score and greatest overlap (f32 each; data NULL when absent). ints: 1 when boxes are given
 * by their centre. out: i64[selected, 3]: batch, class, box. Of equal scores the lower box first.
 *
 * What a class is worked on in lies in the memory of the result, behind what is selected. */
#include "runtime/rt.h"
#include "runtime/rt_call.h"

#define SIZE(type) ((int64_t)sizeof(type))

typedef struct Box {
    float x0, y0, x1, y1;
} Box;

static Box box_of(const float *p, int centred)
{
    Box b;

    if (centred) return (Box){p[0] - p[2] / 2, p[1] - p[3] / 2, p[0] + p[2] / 2, p[1] + p[3] / 2};
    b.y0 = p[0] < p[2] ? p[0] : p[2];
    b.y1 = p[0] < p[2] ? p[2] : p[0];
    b.x0 = p[1] < p[3] ? p[1] : p[3];
    b.x1 = p[1] < p[3] ? p[3] : p[1];
    return b;
}

/* Boxes that are chosen, side by side, so that a box is held against all of a block at
 * once. */
enum { BLOCK = 8 };

typedef struct Chosen {
    float x0[BLOCK], y0[BLOCK], x1[BLOCK], y1[BLOCK], area[BLOCK];
} Chosen;

static float area(Box b)
{
    return (b.x1 - b.x0) * (b.y1 - b.y0);
}

static void choose(Chosen *all, int64_t at, Box b)
{
    Chosen *c = all + at / BLOCK;
    int64_t i = at % BLOCK;

    if (i == 0) *c = (Chosen){.area = {0}};
    c->x0[i] = b.x0;
    c->y0[i] = b.y0;
    c->x1[i] = b.x1;
    c->y1[i] = b.y1;
    c->area[i] = area(b);
}

/* Whether the area of an intersection over that of the union is above `most`; 0 for boxes that are
 * none, as those are which a block has not yet. */
static int overlaps(const Chosen *c, Box b, float of_b, float most)
{
    float share[BLOCK], above = 0;

    for (int i = 0; i < BLOCK; i++) {
        float w = (b.x1 < c->x1[i] ? b.x1 : c->x1[i]) - (b.x0 > c->x0[i] ? b.x0 : c->x0[i]);
        float h = (b.y1 < c->y1[i] ? b.y1 : c->y1[i]) - (b.y0 > c->y0[i] ? b.y0 : c->y0[i]);
        float both = w * h, x = both / (of_b + c->area[i] - both);
        x = w > 0 ? x : 0;
        x = h > 0 ? x : 0;
        share[i] = c->area[i] > 0 ? x : 0;
    }
    for (int i = 0; i < BLOCK; i++)
        above = share[i] > above ? share[i] : above;
    return (of_b > 0 ? above : 0) > most;
}

typedef struct Candidate {
    int64_t box;
    float score;
} Candidate;

static int before(Candidate a, Candidate b)
{
    return a.score != b.score ? a.score > b.score : a.box < b.box;
}

static void sink(Candidate *heap, int64_t at, int64_t n)
{
    Candidate moved = heap[at];

    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], moved)) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

typedef struct Class {
    const float *boxes, *score;
    int64_t n, most;
    float least, overlap;
    int centred, filtered;
} Class;

/* What a class needs of the memory of the result. */
typedef struct Work {
    int64_t *box;    /* [n] those chosen, in order */
    Candidate *heap; /* [n] */
    Chosen *chosen;  /* blocks of n */
} Work;

static int is_free(const Class *c, const Work *w, int64_t found, Box b)
{
    float of_b = area(b);

    for (int64_t k = 0; k < found; k += BLOCK)
        if (overlaps(w->chosen + k / BLOCK, b, of_b, c->overlap)) return 0;
    return 1;
}

/* Boxes of one class in order -> w->box[0..). Returns how many. */
static int64_t suppress(const Class *c, const Work *w)
{
    int64_t left = 0, found = 0;

    for (int64_t i = 0; i < c->n; i++)
        if (!c->filtered || c->score[i] > c->least) w->heap[left++] = (Candidate){i, c->score[i]};
    for (int64_t i = left / 2 - 1; i >= 0; i--)
        sink(w->heap, i, left);
    while (left > 0 && found < c->most) {
        int64_t best = w->heap[0].box;
        Box b = box_of(c->boxes + 4 * best, c->centred);
        w->heap[0] = w->heap[--left];
        sink(w->heap, 0, left);
        if (!is_free(c, w, found, b)) continue;
        choose(w->chosen, found, b);
        w->box[found++] = best;
    }
    return found;
}

static float scalar(const ingot_call_args *a, int32_t k, float absent)
{
    return a->n_in > k && a->in[k].data ? *(const float *)a->in[k].data : absent;
}

int32_t ingot_call_nms(const ingot_call_args *a)
{
    const ingot_tensor *boxes = &a->in[0], *scores = &a->in[1];
    int64_t batches = scores->dims[0], classes = scores->dims[1], n = scores->dims[2];
    int64_t most = a->n_in > 2 && a->in[2].data ? *(const int64_t *)a->in[2].data : 0;
    int64_t total = 0, rows, *out, blocks = (n + BLOCK - 1) / BLOCK;
    Work w;
    Class c = {.n = n,
               .overlap = scalar(a, 3, 0),
               .least = scalar(a, 4, 0),
               .centred = a->ints[0] != 0,
               .filtered = a->n_in > 4 && a->in[4].data};

    c.most = most < 0 ? 0 : most > n ? n : most;
    if (boxes->dims[0] != batches || boxes->dims[1] != n || boxes->dims[2] != 4)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin, "%lld boxes with scores for %lld",
                             boxes->dims[1], n);
    a->out[0].rank = 2;
    a->out[0].dims[0] = 0;
    a->out[0].dims[1] = 3;
    if (__builtin_mul_overflow(batches * classes, c.most, &rows) ||
        rows > INT64_MAX / 64 - n - BLOCK)
        return INGOT_ERR_LIMIT;
    out =
        ingot_rt_place(a, 0, 8 * (3 * rows + n + 1) + SIZE(Candidate) * n + SIZE(Chosen) * blocks);
    if (!out) return INGOT_ERR_LIMIT;
    w.box = out + 3 * rows;
    w.heap = (Candidate *)(w.box + n);
    w.chosen = (Chosen *)(w.heap + n);
    for (int64_t b = 0; b < batches; b++)
        for (int64_t k = 0; k < classes; k++) {
            int64_t found;
            c.boxes = (const float *)boxes->data + b * n * 4;
            c.score = (const float *)scores->data + (b * classes + k) * n;
            found = suppress(&c, &w);
            for (int64_t i = 0; i < found; i++, total++) {
                out[3 * total] = b;
                out[3 * total + 1] = k;
                out[3 * total + 2] = w.box[i];
            }
        }
    a->out[0].data = out;
    a->out[0].dims[0] = total;
    return INGOT_OK;
}
