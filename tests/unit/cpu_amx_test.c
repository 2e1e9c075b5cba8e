/* cpu_amx_test.c: products of bytes and of bf16, rounded and split, on tiles of AMX, with functions
 * in place of its instructions, which know the shapes of tiles: rows of A where they lie and
 * copied, runs of k with a rest, rows and columns with a rest, zero points; alone, and (bytes) in
 * front of AVX2, which shares the packing. Numbers are small and whole: no sum of floats rounds. */
#include "tests/unit/graph_run.h"

static const char *zero_point(int form)
{
    static const char *const zeros[][2] = {
        {"", ""},
        {"const %z : u8[] {131}\n", "const %z : i8[] {-5}\n"},
        {"input %z : u8[]\n", "input %z : i8[]\n"},
    };

    return zeros[form / 2][form % 2];
}

static void products(Run *r)
{
    static const char *const shapes[][3] = {
        {"8", "16", "64"},   {"13", "33", "96"},  {"16", "32", "100"},
        {"17", "70", "130"}, {"32", "48", "200"}, {"33", "100", "67"},
        {"49", "5", "192"},  {"m", "33", "64"},   {"4", "64", "256"}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 6; form++) {
            const char *m = shapes[i][0], *n = shapes[i][1], *k = shapes[i][2];
            const char *zero = zero_point(form);
            if ((form + (int)i) % 2) continue;
            GRAPH(arena_printf(r->arena, "bytes %s %s %s, %d", m, n, k, form),
                  "input %%a : %s[%s,%s]\nconst %%b : i8[%s,%s] {0 ...}\n%s"
                  "%%y = MatMulInteger(%%a, %%b%s)\noutput %%y",
                  form & 1 ? "i8" : "u8", m, k, k, n, zero, *zero ? ", %z" : "");
        }
    GRAPH("batch of bytes", "input %%a : i8[b,3,17,80]\nconst %%b : i8[3,80,40] {0 ...}\n"
                            "%%y = MatMulInteger(%%a, %%b)\noutput %%y");
    GRAPH("requantised", "input %%a : u8[m,96]\nconst %%b : i8[96,72] {0 ...}\n"
                         "const %%z : u8[] {3}\n%%h = MatMulInteger(%%a, %%b, %%z)\n"
                         "%%i = Cast(%%h) {to=1}\n%%j = Mul(%%i, %%i)\n%%y = Cast(%%j) {to=2}\n"
                         "output %%y");
}

/* Windows over (row, column, channel): runs of k are channels, rows of a tile are positions, of one
 * line or of several short ones. */
static void windows(Run *r)
{
    static const char *const shapes[][3] = {/* side, channels, features */
                                            {"11", "64", "48"},
                                            {"7", "96", "33"},
                                            {"9", "40", "16"},
                                            {"36", "32", "20"}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 2; form++)
            GRAPH(arena_printf(r->arena, "window %s %s %s, %d", shapes[i][0], shapes[i][1],
                               shapes[i][2], form),
                  "input %%x : %s[1,%s,%s,%s]\nconst %%w : i8[%s,%s,3,3] {0 ...}\n%s"
                  "%%y = ConvInteger(%%x, %%w, %%z)\noutput %%y",
                  form & 1 ? "i8" : "u8", shapes[i][1], shapes[i][0], shapes[i][0], shapes[i][2],
                  shapes[i][1], zero_point(2 + form));
}

/* So many products for each sum that rows are stored while the next tile is multiplied: batches,
 * rows of one line and of several, with a frame or none, columns with a rest, an epilogue. */
static void late(Run *r)
{
    static const char *const sides[] = {"7", "10"};

    GRAPH("late batch", "input %%a : u8[b,2,17,1536]\nconst %%b : i8[2,1536,24] {0 ...}\n"
                        "%%y = MatMulInteger(%%a, %%b)\noutput %%y");
    GRAPH("late and open", "input %%a : i8[m,1536]\nconst %%b : i8[1536,17] {0 ...}\n"
                           "%%y = MatMulInteger(%%a, %%b)\noutput %%y");
    GRAPH("late, each element for 16 columns",
          "input %%a : u8[17,1536]\nconst %%b : i8[1536,80] {0 ...}\ninput %%c : f32[17,5]\n"
          "const %%s : i64[2] {17 80}\n%%h = MatMulInteger(%%a, %%b)\n%%f = Cast(%%h) {to=1}\n"
          "%%e = Resize(%%c, _, _, %%s) {mode=\"nearest\", nearest_mode=\"floor\", "
          "coordinate_transformation_mode=\"asymmetric\"}\n"
          "%%y = Add(%%f, %%e)\noutput %%y");
    GRAPH("late requantised",
          "input %%a : u8[m,1536]\nconst %%b : i8[1536,32] {0 ...}\ninput %%c : f32[m,32]\n"
          "const %%z : u8[] {3}\n%%h = MatMulInteger(%%a, %%b, %%z)\n"
          "%%f = Cast(%%h) {to=1}\n%%i = Add(%%f, %%c)\n%%y = Cast(%%i) {to=6}\noutput %%y");
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        for (int padded = 0; padded < 2; padded++)
            GRAPH(arena_printf(r->arena, "late window %s, %d", sides[i], padded),
                  "input %%x : u8[1,192,%s,%s]\nconst %%w : i8[17,192,3,3] {0 ...}\n%s"
                  "%%h = ConvInteger(%%x, %%w, %%z) {pads=ints [%d,%d,%d,%d]}\n"
                  "const %%v : i8[8,17,3,3] {0 ...}\n%%g = Cast(%%h) {to=2}\n"
                  "%%y = ConvInteger(%%g, %%v) {pads=ints [1,1,1,1]}\noutput %%h\noutput %%y",
                  sides[i], sides[i], zero_point(2), padded, padded, padded, padded);
}

#define FLOATS(name, ...) graph_add_by(r, name, how, by, arena_printf(r->arena, DIMS __VA_ARGS__))

/* Weights that are multiples of 257 have a low part, numbers of up to 8 bits have none. */
static void floats(Run *r, MathKind how)
{
    double by = how == MATH_BF16X3 ? 257 : 1;
    static const char *const shapes[][3] = {{"13", "33", "96"}, {"16", "32", "100"},
                                            {"33", "70", "66"}, {"49", "5", "192"},
                                            {"m", "33", "64"},  {"4", "64", "256"}};
    static const char *const sides[][3] = {/* side, channels, features */
                                           {"7", "96", "33"},
                                           {"9", "40", "16"}};

    r->pairs = true;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        FLOATS(arena_printf(r->arena, "%s %s %s %s", math_text(how), shapes[i][0], shapes[i][1],
                            shapes[i][2]),
               "input %%x : f32[%s,%s]\nconst %%w : f32[%s,%s] {0 ...}\n"
               "%%y = MatMul(%%x, %%w)\noutput %%y",
               shapes[i][0], shapes[i][2], shapes[i][2], shapes[i][1]);
    by = 1; /* what goes on is of more bits, and what is kept of two 16 bits in all */
    FLOATS("two layers", "input %%x : f32[m,64]\nconst %%w : f32[64,64] {0 ...}\n"
                         "const %%v : f32[64,40] {0 ...}\nconst %%c : f32[64] {0 ...}\n"
                         "%%h = MatMul(%%x, %%w)\n%%i = Add(%%h, %%c)\n%%j = Relu(%%i)\n"
                         "%%y = MatMul(%%j, %%v)\noutput %%y\noutput %%j");
    FLOATS("a low part on the left",
           "input %%x : f32[19,64]\nconst %%w : f32[64,40] {0 ...}\nconst %%c : f32[] {257}\n"
           "%%s = Mul(%%x, %%c)\n%%y = MatMul(%%s, %%w)\noutput %%y");
    FLOATS("batch", "input %%x : f32[b,3,17,80]\nconst %%w : f32[3,80,40] {0 ...}\n"
                    "%%y = MatMul(%%x, %%w)\noutput %%y");
    FLOATS("late batch", "input %%x : f32[b,2,17,800]\nconst %%w : f32[2,800,24] {0 ...}\n"
                         "input %%c : f32[b,2,17,24]\n%%h = MatMul(%%x, %%w)\n"
                         "%%y = Add(%%h, %%c)\noutput %%y");
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        FLOATS(arena_printf(r->arena, "%s window %s %s %s", math_text(how), sides[i][0],
                            sides[i][1], sides[i][2]),
               "input %%x : f32[1,%s,%s,%s]\nconst %%w : f32[%s,%s,3,3] {0 ...}\n"
               "%%y = Conv(%%x, %%w) {pads=ints [1,1,1,1]}\noutput %%y",
               sides[i][1], sides[i][0], sides[i][0], sides[i][2], sides[i][1]);
}

/* Weights that stream past rows of which a small L2 holds a part: K is cut, and the sums of some of
 * the columns are kept; panels of one height and of two, columns with a rest; rows known, and open
 * ones; rows so far apart that they are copied. */
static void streamed(Run *r)
{
    static const char *const shapes[][3] = {{"9", "70", "1024"}, {"9", "20", "1024"},
                                            {"33", "40", "130"}, {"m", "33", "1088"},
                                            {"32", "40", "64"},  {"9", "193", "4160"}};

    r->l2 = 4 << 10;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        GRAPH(arena_printf(r->arena, "streamed %s %s %s", shapes[i][0], shapes[i][1], shapes[i][2]),
              "input %%a : u8[%s,%s]\nconst %%b : i8[%s,%s] {0 ...}\ninput %%z : u8[]\n"
              "%%y = MatMulInteger(%%a, %%b, %%z)\noutput %%y",
              shapes[i][0], shapes[i][2], shapes[i][2], shapes[i][1]);
    GRAPH("streamed batch", "input %%a : i8[b,3,17,80]\nconst %%b : i8[3,80,40] {0 ...}\n"
                            "%%y = MatMulInteger(%%a, %%b)\noutput %%y");
}

static void streamed_floats(Run *r, MathKind how)
{
    static const char *const shapes[][3] = {
        {"9", "40", "512"}, {"m", "33", "544"}, {"17", "193", "2048"}};
    double by = how == MATH_BF16X3 ? 257 : 1;

    r->pairs = true;
    r->l2 = 4 << 10;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        FLOATS(arena_printf(r->arena, "streamed %s %s %s %s", math_text(how), shapes[i][0],
                            shapes[i][1], shapes[i][2]),
               "input %%x : f32[%s,%s]\nconst %%w : f32[%s,%s] {0 ...}\n"
               "%%y = MatMul(%%x, %%w)\noutput %%y",
               shapes[i][0], shapes[i][2], shapes[i][2], shapes[i][1]);
}

static void rounded(Run *r)
{
    floats(r, MATH_BF16);
}

static void split(Run *r)
{
    floats(r, MATH_BF16X3);
}

static void rounded_streamed(Run *r)
{
    streamed_floats(r, MATH_BF16);
}

static void split_streamed(Run *r)
{
    streamed_floats(r, MATH_BF16X3);
}

int main(void)
{
    static void (*const groups[])(Run *) = {products, windows,  rounded,          split,
                                            late,     streamed, rounded_streamed, split_streamed};
    static const int forms[][CPU_GEMM_FORMS - CPU_GEMM_AMX] = {
        {26}, {8}, {12}, {12}, {12}, {1, 2, 3, 1}, {0, 0, 2, 1}, {0, 0, 2, 1}};

    for (int g = 0; g < 8; g++) {
        static const int64_t edges[] = {37, 1, 8, 0}, few[] = {17, 1, 0};
        bool long_sums = g >= 4;
        Run *r = run_new();
        r->values = long_sums ? few : edges;
        r->n_values = long_sums ? 3 : 4;
        r->whole = true;
        groups[g](r);
        int times = graph_run_tiles(r);
        for (int form = CPU_GEMM_AMX; form < CPU_GEMM_FORMS; form++)
            CHECK_EQ(r->form[form], times * forms[g][form - CPU_GEMM_AMX]);
        arena_free(r->arena);
    }
    return check_result();
}
