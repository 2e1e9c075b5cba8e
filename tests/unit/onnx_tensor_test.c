/* onnx_tensor_test.c: constants of every dtype, from every place, and those that must be refused.
 */
#include "frontend/frontend.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "tests/unit/onnx_bytes.h"

/* Load a model whose only output is the initializer `t`, of which `path` is the name; `use` looks
 * at it. */
typedef void (*Use)(const Tensor *t);

static Status load_as(Pb model, const char *path, const FrontendOptions *o, Use use,
                      const char *message)
{
    Arena *a = arena_new(0);
    Loaded l;
    Diag d;
    bool found = false;

    diag_init(&d, a);
    Status s = frontend_load_bytes(model.b, model.n, path, o, a, &l, &d);
    for (const DiagItem *i = d.first; i; i = i->next)
        found |= message && strstr(diag_format(i, a), message);
    if (message && !found) {
        fprintf(stderr, "no message with: %s\n", message);
        for (const DiagItem *i = d.first; i; i = i->next)
            fprintf(stderr, "    %s\n", diag_format(i, a));
    }
    CHECK(!message || found);
    if (s == OK) {
        const Tensor *t = l.module->main->result[0]->data;
        CHECK(t != NULL);
        if (t && use) use(t);
        frontend_close(&l);
    }
    arena_free(a);
    return s;
}

static Pb model_of(Pb tensor, unsigned field)
{
    Pb g = {.arena = tensor.arena};

    pb_message(&g, field, tensor);
    pb_port(&g, 12, "t", 1, NULL);
    return pb_model(g, 20);
}

/* ---- dtypes ---- */

typedef struct Case {
    int dtype;      /* ONNX code */
    int64_t n;      /* elements */
    unsigned field; /* 9 raw_data, else a typed field */
    uint8_t raw[16];
    size_t n_raw;
    int64_t typed[4]; /* as int64 in the typed field */
    int n_typed;
    double want[8]; /* as double */
} Case;

static const Case cases[] = {
    {3, 2, 9, {0xff, 0x7f}, 2, {0}, 0, {-1, 127}},
    {3, 2, 5, {0}, 0, {-1, 127}, 2, {-1, 127}},
    {2, 2, 5, {0}, 0, {255, 1}, 2, {255, 1}},
    {9, 3, 9, {0, 1, 7}, 3, {0}, 0, {0, 1, 1}},
    {9, 2, 5, {0}, 0, {0, 9}, 2, {0, 1}},
    {10, 2, 5, {0}, 0, {0x3c00, 0xc000}, 2, {1, -2}},
    {10, 1, 9, {0x00, 0x3e}, 2, {0}, 0, {1.5}},
    {16, 1, 5, {0}, 0, {0x3fc0}, 1, {1.5}},
    {13, 1, 11, {0}, 0, {5000000000}, 1, {5e9}},
    {12, 1, 11, {0}, 0, {4000000000}, 1, {4e9}},
    {7, 2, 7, {0}, 0, {-5, 1}, 2, {-5, 1}},
    {5, 1, 9, {0xfe, 0xff}, 2, {0}, 0, {-2}},
    {22, 3, 9, {0xf8, 0x07}, 2, {0}, 0, {-8, -1, 7}}, /* i4 */
    {22, 3, 5, {0}, 0, {0xf8, 0x07}, 2, {-8, -1, 7}},
    {21, 3, 9, {0x3c, 0x0f}, 2, {0}, 0, {12, 3, 15}},                        /* u4 */
    {25, 5, 9, {0xe4, 0x02}, 2, {0}, 0, {0, 1, 2, 3, 2}},                    /* u2 */
    {26, 4, 9, {0xe4}, 1, {0}, 0, {0, 1, -2, -1}},                           /* i2 */
    {23, 3, 9, {0x72, 0x0f}, 2, {0}, 0, {1, 6, -6}},                         /* f4 */
    {27, 5, 9, {0xc8, 0x1f, 0x40, 0x08}, 4, {0}, 0, {1, -7.5, 0.125, 2, 1}}, /* f6e2m3 */
    {27, 2, 5, {0}, 0, {0x08, 0x3f}, 2, {1, -7.5}},
    {28, 3, 9, {0xcc, 0x17, 0x02}, 3, {0}, 0, {1, 28, -0.0625}}, /* f6e3m2 */
    {17, 2, 9, {0x38, 0xbc}, 2, {0}, 0, {1, -1.5}},              /* f8e4m3fn */
    {19, 1, 5, {0}, 0, {0x3c}, 1, {1}},                          /* f8e5m2 */
    {24, 1, 9, {0x80}, 1, {0}, 0, {2}},                          /* f8e8m0 */
    {1, 0, 9, {0}, 0, {0}, 0, {0}},
};

static const Case *current;

static void check_values(const Tensor *t)
{
    CHECK_EQ(t->count, current->n);
    for (int64_t i = 0; i < t->count && i < current->n; i++) {
        double v = dtype_is_float(t->dtype) ? tensor_double(t, i) : (double)tensor_int(t, i);
        if (v != current->want[i])
            fprintf(stderr, "dtype %d: element %d is %g\n", current->dtype, (int)i, v);
        CHECK(v == current->want[i]);
    }
}

static void test_dtypes(Arena *a)
{
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const Case *c = current = &cases[k];
        Pb t = pb_tensor(a, "t", c->dtype, 1, &c->n);
        if (c->field == 9) pb_bytes(&t, 9, c->raw, c->n_raw);
        for (int i = 0; c->field != 9 && i < c->n_typed; i++)
            pb_int(&t, c->field, c->typed[i]);
        CHECK_EQ(load_as(model_of(t, 5), "", NULL, check_values, NULL), OK);
    }
}

static void check_strings(const Tensor *t)
{
    const StringRef *s = t->data;

    CHECK(t->count == 2 && s[0].n == 3 && memcmp(s[0].s, "a\0b", 3) == 0 && s[1].n == 0);
}

static void check_complex(const Tensor *t)
{
    const float *v = t->data;

    CHECK(t->count == 1 && v[0] == 1 && v[1] == -2);
}

static void test_strings_and_complex(Arena *a)
{
    int64_t two = 2, one = 1;
    Pb s = pb_tensor(a, "t", 8, 1, &two), c = pb_tensor(a, "t", 14, 1, &one);

    pb_bytes(&s, 6, "a\0b", 3);
    pb_bytes(&s, 6, "", 0);
    CHECK_EQ(load_as(model_of(s, 5), "", NULL, check_strings, NULL), OK);
    pb_float(&c, 4, 1);
    pb_float(&c, 4, -2);
    CHECK_EQ(load_as(model_of(c, 5), "", NULL, check_complex, NULL), OK);
}

/* ---- refusals ---- */

static Pb raw_tensor(Arena *a, int dtype, int rank, const int64_t *dims, size_t bytes)
{
    static const uint8_t zeros[64];
    Pb t = pb_tensor(a, "t", dtype, rank, dims);

    pb_bytes(&t, 9, zeros, bytes);
    return t;
}

static void refuse(Pb t, Status want, const char *message)
{
    CHECK_EQ(load_as(model_of(t, 5), "", NULL, NULL, message), want);
}

static void test_refused(Arena *a)
{
    static const int64_t three[] = {3}, huge[] = {INT64_MAX, INT64_MAX}, negative[] = {-1};
    static const int64_t wraps[] = {(int64_t)1 << 32, (int64_t)1 << 32, 0}, many[20] = {0};

    refuse(raw_tensor(a, 1, 1, three, 11), ERR_MODEL, "raw_data of 11 bytes");
    refuse(raw_tensor(a, 1, 1, three, 16), ERR_MODEL, "need 12");
    refuse(raw_tensor(a, 22, 1, three, 3), ERR_MODEL, "need 2");
    refuse(raw_tensor(a, 25, 1, three, 0), ERR_MODEL, "need 1");
    refuse(raw_tensor(a, 8, 1, three, 48), ERR_MODEL, "strings may not stand in raw_data");
    refuse(raw_tensor(a, 1, 2, huge, 4), ERR_MODEL, "2^63");
    refuse(raw_tensor(a, 1, 3, wraps, 4), ERR_MODEL, "2^63");
    refuse(raw_tensor(a, 1, 1, negative, 4), ERR_MODEL, "dim 0 of a tensor is -1");
    refuse(raw_tensor(a, 1, 20, many, 0), ERR_UNSUPPORTED, "rank 20");
    refuse(raw_tensor(a, 99, 1, three, 4), ERR_UNSUPPORTED, "element type 99");
    refuse(raw_tensor(a, 0, 1, three, 4), ERR_MODEL, "element type 0");
    Pb t = pb_tensor(a, "t", 1, 1, three);
    pb_float(&t, 4, 1);
    refuse(t, ERR_MODEL, "1 f32 elements");
    pb_bytes(&t, 9, "0123456789ab", 12);
    refuse(t, ERR_MODEL, "both");
}

/* ---- sparse ---- */

static Pb sparse(Arena *a, int64_t n, const int64_t *index, int64_t dim)
{
    Pb s = {.arena = a}, values = pb_tensor(a, "t", 7, 1, &n), at = pb_tensor(a, NULL, 7, 1, &n);

    for (int64_t i = 0; i < n; i++) {
        pb_int(&values, 7, 10 + i);
        pb_int(&at, 7, index[i]);
    }
    pb_message(&s, 1, values);
    pb_message(&s, 2, at);
    pb_int(&s, 3, dim);
    return s;
}

static void check_sparse(const Tensor *t)
{
    CHECK(t->rank == 1 && t->dim[0] == 5 && tensor_int(t, 1) == 10 && tensor_int(t, 4) == 11 &&
          tensor_int(t, 0) == 0);
}

static void test_sparse(Arena *a)
{
    static const int64_t good[] = {1, 4}, out[] = {1, 5}, down[] = {4, 1}, twice[] = {1, 1};

    CHECK_EQ(load_as(model_of(sparse(a, 2, good, 5), 15), "", NULL, check_sparse, NULL), OK);
    CHECK_EQ(load_as(model_of(sparse(a, 2, out, 5), 15), "", NULL, NULL, "outside"), ERR_MODEL);
    CHECK_EQ(load_as(model_of(sparse(a, 2, down, 5), 15), "", NULL, NULL, "order"), ERR_MODEL);
    CHECK_EQ(load_as(model_of(sparse(a, 2, twice, 5), 15), "", NULL, NULL, "order"), ERR_MODEL);
    CHECK_EQ(load_as(model_of(sparse(a, 2, good, (int64_t)1 << 40), 15), "", NULL, NULL, "limit"),
             ERR_LIMIT);
}

/* ---- external data, in all the places a tensor can stand ---- */

static Pb external(Arena *a, const char *name, const char *location, const char *offset,
                   const char *length, const char *extra)
{
    int64_t two = 2;
    Pb t = pb_tensor(a, name, 7, 1, &two);
    const char *pairs[][2] = {
        {"location", location}, {"offset", offset}, {"length", length}, {extra, "1"}};

    for (int i = 0; i < 4; i++) {
        Pb e = {.arena = a};
        if (!pairs[i][0] || !pairs[i][1]) continue;
        pb_text(&e, 1, pairs[i][0]);
        pb_text(&e, 2, pairs[i][1]);
        pb_message(&t, 13, e);
    }
    pb_int(&t, 14, 1);
    return t;
}

static void check_external(const Tensor *t)
{
    CHECK(t->count == 2 && tensor_int(t, 0) == 7 && tensor_int(t, 1) == 8);
}

static Pb constant_model(Pb tensor)
{
    Pb g = {.arena = tensor.arena}, n = pb_node(tensor.arena, "Constant", "-> t");

    pb_attr_tensor(&n, "value", tensor);
    pb_message(&g, 1, n);
    pb_port(&g, 12, "t", 7, NULL);
    return pb_model(g, 20);
}

static Pb sparse_model(Pb values)
{
    int64_t two = 2;
    Pb s = {.arena = values.arena}, at = pb_tensor(values.arena, NULL, 7, 1, &two);

    pb_int(&at, 7, 0);
    pb_int(&at, 7, 1);
    pb_message(&s, 1, values);
    pb_message(&s, 2, at);
    pb_int(&s, 3, 2);
    return model_of(s, 15);
}

static Pb function_model(Pb tensor)
{
    Arena *a = tensor.arena;
    Pb g = {.arena = a}, f = {.arena = a}, n = pb_node(a, "Constant", "-> r"),
       call = pb_node(a, "f", "-> t");

    pb_attr_tensor(&n, "value", tensor);
    pb_text(&f, 1, "f");
    pb_text(&f, 5, "r");
    pb_text(&f, 10, "my");
    pb_opset(&f, 9, "", 20);
    pb_message(&f, 7, n);
    pb_text(&call, 7, "my");
    pb_message(&g, 1, call);
    pb_port(&g, 12, "t", 7, NULL);
    Pb m = pb_model(g, 20);
    pb_message(&m, 25, f);
    return m;
}

typedef struct Place {
    Status want;
    const char *location, *offset, *length, *extra, *message;
} Place;

static const Place places[] = {
    {OK, "w.bin", "8", "16", NULL, NULL},
    {OK, "w.bin", "8", NULL, NULL, NULL},
    {OK, "./w.bin", "8", "16", "checksum", NULL},
    {ERR_MODEL, "../w.bin", "8", "16", NULL, ".."},
    {ERR_MODEL, "a/../../w.bin", "8", "16", NULL, ".."},
    {ERR_MODEL, "/etc/passwd", "0", "16", NULL, "relative"},
    {ERR_IO, "link.bin", "8", "16", NULL, "symbolic link"},
    {ERR_IO, "linked/w.bin", "8", "16", NULL, "symbolic link"},
    {ERR_IO, "none.bin", "8", "16", NULL, "none.bin"},
    {ERR_IO, ".", "0", "16", NULL, "folder"},
    {ERR_MODEL, "w.bin", "-8", "16", NULL, "offset"},
    {ERR_MODEL, "w.bin", "9223372036854775807", "16", NULL, "outside"},
    {ERR_MODEL, "w.bin", "16", "16", NULL, "outside"},
    {ERR_MODEL, "w.bin", "8", "1125899906842624", NULL, "need 16"},
    {ERR_MODEL, "w.bin", "8", "15", NULL, "need 16"},
    {ERR_MODEL, "w.bin", "8x", "16", NULL, "offset"},
    {ERR_MODEL, "w.bin", "8", "16", "unheard_of", "unknown key"},
    {ERR_MODEL, NULL, "8", "16", NULL, "without a location"},
};

static void test_external(Arena *a)
{
    const char *folder = NULL;
    static const int64_t data[] = {1, 7, 8};
    Diag d;

    diag_init(&d, a);
    CHECK_EQ(folder_temporary(a, &folder, &d), OK);
    if (!folder) return;
    const char *path = path_join(a, folder, "m.onnx");
    CHECK_EQ(file_write_all(path_join(a, folder, "w.bin"), 0644, data, sizeof data, &d), OK);
    CHECK_EQ(symlink("w.bin", path_join(a, folder, "link.bin")), 0);
    CHECK_EQ(symlink(".", path_join(a, folder, "linked")), 0);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const Place *p = &places[i];
        Pb t = external(a, "t", p->location, p->offset, p->length, p->extra);
        Pb models[] = {model_of(t, 5), constant_model(t), function_model(t), sparse_model(t)};
        for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
            Status s = load_as(models[k], path, NULL, check_external, p->message);
            if (s != p->want) fprintf(stderr, "place %zu, model %zu\n", i, k);
            CHECK_EQ(s, p->want);
        }
    }
    FrontendOptions trusted = {.external_data = folder};
    Pb t = external(a, "t", "link.bin", "8", "16", NULL);
    CHECK_EQ(load_as(model_of(t, 5), "elsewhere/m.onnx", &trusted, check_external, NULL), OK);
    CHECK_EQ(load_as(model_of(t, 5), "", NULL, NULL, "no folder"), ERR_IO);
    folder_remove(folder);
}

int main(void)
{
    Arena *a = arena_new(0);

    test_dtypes(a);
    test_strings_and_complex(a);
    test_refused(a);
    test_sparse(a);
    test_external(a);
    arena_free(a);
    return check_result();
}
