/* cpu_gemm_test.c: matrix products over shapes around the edges of tiles, batches, transposed and
 * constant operands, epilogues: compiled kernels at every level of this machine, and plain C, give
 * the bits of kernel_interpret. */
#include "tests/unit/graph_run.h"

/* [m,k] x [k,n]: b constant or not, plain or with an epilogue. */
static void add_matmul(Run *r, const char *m, const char *n, const char *k)
{
    const char *name = arena_printf(r->arena, "matmul %s %s %s", m, n, k);
    bool constant = k[0] <= '9' && n[0] <= '9';

    GRAPH(name,
          "input %%a : f32[%s,%s]\ninput %%b : f32[%s,%s]\n%%y = MatMul(%%a, %%b)\noutput %%y", m,
          k, k, n);
    if (!constant) return;
    name = arena_printf(r->arena, "matmul of weights %s %s %s", m, n, k);
    GRAPH(name,
          "input %%a : f32[%s,%s]\nconst %%b : f32[%s,%s] {0 ...}\ninput %%c : f32[%s]\n"
          "%%h = MatMul(%%a, %%b)\n%%i = Add(%%h, %%c)\n%%y = Relu(%%i)\noutput %%y",
          m, k, k, n, n);
}

static void matmuls(Run *r)
{
    static const char *const shapes[][3] = {
        {"13", "41", "29"},  {"1", "64", "17"},  {"1", "200", "5"},  {"2", "33", "1"},
        {"3", "8", "2"},     {"14", "32", "16"}, {"15", "33", "15"}, {"28", "96", "7"},
        {"5", "17", "3"},    {"64", "48", "31"}, {"31", "15", "64"}, {"130", "9", "4"},
        {"6", "7", "33"},    {"29", "1", "9"},   {"m", "48", "16"},  {"m", "37", "9"},
        {"13", "n", "16"},   {"9", "40", "k"},   {"m", "n", "k"},    {"m", "1", "12"},
        {"4", "16", "100"},  {"7", "130", "3"},  {"8", "115", "40"}, {"29", "70", "50"},
        {"m", "270", "250"}, {"400", "35", "3"},
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        add_matmul(r, shapes[i][0], shapes[i][1], shapes[i][2]);
}

static void batches(Run *r)
{
    /* fewer columns than a tile wants, of long sums */
    GRAPH("long sums", "input %%a : f32[4,300]\ninput %%b : f32[300,4]\n%%y = MatMul(%%a, %%b)\n"
                       "output %%y");
    GRAPH("long sums of open rows",
          "input %%a : f32[m,300]\ninput %%b : f32[300,3]\n%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("long sums of turned operands",
          "input %%a : f32[300,5]\ninput %%b : f32[7,300]\ninput %%c : f32[7]\n"
          "%%y = Gemm(%%a, %%b, %%c) {transA=1, transB=1}\noutput %%y");
    GRAPH("long sums, batch",
          "input %%a : f32[3,9,260]\ninput %%b : f32[3,260,2]\n%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("batch", "input %%a : f32[3,9,12]\ninput %%b : f32[3,12,20]\n%%y = MatMul(%%a, %%b)\n"
                   "output %%y");
    GRAPH("batch of a", "input %%a : f32[5,2,9,12]\ninput %%b : f32[12,20]\n"
                        "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("batch of b", "input %%a : f32[9,12]\ninput %%b : f32[4,12,20]\n"
                        "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("batches that broadcast", "input %%a : f32[4,1,9,12]\ninput %%b : f32[3,12,20]\n"
                                    "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("batch of weights", "input %%a : f32[b,3,9,12]\nconst %%b : f32[3,12,20] {0 ...}\n"
                              "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("weights by batch", "const %%a : f32[3,9,12] {0 ...}\ninput %%b : f32[2,3,12,20]\n"
                              "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("open batch", "input %%a : f32[b,m,12]\ninput %%b : f32[b,12,n]\n"
                        "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("open sums, rows turned", "input %%a : f32[45,k]\ninput %%b : f32[k,20]\n"
                                    "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("open sums of a value, rows turned",
          "input %%a : f16[b,17,k]\ninput %%b : f16[k,20]\n%%s = Neg(%%a)\n"
          "%%y = MatMul(%%s, %%b)\noutput %%y");
    GRAPH("perhaps broadcast", "input %%a : f32[b,m,12]\ninput %%b : f32[1,12,30]\n"
                               "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("columns along k, times one number each",
          "input %%x : f32[b,n,18]\ninput %%s : f32[b,n,1]\nconst %%a : f32[64,18] {0 ...}\n"
          "%%p = Mul(%%x, %%s)\n%%t = Transpose(%%p) {perm=ints [0,2,1]}\n"
          "%%y = MatMul(%%a, %%t)\noutput %%y");
    GRAPH("vector times matrix", "input %%a : f32[40]\ninput %%b : f32[40,20]\n"
                                 "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("matrix times vector", "input %%a : f32[20,40]\ninput %%b : f32[40]\n"
                                 "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("dot", "input %%a : f32[130]\ninput %%b : f32[130]\n%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("f16", "input %%a : f16[9,12]\ninput %%b : f16[12,20]\n%%y = MatMul(%%a, %%b)\n"
                 "output %%y");
    GRAPH("bf16 weights", "input %%a : bf16[m,12]\nconst %%b : bf16[12,70] {0 ...}\n"
                          "%%y = MatMul(%%a, %%b)\noutput %%y");
    GRAPH("f64", "input %%a : f64[9,12]\ninput %%b : f64[12,20]\n%%y = MatMul(%%a, %%b)\n"
                 "output %%y");
    GRAPH("i32", "input %%a : i32[9,12]\ninput %%b : i32[12,20]\n%%y = MatMul(%%a, %%b)\n"
                 "output %%y");
    GRAPH("u8", "input %%a : u8[9,12]\ninput %%b : i8[12,20]\ninput %%z : u8[]\n"
                "%%y = MatMulInteger(%%a, %%b, %%z)\noutput %%y");
}

/* Products of bytes: weights of the two signs, zero points known, data or left out, runs of k that
 * are no multiple of four. */
static void bytes(Run *r)
{
    static const char *const shapes[][3] = {
        {"13", "41", "32"}, {"1", "64", "17"}, {"2", "33", "3"},  {"14", "32", "4"},
        {"29", "5", "66"},  {"m", "48", "31"}, {"130", "9", "7"}, {"3", "130", "64"}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 6; form++) {
            const char *m = shapes[i][0], *n = shapes[i][1], *k = shapes[i][2];
            bool minus = form & 1;
            const char *zero = form / 2 == 0 ? ""
                               : form / 2 == 1
                                   ? (minus ? "const %z : i8[] {-5}\n" : "const %z : u8[] {131}\n")
                                   : (minus ? "input %z : i8[]\n" : "input %z : u8[]\n");
            GRAPH(arena_printf(r->arena, "bytes %s %s %s, %d", m, n, k, form),
                  "input %%a : %s[%s,%s]\nconst %%b : i8[%s,%s] {0 ...}\n%s"
                  "%%y = MatMulInteger(%%a, %%b%s)\noutput %%y",
                  minus ? "i8" : "u8", m, k, k, n, zero, *zero ? ", %z" : "");
        }
    GRAPH("weights above their zero point",
          "input %%a : u8[9,12]\nconst %%b : u8[12,20] {128 ...}\nconst %%z : u8[] {128}\n"
          "const %%w : u8[] {128}\n%%y = MatMulInteger(%%a, %%b, %%z, %%w)\noutput %%y");
    GRAPH("batch of bytes", "input %%a : i8[b,3,9,12]\nconst %%b : i8[3,12,20] {0 ...}\n"
                            "%%y = MatMulInteger(%%a, %%b)\noutput %%y");
    GRAPH("requantised", "input %%a : u8[m,24]\nconst %%b : i8[24,40] {0 ...}\n"
                         "const %%z : u8[] {3}\n%%h = MatMulInteger(%%a, %%b, %%z)\n"
                         "%%i = Cast(%%h) {to=1}\n"
                         "%%j = Mul(%%i, %%i)\n%%y = Cast(%%j) {to=2}\noutput %%y");
}

/* Doubles: tiles of half as many columns, packed by each run even where they are known. */
static void doubles(Run *r)
{
    static const char *const shapes[][3] = {{"13", "41", "29"},
                                            {"3", "8", "2"},
                                            {"29", "70", "50"},
                                            {"m", "n", "16"},
                                            {"9", "40", "k"}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        GRAPH(arena_printf(r->arena, "doubles %s", shapes[i][0]),
              "input %%a : f64[2,%s,%s]\ninput %%b : f64[2,%s,%s]\n%%h = MatMul(%%a, %%b)\n"
              "%%y = Relu(%%h)\noutput %%y",
              shapes[i][0], shapes[i][2], shapes[i][2], shapes[i][1]);
    GRAPH("turned doubles", "input %%a : f64[40,37]\nconst %%b : f64[29,40] {0 ...}\n"
                            "%%y = Gemm(%%a, %%b) {transA=1, transB=1}\noutput %%y");
    GRAPH("window of doubles", "input %%a : f64[1,8,19,19]\ninput %%b : f64[20,8,3,3]\n"
                               "%%y = Conv(%%a, %%b) {pads=ints [1,1,1,1]}\noutput %%y");
}

/* Two operands of bytes that only the run knows: packed by each run, with sums of columns and of
 * rows for zero points; columns next to each other, apart, or turned. */
static void open_bytes(Run *r)
{
    static const char *const shapes[][3] = {
        {"13", "41", "32"}, {"3", "33", "3"},   {"37", "45", "66"}, {"m", "n", "31"},
        {"130", "9", "7"},  {"9", "130", "64"}, {"29", "70", "37"}, {"m", "64", "50"}};
    static const char *const zeros[] = {"", ", %z", ", %z, %w", ", _, %w"};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 32; form++) {
            const char *m = shapes[i][0], *n = shapes[i][1], *k = shapes[i][2];
            const char *a = form & 1 ? "i8" : "u8", *b = form & 2 ? "i8" : "u8";
            bool turned = form & 16;
            if ((form + 5 * (int)i) % 16) continue;
            GRAPH(arena_printf(r->arena, "bytes of two operands %s %s %s, %d", m, n, k, form),
                  "input %%a : %s[2,%s,%s]\ninput %%b : %s[2,%s,%s]\n"
                  "input %%z : %s[]\ninput %%w : %s[]\n%s"
                  "%%y = MatMulInteger(%%a, %s%s)\noutput %%y",
                  a, m, k, b, turned ? n : k, turned ? k : n, a, b,
                  turned ? "%t = Transpose(%b) {perm=ints [0,2,1]}\n" : "", turned ? "%t" : "%b",
                  zeros[form / 4 % 4]);
        }
    GRAPH("less the middle", "input %%a : i8[9,12]\ninput %%b : u8[12,20]\nconst %%z : i8[] {3}\n"
                             "const %%w : u8[] {128}\n"
                             "%%y = MatMulInteger(%%a, %%b, %%z, %%w)\noutput %%y");
    GRAPH("weights beyond i8", "input %%a : u8[m,12]\nconst %%b : u8[12,20] {0 ...}\n"
                               "const %%z : u8[] {3}\nconst %%w : u8[] {7}\n"
                               "%%y = MatMulInteger(%%a, %%b, %%z, %%w)\noutput %%y");
    GRAPH("a zero for each column", "input %%a : u8[9,12]\ninput %%b : u8[12,20]\n"
                                    "input %%z : u8[]\ninput %%w : u8[20]\n"
                                    "%%y = MatMulInteger(%%a, %%b, %%z, %%w)\noutput %%y");
}

static void gemms(Run *r)
{
    for (int i = 0; i < 16; i++) {
        bool ta = i & 1, tb = i & 2, constant = i & 4, open = i & 8;
        const char *m = open ? "m" : "19", *name = arena_printf(r->arena, "gemm %d", i);
        GRAPH(name,
              "input %%a : f32[%s,%s]\n%s %%b : f32[%s]%s\ninput %%c : f32[%s]\n"
              "%%y = Gemm(%%a, %%b, %%c) {alpha=2.0, beta=-1.0, transA=%d, transB=%d}\noutput %%y",
              ta ? "23" : m, ta ? m : "23", constant ? "const" : "input", tb ? "37,23" : "23,37",
              constant ? " {0 ...}" : "",
              i % 3 == 0   ? "37"
              : i % 3 == 1 ? "1"
                           : "1,37",
              ta, tb);
    }
    GRAPH("gemm, column of bias", "input %%a : f32[19,23]\ninput %%b : f32[23,37]\n"
                                  "input %%c : f32[19,1]\n%%y = Gemm(%%a, %%b, %%c)\noutput %%y");
    GRAPH("constant rows", "const %%a : f32[19,23] {0 ...}\ninput %%b : f32[23,n]\n"
                           "%%y = Gemm(%%a, %%b)\noutput %%y");
}

static void epilogues(Run *r)
{
    GRAPH("residual", "input %%a : f32[m,24]\nconst %%b : f32[24,40] {0 ...}\n"
                      "input %%r : f32[m,40]\n%%h = MatMul(%%a, %%b)\n%%y = Add(%%h, %%r)\n"
                      "output %%y");
    GRAPH("relu behind bias and residual",
          "input %%a : f32[9,24]\nconst %%b : f32[24,40] {0 ...}\nconst %%c : f32[40] {0 ...}\n"
          "input %%r : f32[9,40]\n%%h = MatMul(%%a, %%b)\n%%i = Add(%%h, %%c)\n"
          "%%j = Add(%%i, %%r)\n%%y = Relu(%%j)\noutput %%y");
    GRAPH("two readers", "input %%a : f32[9,24]\ninput %%b : f32[24,40]\n%%h = MatMul(%%a, %%b)\n"
                         "%%y = Relu(%%h)\n%%z = Add(%%h, %%y)\noutput %%y\noutput %%z");
    GRAPH("scaled in front", "input %%a : f32[9,24]\ninput %%b : f32[24,40]\ninput %%s : f32[9,1]\n"
                             "%%t = Mul(%%a, %%s)\n%%y = MatMul(%%t, %%b)\noutput %%y");
    /* weights in bytes are unpacked by the run, by whoever puts them in order */
    GRAPH("weights in bytes", "input %%a : f32[m,40]\nconst %%b : i8[40,70] {0 ...}\n"
                              "const %%s : f32[70] {0 ...}\n"
                              "%%w = DequantizeLinear(%%b, %%s) {axis=1}\n"
                              "%%y = MatMul(%%a, %%w)\noutput %%y");
    GRAPH("row times weights in bytes", "input %%a : f32[1,600]\nconst %%b : u8[600,300] {0 ...}\n"
                                        "const %%s : f32[] {0.5}\nconst %%z : u8[] {9}\n"
                                        "%%w = DequantizeLinear(%%b, %%s, %%z)\n"
                                        "%%y = MatMul(%%a, %%w)\noutput %%y");
    /* columns of a matrix whose rows are whole pages apart: panels of rows, many packed at once */
    GRAPH("columns of pages",
          "input %%a : f32[20,1024]\nconst %%b : f32[20,40] {0 ...}\n"
          "%%p = Transpose(%%a) {perm=ints [1,0]}\n%%y = MatMul(%%p, %%b)\noutput %%y");
    GRAPH("columns of pages of both", "input %%a : f32[20,2048]\ninput %%b : f32[20,40]\n"
                                      "%%y = Gemm(%%a, %%b) {transA=1}\noutput %%y");
    GRAPH("open columns", "input %%a : f32[2,20,m]\ninput %%b : f32[20,40]\n"
                          "%%p = Transpose(%%a) {perm=ints [0,2,1]}\n%%y = MatMul(%%p, %%b)\n"
                          "output %%y");
    GRAPH("transposed", "input %%a : f32[2,9,4,6]\ninput %%b : f32[2,9,4,6]\n"
                        "%%p = Transpose(%%a) {perm=ints [0,2,1,3]}\n"
                        "%%q = Transpose(%%b) {perm=ints [0,2,3,1]}\n%%h = MatMul(%%p, %%q)\n"
                        "%%y = Transpose(%%h) {perm=ints [0,2,1,3]}\noutput %%y");
    GRAPH("attention", "input %%a : f32[2,m,4,16]\ninput %%b : f32[2,n,4,16]\n"
                       "%%p = Transpose(%%a) {perm=ints [0,2,1,3]}\n"
                       "%%q = Transpose(%%b) {perm=ints [0,2,3,1]}\n%%y = MatMul(%%p, %%q)\n"
                       "output %%y");
    GRAPH("narrow result", "input %%a : f32[9,24]\ninput %%b : f32[24,40]\n%%h = MatMul(%%a, %%b)\n"
                           "%%y = Cast(%%h) {to=10}\noutput %%y");
}

static void mathematics(Run *r)
{
    GRAPH("gelu", "input %%a : f32[11,24]\nconst %%b : f32[24,40] {0 ...}\n%%h = MatMul(%%a, %%b)\n"
                  "%%y = Gelu(%%h)\noutput %%y");
    GRAPH("sigmoid times itself", "input %%a : f32[11,24]\ninput %%b : f32[24,37]\n"
                                  "%%h = MatMul(%%a, %%b)\n%%s = Sigmoid(%%h)\n"
                                  "%%y = Mul(%%h, %%s)\noutput %%y");
}

/* K goes by blocks, where a small L2 does not hold a panel of columns: plain products; windows, of
 * which it is rows that are cut, with edges. */
static void cut(void)
{
    static const char *const shapes[][3] = {
        {"60", "48", "400"}, {"61", "50", "333"}, {"75", "7", "500"}, {"100", "70", "257"}};
    static const char *const windows[][4] = {
        /* side, channels, features, attributes */
        {"9", "24", "20", "pads=ints [1,1,1,1]"},
        {"11", "32", "70", "pads=ints [0,1,1,0]"},
        {"19", "16", "33", "strides=ints [2,2]"},
        {"13", "16", "48", "pads=ints [2,2,2,2], dilations=ints [2,2]"}};
    Run *r = run_new();

    r->whole = true;
    r->l2 = 4 << 10;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        GRAPH(arena_printf(r->arena, "cut %s %s %s", shapes[i][0], shapes[i][1], shapes[i][2]),
              "input %%a : f32[%s,%s]\nconst %%b : f32[%s,%s] {0 ...}\ninput %%c : f32[%s]\n"
              "%%h = MatMul(%%a, %%b)\n%%i = Add(%%h, %%c)\n%%y = Relu(%%i)\noutput %%y",
              shapes[i][0], shapes[i][2], shapes[i][2], shapes[i][1], shapes[i][1]);
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        GRAPH(arena_printf(r->arena, "cut window of %s, %s", windows[i][0], windows[i][3]),
              "input %%x : f32[1,%s,%s,%s]\nconst %%w : f32[%s,%s,3,3] {0 ...}\n"
              "%%h = Conv(%%x, %%w) {%s}\n%%y = Relu(%%h)\noutput %%y",
              windows[i][1], windows[i][0], windows[i][0], windows[i][2], windows[i][1],
              windows[i][3]);
    graph_run_levels(r, 8, 8);
    arena_free(r->arena);
}

int main(void)
{
    static void (*const exact[])(Run *) = {matmuls, batches,    gemms,  epilogues,
                                           bytes,   open_bytes, doubles};
    static void (*const rounding[])(Run *) = {mathematics};

    graph_run_groups(7, exact, 146, true);
    graph_run_groups(1, rounding, 2, false);
    cut();
    return check_result();
}
