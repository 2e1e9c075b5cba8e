/* rt_call_nms.c: ONNX NonMaxSuppression: of boxes that overlap, the one with the best score.
 *
 * in: boxes [batch, boxes, 4], scores [batch, classes, boxes], both f32; most boxes a class (i64),
 * least score and greatest overlap (f32 each; data NULL when absent). ints: 1 when boxes are given
 * by their centre. out: i64[selected, 3]: batch, class, box. Of equal scores the lower box first.
 *
 * The order of the candidates of a class is kept in the memory of the result, behind what is
 * selected: there are never more of both than boxes. */
#include "runtime/rt.h"
#include "runtime/rt_call.h"

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

/* Area of the intersection over that of the union. */
static float overlap(Box a, Box b)
{
    float w = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 > b.x0 ? a.x0 : b.x0);
    float h = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 > b.y0 ? a.y0 : b.y0);
    float of_a = (a.x1 - a.x0) * (a.y1 - a.y0), of_b = (b.x1 - b.x0) * (b.y1 - b.y0);
    float both;

    if (!(w > 0 && h > 0) || !(of_a > 0 && of_b > 0)) return 0;
    both = w * h;
    return both / (of_a + of_b - both);
}

static int before(const float *score, int64_t i, int64_t j)
{
    return score[i] != score[j] ? score[i] > score[j] : i < j;
}

static void sink(const float *score, int64_t *heap, int64_t at, int64_t n)
{
    int64_t moved = heap[at];

    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(score, heap[child + 1], heap[child])) child++;
        if (!before(score, heap[child], moved)) break;
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

/* Boxes of one class in order -> chosen[0..). heap: workspace of n. Returns how many. */
static int64_t suppress(const Class *c, int64_t *chosen, int64_t *heap)
{
    int64_t left = 0, found = 0;

    for (int64_t i = 0; i < c->n; i++)
        if (!c->filtered || c->score[i] > c->least) heap[left++] = i;
    for (int64_t i = left / 2 - 1; i >= 0; i--)
        sink(c->score, heap, i, left);
    while (left > 0 && found < c->most) {
        int64_t best = heap[0], k = 0;
        heap[0] = heap[--left];
        sink(c->score, heap, 0, left);
        while (k < found && !(overlap(box_of(c->boxes + 4 * best, c->centred),
                                      box_of(c->boxes + 4 * chosen[k], c->centred)) > c->overlap))
            k++;
        if (k == found) chosen[found++] = best;
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
    int64_t total = 0, rows, *out;
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
    if (__builtin_mul_overflow(batches * classes, c.most, &rows) || rows > INT64_MAX / 64 - n)
        return INGOT_ERR_LIMIT;
    out = ingot_rt_place(a, 0, 8 * (3 * rows + 2 * n + 1));
    if (!out) return INGOT_ERR_LIMIT;
    for (int64_t b = 0; b < batches; b++)
        for (int64_t k = 0; k < classes; k++) {
            int64_t *chosen = out + 3 * rows, found;
            c.boxes = (const float *)boxes->data + b * n * 4;
            c.score = (const float *)scores->data + (b * classes + k) * n;
            found = suppress(&c, chosen, chosen + n);
            for (int64_t i = 0; i < found; i++, total++) {
                out[3 * total] = b;
                out[3 * total + 1] = k;
                out[3 * total + 2] = chosen[i];
            }
        }
    a->out[0].data = out;
    a->out[0].dims[0] = total;
    return INGOT_OK;
}
