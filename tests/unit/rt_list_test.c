/* Lists: through .pb files and back, hostile bytes, what an instance refuses, sharing of arrays
 * when lists grow, and the limit on memory. */
#include <stdlib.h>
#include <unistd.h>

#include "runtime/rt_call.h"
#include "runtime/rt_io.h"
#include "tests/unit/check.h"

static char why[300];

/* ---- ports: seq(f32[?,2]), optional(seq(f32[?,2])), map(string, f32[]), map(i64, f32[]) ---- */

static const int64_t open1[1] = {-1}, open2[2] = {-1, 2};
static const char *const no_names[2] = {NULL, NULL};
static const ingot_port item_port = {"", INGOT_F32, 2, open2, no_names, 0, NULL};
static const ingot_port seq_port = {"s", INGOT_SEQUENCE, 1, open1, no_names, 0, &item_port};
static const ingot_port opt_port = {"o", INGOT_OPTIONAL, 1, open1, no_names, 1, &seq_port};
static const ingot_port scalar_port = {"", INGOT_F32, 0, NULL, NULL, 0, NULL};
static const ingot_port values_port = {"", INGOT_SEQUENCE, 1, open1, no_names, 0, &scalar_port};

static float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static ingot_tensor list(int32_t dtype, ingot_tensor *item, int64_t n)
{
    return (ingot_tensor){.data = item, .dtype = dtype, .rank = 1, .dims = {n}};
}

static void two_items(ingot_tensor item[2])
{
    item[0] = (ingot_tensor){.data = numbers, .dtype = INGOT_F32, .rank = 2, .dims = {1, 2}};
    item[1] = (ingot_tensor){.data = numbers + 2, .dtype = INGOT_F32, .rank = 2, .dims = {3, 2}};
}

static bool same(const ingot_tensor *a, const ingot_tensor *b)
{
    int64_t n = ingot_tensor_elements(a);
    const ingot_string *s = a->data, *r = b->data;

    if (a->dtype != b->dtype || a->rank != b->rank ||
        memcmp(a->dims, b->dims, 8 * (size_t)a->rank) != 0)
        return false;
    for (int64_t i = 0; i < n; i++) {
        if (ingot_tensor_is_list(a) &&
            !same((ingot_tensor *)a->data + i, (ingot_tensor *)b->data + i))
            return false;
        if (a->dtype == INGOT_STRING &&
            (s[i].n != r[i].n || memcmp(s[i].s, r[i].s, (size_t)s[i].n) != 0))
            return false;
    }
    if (ingot_tensor_is_list(a) || a->dtype == INGOT_STRING) return true;
    return n == 0 || memcmp(a->data, b->data, (size_t)(n * ingot_rt_dtype_size(a->dtype))) == 0;
}

/* ---- files ---- */

/* All cuts and single changes of a good file give a list or an error. */
static void hostile(const RtSink *s, const ingot_port *port)
{
    ingot_tensor_want want = {.port = port};
    ingot_tensor got;

    for (size_t n = 0; n < s->size; n++) {
        if (ingot_tensor_read_bytes("x.pb", s->data, n, &want, &got, why, sizeof why) == 0)
            ingot_tensor_free(&got);
        for (int bit = 0; bit < 8; bit++) {
            s->data[n] ^= (uint8_t)(1 << bit);
            if (ingot_tensor_read_bytes("x.pb", s->data, s->size, &want, &got, why, sizeof why) ==
                0)
                ingot_tensor_free(&got);
            s->data[n] ^= (uint8_t)(1 << bit);
        }
    }
}

static void there_and_back(const ingot_tensor *t, const ingot_port *port)
{
    ingot_tensor_want want = {.port = port};
    ingot_tensor got;
    RtSink s = {0};
    const char *reason = "";

    CHECK(ingot_rt_write_pb(&s, t, "name", &reason) && !s.failed);
    CHECK_EQ(ingot_tensor_read_bytes("x.pb", s.data, s.size, &want, &got, why, sizeof why), 0);
    CHECK(same(t, &got));
    ingot_tensor_free(&got);
    hostile(&s, port);
    free(s.data);
}

static void test_files(void)
{
    ingot_tensor item[2], seq, opt, pair[2],
        scalar[2] = {{.data = numbers, .dtype = INGOT_F32},
                     {.data = numbers + 1, .dtype = INGOT_F32}};
    ingot_string word[2] = {{"one", 3}, {"", 0}};
    int64_t key[2] = {-5, INT64_MAX};
    ingot_port maps[2] = {{"", INGOT_STRING, -1, NULL, NULL, 0, NULL}, values_port};
    ingot_port map_port = {"m", INGOT_MAP, 1, open1, no_names, 0, maps};

    two_items(item);
    seq = list(INGOT_SEQUENCE, item, 2);
    there_and_back(&seq, &seq_port);
    opt = list(INGOT_OPTIONAL, &seq, 1);
    there_and_back(&opt, &opt_port);
    opt.dims[0] = 0;
    there_and_back(&opt, &opt_port);
    pair[0] = (ingot_tensor){.data = word, .dtype = INGOT_STRING, .rank = 1, .dims = {2}};
    pair[1] = list(INGOT_SEQUENCE, scalar, 2);
    ingot_tensor map = list(INGOT_MAP, pair, 2);
    there_and_back(&map, &map_port);
    pair[0] = (ingot_tensor){.data = key, .dtype = INGOT_I64, .rank = 1, .dims = {2}};
    maps[0].dtype = INGOT_I64;
    there_and_back(&map, &map_port);
}

static void test_other_formats(void)
{
    ingot_tensor item[2], seq, got;
    ingot_tensor_want want = {.port = &seq_port, .seed = 3};

    two_items(item);
    seq = list(INGOT_SEQUENCE, item, 2);
    CHECK_EQ(ingot_tensor_write("x.npy", &seq, "x", why, sizeof why), INGOT_ERR_USAGE);
    CHECK_EQ(ingot_tensor_read_bytes("x.raw", numbers, 8, &want, &got, why, sizeof why),
             INGOT_ERR_USAGE);
    CHECK_EQ(ingot_tensor_read("random", &want, &got, why, sizeof why), 0);
    CHECK(got.dims[0] == 3 && ((ingot_tensor *)got.data)[2].dims[0] == 3);
    ingot_tensor_free(&got);
}

/* ---- an instance: appends two items to its input, again and again ---- */

enum { ROUNDS = 1000 };

static int32_t append(ingot_call *c, const ingot_tensor *to, ingot_tensor *item, ingot_tensor *out)
{
    ingot_tensor in[2] = {*to, *item};
    ingot_call_args a = {.call = c, .in = in, .out = out, .n_in = 2, .n_out = 1, .origin = -1};

    return ingot_call_list_insert(&a);
}

/* b and c are both a with one more: the second must not see the first's. */
static int32_t grow_run(ingot_call *c)
{
    ingot_tensor item[2], a = c->in[0], b, d;
    int32_t status = INGOT_OK;

    two_items(item);
    for (int i = 0; i < ROUNDS && !status; i++)
        status = append(c, &a, &item[0], &a);
    if (!status) status = append(c, &a, &item[0], &b);
    if (!status) status = append(c, &a, &item[1], &d);
    if (status) return status;
    if (((ingot_tensor *)b.data)[ROUNDS + 2].dims[0] != 1) return INGOT_ERR_BUG;
    if (((ingot_tensor *)d.data)[ROUNDS + 2].dims[0] != 3) return INGOT_ERR_BUG;
    if (a.dims[0] != ROUNDS + 2 || b.dims[0] != ROUNDS + 3) return INGOT_ERR_BUG;
    return ingot_rt_output_boxed(c, 0, &d);
}

static const ingot_model grow_model = {.abi_version = INGOT_ABI_VERSION,
                                       .n_inputs = 1,
                                       .n_outputs = 1,
                                       .inputs = &seq_port,
                                       .outputs = &seq_port,
                                       .name = "grow",
                                       .run = grow_run};

static void test_growing(void)
{
    ingot_tensor item[2], in, out = {0};
    ingot_instance *m;

    two_items(item);
    in = list(INGOT_SEQUENCE, item, 2);
    CHECK_EQ(ingot_create(&grow_model, &(ingot_options){.threads = 1}, &m), 0);
    for (int again = 0; again < 3; again++) {
        CHECK_EQ(ingot_run(m, &in, &out), 0);
        CHECK_EQ(out.dims[0], ROUNDS + 3);
        const ingot_tensor *last = (ingot_tensor *)out.data + ROUNDS + 2, *first = out.data;
        CHECK(same(last, &item[1]) && same(first, &item[0]));
        CHECK(last->data != item[1].data && first->data != item[0].data); /* nobody else's */
    }
    ingot_destroy(m);
}

/* ---- a loop of many turns: a queue of four, a list that keeps its first and last, words ---- */

enum { TURNS = 20000, WIDTH = 1000 };

static int32_t erase(ingot_call *c, const ingot_tensor *from, int64_t at, ingot_tensor *out)
{
    int64_t place[1] = {at};
    ingot_tensor in[2] = {*from, {.data = place, .dtype = INGOT_I64}};
    ingot_call_args a = {.call = c, .in = in, .out = out, .n_in = 2, .n_out = 1, .origin = -1};

    return ingot_call_list_erase(&a);
}

static int32_t turn(ingot_call *c, int t, ingot_tensor *queue, ingot_tensor *ends,
                    ingot_tensor *words)
{
    float wide[WIDTH] = {(float)t};
    char text[16] = {(char)('a' + t % 26), (char)('a' + t / 26 % 26)};
    ingot_string s[1] = {{text, sizeof text}};
    ingot_tensor item = {.data = wide, .dtype = INGOT_F32, .rank = 1, .dims = {WIDTH}};
    ingot_tensor word = {.data = s, .dtype = INGOT_STRING, .rank = 1, .dims = {1}};
    int32_t status = append(c, queue, &item, queue);

    if (!status) status = append(c, ends, &item, ends);
    if (!status) status = append(c, words, &word, words);
    if (!status && queue->dims[0] > 4) status = erase(c, queue, 0, queue);
    if (!status && ends->dims[0] > 2) status = erase(c, ends, 1, ends);
    if (!status && words->dims[0] > 3) status = erase(c, words, 0, words);
    return status;
}

static float first_of(const ingot_tensor *to, int64_t i)
{
    return *(float *)((ingot_tensor *)to->data)[i].data;
}

static char letter_of(const ingot_tensor *to, int64_t i)
{
    return ((ingot_string *)((ingot_tensor *)to->data)[i].data)->s[1];
}

static int32_t turns_run(ingot_call *c)
{
    ingot_tensor item[2], queue, ends, words = {.dtype = INGOT_SEQUENCE, .rank = 1}, before;
    ingot_tensor *list[3] = {&queue, &ends, &words};
    ingot_mark mark;
    int32_t status;

    two_items(item);
    queue = words;
    status = append(c, &queue, &item[1], &queue); /* has room behind its end */
    before = ends = queue;
    ingot_rt_mark(c, &mark);
    for (int t = 0; t < TURNS && !status; t++) {
        status = turn(c, t, &queue, &ends, &words);
        if (!status) status = ingot_rt_trim(c, &mark, list, 3);
    }
    if (status) return status;
    for (int i = 0; i < 4; i++)
        if (first_of(&queue, i) != (float)(TURNS - 4 + i)) return INGOT_ERR_BUG;
    if (first_of(&ends, 0) != 3 || first_of(&ends, 1) != TURNS - 1) return INGOT_ERR_BUG;
    if (letter_of(&words, 2) != 'a' + (TURNS - 1) / 26 % 26) return INGOT_ERR_BUG;
    if (first_of(&before, 0) != 3) return INGOT_ERR_BUG;
    return ingot_rt_output_boxed(c, 0, &before);
}

/* 160 MB are made; what is carried fits into the limit. */
static void test_turns(void)
{
    ingot_options o = {.threads = 1, .memory_limit = 16 << 20};
    ingot_model model = grow_model;
    ingot_tensor item[2], in, out = {0};
    ingot_instance *m;

    two_items(item);
    in = list(INGOT_SEQUENCE, item, 2);
    model.run = turns_run;
    CHECK_EQ(ingot_create(&model, &o, &m), 0);
    for (int again = 0; again < 2; again++) {
        CHECK_EQ(ingot_run(m, &in, &out), 0);
        CHECK_STR(ingot_error(m), "");
    }
    ingot_destroy(m);
}

static void test_limit(void)
{
    ingot_options o = {.threads = 1, .memory_limit = 100 << 10};
    ingot_tensor item[2], in, out = {0};
    ingot_instance *m;

    two_items(item);
    in = list(INGOT_SEQUENCE, item, 2);
    CHECK_EQ(ingot_create(&grow_model, &o, &m), 0);
    CHECK_EQ(ingot_run(m, &in, &out), INGOT_ERR_LIMIT);
    CHECK(strstr(ingot_error(m), "memory limit of 102400") != NULL);
    ingot_destroy(m);
}

static void test_refusals(void)
{
    ingot_tensor item[2], in, out = {0};
    ingot_instance *m;

    CHECK_EQ(ingot_create(&grow_model, &(ingot_options){.threads = 1}, &m), 0);
    two_items(item);
    in = list(INGOT_SEQUENCE, item, 2);
    item[1].dims[1] = 3;
    CHECK_EQ(ingot_run(m, &in, &out), INGOT_ERR_USAGE);
    CHECK_STR(ingot_error(m), "input 's': an element has another size: found f32 of rank 2");
    item[1].dims[1] = 2;
    item[0].rank = 1;
    CHECK_EQ(ingot_run(m, &in, &out), INGOT_ERR_USAGE);
    item[0].rank = 2;
    item[0].dtype = INGOT_F64;
    CHECK_EQ(ingot_run(m, &in, &out), INGOT_ERR_USAGE);
    item[0].dtype = INGOT_F32;
    item[0].data = NULL;
    CHECK_EQ(ingot_run(m, &in, &out), INGOT_ERR_USAGE);
    item[0].data = numbers;
    item[0].dims[0] = INT64_MAX;
    CHECK_EQ(ingot_run(m, &in, &out), INGOT_ERR_USAGE);
    in.dims[0] = -1;
    CHECK_EQ(ingot_run(m, &in, &out), INGOT_ERR_USAGE);
    ingot_destroy(m);
}

int main(void)
{
    test_files();
    test_other_formats();
    test_growing();
    test_turns();
    test_limit();
    test_refusals();
    return check_result();
}
