/* type: text, comparison, and the size of tensors. */
#include "ir/type.h"

#include "tests/unit/check.h"

typedef struct Bench {
    Arena *arena;
    DimTable dims;
} Bench;

static void check_text(Bench *b, const char *text)
{
    Type t, again;
    Text out;
    const char *end = type_parse(&b->dims, b->arena, text, &t);
    CHECK(end && *end == 0);
    if (!end) return;
    text_init(&out, b->arena);
    type_print(&out, &t);
    CHECK_STR(out.s, text);
    CHECK(type_parse(&b->dims, b->arena, text, &again) && type_equal(&t, &again));
}

static void test_text(Bench *b)
{
    static const char *const good[] = {
        "f32[2,n+1]",           "f32[*]", "i64[]",          "seq(f32[n])",  "?",
        "optional(seq(u8[*]))", "?[n,2]", "map(i64,f32[])", "f8e4m3fn[n,m]"};
    static const char *const bad[] = {"f32",          "f32[",   "f32[2",
                                      "f32[2,]",      "f99[2]", "seq(f32[2]",
                                      "map(x,f32[])", "",       "f32[1,1,1,1,1,1,1,1,1,1,1,1,1]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        check_text(b, good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Type t;
        CHECK(!type_parse(&b->dims, b->arena, bad[i], &t));
    }
    char deep[2000] = {0};
    for (int i = 0; i < 400; i++)
        memcpy(deep + 4 * i, "seq(", 4);
    Type t;
    CHECK(!type_parse(&b->dims, b->arena, deep, &t));
}

static void test_compare(Bench *b)
{
    Type x, y;
    CHECK(type_parse(&b->dims, b->arena, "f32[2,3]", &x));
    CHECK(type_parse(&b->dims, b->arena, "f32[2,n]", &y));
    CHECK(!type_equal(&x, &y));
    CHECK(type_is_static(&x) && !type_is_static(&y));
    CHECK(dim_is(type_count(&b->dims, &x), 6));
    CHECK(type_parse(&b->dims, b->arena, "f16[2,3]", &y) && !type_equal(&x, &y));
}

static void test_tensor(Bench *b)
{
    int64_t huge[3] = {INT64_C(1) << 31, INT64_C(1) << 31, 8}, negative[1] = {-1},
            empty[2] = {0, 5};
    int64_t dims[2] = {2, 3}, other[1] = {6}, wrong[1] = {5}, count;
    size_t bytes;
    CHECK(!tensor_size(DT_F32, 3, huge, &count, &bytes));
    CHECK(!tensor_size(DT_F32, 1, negative, &count, &bytes));
    CHECK(!tensor_size(DT_F32, MAX_RANK + 1, dims, &count, &bytes));
    CHECK(tensor_size(DT_F32, 2, empty, &count, &bytes) && count == 0 && bytes == 0);
    CHECK(tensor_size(DT_STRING, 2, dims, &count, &bytes) && bytes == 96);
    Tensor *t = tensor_new(b->arena, DT_I16, 2, dims);
    CHECK(t && t->count == 6 && t->bytes == 12);
    tensor_set_int(t, 5, -7);
    CHECK(tensor_double(t, 5) == -7);
    Tensor *flat = tensor_reshape(b->arena, t, 1, other);
    CHECK(flat && tensor_int(flat, 5) == -7);
    CHECK(!tensor_reshape(b->arena, t, 1, wrong));
    CHECK(tensor_double(tensor_scalar_double(b->arena, DT_F16, 0.1), 0) == 0.0999755859375);
    CHECK_EQ(tensor_int(tensor_i64s(b->arena, 2, dims), 1), 3);
    CHECK_EQ(tensor_new(b->arena, DT_F32, 2, empty)->count, 0);
}

/* What two types have in common as elements of one sequence. */
static void test_join(Bench *b)
{
    static const struct {
        const char *a, *b, *want;
    } cases[] = {
        {"f32[2,3]", "f32[2,3]", "f32[2,3]"},
        {"f32[2,n]", "f32[2,3]", "f32[2,n]"},
        {"f32[-]", "f32[2]", "f32[2]"},
        {"f32[2]", "f32[-]", "f32[2]"},
        {"f32[2]", "f32[2,1]", "f32[*]"},
        {"f32[*]", "f32[2]", "f32[*]"},
        {"seq(f32[-])", "seq(f32[4])", "seq(f32[4])"},
        {"f32[2]", "f64[2]", NULL},
        {"f32[2]", "seq(f32[2])", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Type x, y, both;
        Text text;
        CHECK(type_parse(&b->dims, b->arena, cases[i].a, &x) != NULL);
        CHECK(type_parse(&b->dims, b->arena, cases[i].b, &y) != NULL);
        bool ok = type_join(&b->dims, b->arena, &x, &y, &both);
        CHECK_EQ(ok, cases[i].want != NULL);
        text_init(&text, b->arena);
        type_print(&text, &both);
        if (ok) CHECK_STR(text.s, cases[i].want);
    }
    Type x, y, both;
    type_parse(&b->dims, b->arena, "f32[2,3]", &x);
    type_parse(&b->dims, b->arena, "f32[2,4]", &y);
    CHECK(type_join(&b->dims, b->arena, &x, &y, &both));
    CHECK(dim_is(both.dim[0], 2) && !dim_is_const(both.dim[1]));
}

int main(void)
{
    Bench b = {.arena = arena_new(0)};
    dims_init(&b.dims, b.arena);
    test_text(&b);
    test_compare(&b);
    test_tensor(&b);
    test_join(&b);
    arena_free(b.arena);
    return check_result();
}
