/* recurrent_eval.c: reference evaluation of RNN, GRU and LSTM, one sequence at a time, in double.
 */
#include "ir/ops/recurrent.h"

#include <string.h>

typedef struct Running {
    const Recurrent *r;
    const Tensor *const *in;
    int n_in, dir;
    int64_t inputs; /* I */
    double *h, *c, *gate, *x;
} Running;

static double weight(const Tensor *w, int64_t dir, int64_t row, int64_t col)
{
    return tensor_double(w, (dir * w->dim[1] + row) * w->dim[2] + col);
}

static double bias_at(const Running *q, int64_t k)
{
    return q->n_in > 3 && q->in[3] ? tensor_double(q->in[3], q->dir * q->in[3]->dim[1] + k) : 0;
}

/* Peephole k of a cell state; an infinite state without peepholes adds nothing. */
static double peep_of(const Running *q, int64_t k, double c)
{
    const Tensor *p = q->n_in > 7 ? q->in[7] : NULL;

    return p ? tensor_double(p, q->dir * p->dim[1] + k) * c : 0;
}

static double x_dot(const Running *q, int64_t row)
{
    double sum = bias_at(q, row);

    for (int64_t i = 0; i < q->inputs; i++)
        sum += q->x[i] * weight(q->in[1], q->dir, row, i);
    return sum;
}

static double h_dot(const Running *q, int64_t row, const double *h)
{
    double sum = bias_at(q, q->r->gates * q->r->hidden + row);

    for (int64_t i = 0; i < q->r->hidden; i++)
        sum += h[i] * weight(q->in[2], q->dir, row, i);
    return sum;
}

static double eval_act(const Running *q, int which, double v)
{
    const Act *a = &q->r->act[q->dir][which];

    if (q->r->clip > 0) v = v > q->r->clip ? q->r->clip : v < -q->r->clip ? -q->r->clip : v;
    return a->a->eval(v, a->alpha, a->beta);
}

static void eval_lstm_step(Running *q)
{
    int64_t H = q->r->hidden;

    for (int64_t j = 0; j < 4 * H; j++)
        q->gate[j] = x_dot(q, j) + h_dot(q, j, q->h);
    for (int64_t j = 0; j < H; j++) {
        double c = q->c[j], i = eval_act(q, 0, q->gate[j] + peep_of(q, j, c));
        double f = q->r->input_forget
                       ? 1 - i
                       : eval_act(q, 0, q->gate[2 * H + j] + peep_of(q, 2 * H + j, c));
        c = f * c + i * eval_act(q, 1, q->gate[3 * H + j]);
        double o = eval_act(q, 0, q->gate[H + j] + peep_of(q, H + j, c));
        const Act *a = &q->r->act[q->dir][2];
        q->c[j] = c;
        q->h[j] = o * a->a->eval(c, a->alpha, a->beta);
    }
}

static void eval_gru_step(Running *q)
{
    int64_t H = q->r->hidden;
    double *z = q->gate, *r = q->gate + H, *rh = q->gate + 2 * H, *g = q->gate + 3 * H;

    for (int64_t j = 0; j < H; j++) {
        z[j] = eval_act(q, 0, x_dot(q, j) + h_dot(q, j, q->h));
        r[j] = eval_act(q, 0, x_dot(q, H + j) + h_dot(q, H + j, q->h));
        rh[j] = r[j] * q->h[j];
    }
    for (int64_t j = 0; j < H; j++) {
        double x = x_dot(q, 2 * H + j);
        x += q->r->linear_before_reset ? r[j] * h_dot(q, 2 * H + j, q->h) : h_dot(q, 2 * H + j, rh);
        g[j] = eval_act(q, 1, x);
    }
    for (int64_t j = 0; j < H; j++)
        q->h[j] = (1 - z[j]) * g[j] + z[j] * q->h[j];
}

static void eval_rnn_step(Running *q)
{
    for (int64_t j = 0; j < q->r->hidden; j++)
        q->gate[j] = eval_act(q, 0, x_dot(q, j) + h_dot(q, j, q->h));
    memcpy(q->h, q->gate, sizeof(double) * (size_t)q->r->hidden);
}

static int64_t y_place(const Recurrent *r, int64_t T, int64_t N, int64_t t, int64_t d, int64_t n)
{
    int64_t D = r->directions;
    return (r->batch_first ? (n * T + t) * D + d : (t * D + d) * N + n) * r->hidden;
}

static int64_t state_place(const Recurrent *r, int64_t N, int64_t d, int64_t n)
{
    return (r->batch_first ? n * r->directions + d : d * N + n) * r->hidden;
}

static void eval_sequence(Running *q, int64_t n, int64_t T, int64_t N, Tensor *const *out)
{
    const Recurrent *r = q->r;
    int64_t H = r->hidden, len = T, at = state_place(r, N, q->dir, n);

    if (q->n_in > 4 && q->in[4]) len = tensor_int(q->in[4], n);
    if (len < 0 || len > T) len = T;
    for (int64_t j = 0; j < H; j++) {
        q->h[j] = q->n_in > 5 && q->in[5] ? tensor_double(q->in[5], at + j) : 0;
        q->c[j] = q->n_in > 6 && q->in[6] ? tensor_double(q->in[6], at + j) : 0;
    }
    for (int64_t s = 0; s < len; s++) {
        int64_t t = r->backward[q->dir] ? len - 1 - s : s;
        for (int64_t i = 0; i < q->inputs; i++)
            q->x[i] =
                tensor_double(q->in[0], (r->batch_first ? n * T + t : t * N + n) * q->inputs + i);
        if (r->cell == CELL_LSTM) eval_lstm_step(q);
        if (r->cell == CELL_GRU) eval_gru_step(q);
        if (r->cell == CELL_RNN) eval_rnn_step(q);
        for (int64_t j = 0; j < H && out[0]; j++)
            tensor_set_double(out[0], y_place(r, T, N, t, q->dir, n) + j, q->h[j]);
    }
    for (int64_t j = 0; j < H; j++) {
        if (out[1]) tensor_set_double(out[1], at + j, q->h[j]);
        if (out[2]) tensor_set_double(out[2], at + j, q->c[j]);
    }
}

static Status check_eval(Eval *cx, const Node *n, const Recurrent *r, const Tensor *const *in,
                         int64_t N)
{
    int64_t H = r->hidden, D = r->directions, I = in[0]->dim[2];
    const int64_t want[] = {-1,
                            D * r->gates * H * I,
                            D * r->gates * H * H,
                            D * 2 * r->gates * H,
                            N,
                            D * N * H,
                            D * N * H,
                            D * 3 * H};

    for (int k = 1; k < n->n_in && k < 8; k++)
        if (in[k] && in[k]->count != want[k])
            return op_error(n, cx->diag, NULL, "%s: input %d has %lld elements, expected %lld",
                            node_op_name(n), k, (long long)in[k]->count, (long long)want[k]);
    if (in[1]->dim[2] != I)
        return op_error(n, cx->diag, "W", "%s: for inputs of %lld, given %lld", node_op_name(n),
                        (long long)in[1]->dim[2], (long long)I);
    return OK;
}

Status eval_recurrent(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Recurrent r;
    Tensor *all[3] = {0};

    TRY(recurrent_read(n, cx->diag, &r));
    int64_t T = in[0]->dim[r.batch_first], N = in[0]->dim[!r.batch_first], H = r.hidden;
    int64_t D = r.directions;
    TRY(check_eval(cx, n, &r, in, N));
    Running q = {.r = &r, .in = in, .n_in = n->n_in, .inputs = in[0]->dim[2]};
    q.h = ARENA_ARRAY(cx->arena, double, H);
    q.c = ARENA_ARRAY(cx->arena, double, H);
    q.gate = ARENA_ARRAY(cx->arena, double, 4 * H);
    q.x = ARENA_ARRAY(cx->arena, double, q.inputs);
    if (has_out(n, 0))
        TRY(eval_out(cx, n, &all[0], in[0]->dtype, 4,
                     r.batch_first ? (int64_t[]){N, T, D, H} : (int64_t[]){T, D, N, H}));
    for (int k = 1; k < 3; k++)
        if (has_out(n, k))
            TRY(eval_out(cx, n, &all[k], in[0]->dtype, 3,
                         r.batch_first ? (int64_t[]){N, D, H} : (int64_t[]){D, N, H}));
    for (q.dir = 0; q.dir < r.directions; q.dir++)
        for (int64_t b = 0; b < N; b++)
            eval_sequence(&q, b, T, N, all);
    for (int k = 0; k < n->n_out; k++)
        out[k] = all[k];
    return OK;
}
