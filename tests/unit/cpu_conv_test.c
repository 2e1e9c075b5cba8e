/* cpu_conv_test.c: convolutions and their transposes (padding, strides, dilations, groups, open
 * sizes): compiled kernels at every level of this machine, and plain C, give the bits of
 * kernel_interpret. */
#include "tests/unit/graph_run.h"

static void add_conv(Run *r, const char *name, const char *x, const char *w, const char *attrs)
{
    GRAPH(name,
          "input %%x : f32[%s]\nconst %%w : f32[%s] {0 ...}\n%%y = Conv(%%x, %%w) {%s}\n"
          "output %%y",
          x, w, attrs);
}

/* Depthwise, alone: plane by plane; and behind a product over channels, which are innermost then.
 */
static void add_depthwise(Run *r, const char *name, const char *x, const char *product,
                          const char *w, const char *attrs)
{
    add_conv(r, name, x, w, attrs);
    GRAPH(arena_printf(r->arena, "%s, rows of channels", name),
          "input %%x : f32[%s]\nconst %%v : f32[%s] {0 ...}\nconst %%w : f32[%s] {0 ...}\n"
          "%%h = Conv(%%x, %%v)\n%%y = Conv(%%h, %%w) {%s}\noutput %%y",
          x, product, w, attrs);
}

static void depthwise(Run *r)
{
    add_depthwise(r, "depthwise", "2,12,6,17", "12,12,1,1", "12,1,3,3",
                  "group=12, pads=ints [1,1,1,1]");
    add_depthwise(r, "depthwise twice", "1,6,6,17", "6,6,1,1", "12,1,3,3",
                  "group=6, pads=ints [1,1,1,1]");
    add_depthwise(r, "depthwise four times", "1,5,6,7", "5,5,1,1", "20,1,3,3",
                  "group=5, pads=ints [1,1,1,1]");
    add_depthwise(r, "depthwise by 2", "1,40,9,11", "40,40,1,1", "40,1,3,3",
                  "group=40, pads=ints [1,1,1,1], strides=ints [2,2]");
    add_depthwise(r, "depthwise 5x5", "2,24,8,7", "24,24,1,1", "24,1,5,5",
                  "group=24, pads=ints [2,2,2,2]");
    add_depthwise(r, "depthwise open", "b,24,m,n", "24,24,1,1", "24,1,3,3",
                  "group=24, pads=ints [1,1,1,1]");
    add_depthwise(r, "depthwise 1d", "2,20,33", "20,20,1", "20,1,7", "group=20, pads=ints [3,3]");
    add_depthwise(r, "depthwise 9x9", "1,17,11,12", "17,17,1,1", "17,1,9,9", "group=17");
    add_depthwise(r, "depthwise 11x13 by 2", "2,18,13,19", "18,18,1,1", "18,1,11,13",
                  "group=18, pads=ints [5,6,5,6], strides=ints [2,2]");
    add_depthwise(r, "depthwise of long lines", "1,17,3,80", "17,17,1,1", "17,1,2,65",
                  "group=17, pads=ints [0,32,1,32]");
    add_depthwise(r, "depthwise one point", "1,33,3,3", "33,33,1,1", "33,1,3,3", "group=33");
    add_depthwise(r, "depthwise 3d", "1,6,4,5,9", "6,6,1,1,1", "6,1,3,3,3",
                  "group=6, pads=ints [1,1,1,1,1,1]");
    add_conv(r, "planes by 3 and 4", "1,5,23,45", "5,1,5,6",
             "group=5, pads=ints [2,3,1,2], strides=ints [3,4]");
    add_conv(r, "planes by 5 and 2", "1,5,23,45", "5,1,3,2", "group=5, strides=ints [5,2]");
    add_conv(r, "planes by 2 of one tap", "1,5,9,20", "5,1,1,1", "group=5, strides=ints [2,2]");
    add_conv(r, "planes, dilated", "1,5,30,50", "5,1,3,3",
             "group=5, pads=ints [4,6,4,6], dilations=ints [4,6]");
    add_conv(r, "planes, dilated in steps", "1,5,20,33", "5,1,3,3",
             "group=5, pads=ints [2,2,2,2], strides=ints [2,2], dilations=ints [2,2]");
    add_conv(r, "planes of wide rows", "1,2,5,1100", "2,1,3,3", "group=2, pads=ints [1,1,1,1]");
    add_conv(r, "planes of many rows", "1,2,150,40", "2,1,7,7", "group=2, pads=ints [3,3,3,3]");
    add_conv(r, "planes, wide padding", "1,3,3,4", "3,1,3,3", "group=3, pads=ints [20,37,5,18]");
    add_conv(r, "planes of many taps", "1,3,20,37", "3,1,11,12", "group=3, pads=ints [5,6,5,5]");
    add_conv(r, "planes of many taps by 2", "1,3,24,37", "3,1,9,11",
             "group=3, pads=ints [4,5,4,5], strides=ints [2,2]");
    add_conv(r, "planes of many taps, open", "b,3,m,n", "3,1,9,9", "group=3, pads=ints [4,4,4,4]");
    add_conv(r, "planes by 2, open", "b,3,m,n", "3,1,5,5",
             "group=3, pads=ints [2,2,2,2], strides=ints [2,2]");
    add_conv(r, "lines of many taps", "3,5,190", "5,1,70", "group=5, pads=ints [35,34]");
    add_conv(r, "lines, causal, open", "b,5,n", "5,1,4", "group=5, pads=ints [3,0]");
    add_conv(r, "planes of columns", "1,5,40,19", "5,1,7,1", "group=5, pads=ints [3,0,3,0]");
    add_conv(r, "planes of rows", "2,5,9,40", "5,1,1,7", "group=5, pads=ints [0,3,0,3]");
    add_conv(r, "planes one row high", "1,5,3,40", "5,1,3,3", "group=5, pads=ints [0,1,0,1]");
    GRAPH("planes of inputs, with residual",
          "input %%x : f32[2,5,9,21]\ninput %%w : f32[5,1,3,3]\ninput %%b : f32[5]\n"
          "%%h = Conv(%%x, %%w, %%b) {group=5, pads=ints [1,1,1,1]}\n%%i = Add(%%h, %%x)\n"
          "%%y = Relu(%%i)\noutput %%y");
    GRAPH("planes of f16", "input %%x : f16[1,5,9,21]\nconst %%w : f16[5,1,3,3] {0 ...}\n"
                           "%%y = Conv(%%x, %%w) {group=5, pads=ints [1,1,1,1]}\noutput %%y");
    GRAPH("planes of planes",
          "input %%x : f32[1,5,9,21]\nconst %%v : f32[5,1,3,3] {0 ...}\n"
          "const %%w : f32[5,1,5,5] {0 ...}\n%%h = Conv(%%x, %%v) {group=5, pads=ints [1,1,1,1]}\n"
          "%%i = Relu(%%h)\n%%y = Conv(%%i, %%w) {group=5, pads=ints [2,2,2,2]}\noutput %%y");
}

static void convolutions(Run *r)
{
    add_conv(r, "1x1", "2,16,7,9", "24,16,1,1", "");
    add_conv(r, "1x1, columns 4096 bytes apart", "2,17,32,32", "24,17,1,1", "");
    add_conv(r, "1x1 by 2, open", "b,17,m,n", "24,17,1,1", "strides=ints [2,2]");
    add_conv(r, "1x1 one point", "3,16,1,1", "24,16,1,1", "");
    add_conv(r, "3x3", "1,5,9,11", "7,5,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "3x3 no padding", "2,3,9,20", "16,3,3,3", "");
    add_conv(r, "3x3 by 2", "1,5,9,11", "17,5,3,3", "pads=ints [1,1,1,1], strides=ints [2,2]");
    add_conv(r, "uneven padding", "1,3,8,10", "9,3,2,3", "pads=ints [0,2,1,0]");
    add_conv(r, "wide padding", "1,2,3,4", "9,2,3,3", "pads=ints [3,3,3,3]");
    add_conv(r, "7x7 positions", "2,6,7,7", "20,6,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "14x14 positions", "1,3,14,14", "40,3,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "28 positions of two panels", "1,6,3,28", "33,6,5,5", "pads=ints [2,2,2,2]");
    add_conv(r, "window beyond both edges", "1,5,2,13", "17,5,7,7", "pads=ints [4,4,4,4]");
    add_conv(r, "7x7 positions by 2", "1,5,14,13", "24,5,3,3",
             "pads=ints [1,1,1,1], strides=ints [2,2]");
    add_conv(r, "7x7 positions, dilated", "1,5,7,7", "24,5,3,3",
             "pads=ints [2,2,2,2], dilations=ints [2,2]");
    add_conv(r, "open height", "b,5,m,7", "24,5,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "dilated", "1,4,12,13", "6,4,3,3", "pads=ints [2,2,2,2], dilations=ints [2,2]");
    add_conv(r, "same", "1,4,12,13", "6,4,3,3", "auto_pad=\"SAME_UPPER\", strides=ints [2,3]");
    add_conv(r, "groups", "2,12,6,7", "8,3,3,3", "group=4, pads=ints [1,1,1,1]");
    add_conv(r, "one feature a group", "1,12,6,17", "4,3,3,3", "group=4");
    add_conv(r, "1d", "2,4,40", "9,4,5", "pads=ints [2,2]");
    add_conv(r, "1d, window as long as the line", "1,40,37", "40,20,36",
             "group=2, pads=ints [18,18]");
    add_conv(r, "1d, long window, open", "b,24,n", "20,24,17", "pads=ints [8,8]");
    add_conv(r, "1d, long window, by 3", "2,17,50", "33,17,24",
             "pads=ints [30,12], strides=ints [3]");
    add_conv(r, "1d, long window, dilated", "1,17,33", "20,17,11",
             "pads=ints [15,20], dilations=ints [3]");
    add_conv(r, "1d of one channel by 5", "2,1,300", "40,1,10", "strides=ints [5]");
    add_conv(r, "patches of two channels", "1,2,24,40", "33,2,8,8", "strides=ints [8,8]");
    add_conv(r, "1d by 3", "2,4,40", "9,4,5", "pads=ints [2,2], strides=ints [3]");
    add_conv(r, "3d", "1,2,4,5,6", "9,2,2,3,2", "pads=ints [1,1,0,0,1,1]");
    add_conv(r, "open batch", "b,5,9,11", "7,5,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "open image", "1,3,m,n", "7,3,3,3", "pads=ints [1,1,1,1], strides=ints [2,2]");
    add_conv(r, "open width", "2,3,5,n", "7,3,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "one point", "1,3,5,5", "40,3,5,5", "");
    /* whose lines are read where they lie */
    add_conv(r, "few features", "2,7,5,130", "3,7,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "one feature", "1,5,6,33", "1,5,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "two features, dilated", "1,4,9,40", "2,4,3,3",
             "pads=ints [2,2,2,2], dilations=ints [2,2]");
    add_conv(r, "eight features without padding", "1,3,7,52", "8,3,5,5", "");
    add_conv(r, "few features of short lines", "2,7,9,11", "1,7,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "few features by 2", "1,4,8,50", "4,4,3,3",
             "pads=ints [1,1,1,1], strides=ints [2,2]");
    add_conv(r, "few features of open lines", "b,4,m,n", "3,4,3,3", "pads=ints [1,1,1,1]");
    add_conv(r, "few features, 1d", "2,4,70", "5,4,5", "pads=ints [2,2]");
    add_conv(r, "few features, 3d", "1,2,4,5,24", "2,2,3,3,3", "pads=ints [1,1,1,1,1,1]");
    add_conv(r, "one column", "1,3,9,1", "10,3,3,1", "pads=ints [1,0,1,0]");
    GRAPH("frame around open sizes", "input %%x : f32[b,3,m,n]\nconst %%v : f32[9,3,1,1] {0 ...}\n"
                                     "const %%w : f32[18,1,4,4] {0 ...}\n%%h = Conv(%%x, %%v)\n"
                                     "%%i = Conv(%%h, %%w) {group=9, pads=ints [2,2,2,2]}\n"
                                     "%%y = Relu(%%i)\noutput %%y");
    GRAPH("long value in a frame around open sizes",
          "input %%x : f32[b,3,m,n]\nconst %%v : f32[9,3,1,1] {0 ...}\n"
          "const %%w : f32[18,9,3,3] {0 ...}\nconst %%c : f32[1,9,1,1] {0 ...}\n"
          "%%h = Conv(%%x, %%v)\n"
          "%%d = Add(%%h, %%c)\n%%e = Relu(%%d)\n%%f = Sub(%%e, %%h)\n%%g = Abs(%%f)\n"
          "%%i = Max(%%g, %%c)\n%%j = Add(%%i, %%h)\n%%k = Neg(%%j)\n%%l = Min(%%k, %%e)\n"
          "%%o = Sub(%%l, %%f)\n%%p = Abs(%%o)\n%%q = Add(%%p, %%g)\n%%r = Sub(%%q, %%d)\n"
          "%%y = Conv(%%r, %%w) {pads=ints [1,1,1,1]}\noutput %%y");
    GRAPH("conv of inputs", "input %%x : f32[1,3,9,11]\ninput %%w : f32[8,3,3,3]\n"
                            "input %%b : f32[8]\n%%h = Conv(%%x, %%w, %%b) {pads=ints [1,1,1,1]}\n"
                            "%%y = Relu(%%h)\noutput %%y");
    GRAPH("conv with residual", "input %%x : f32[b,8,9,11]\nconst %%w : f32[8,8,3,3] {0 ...}\n"
                                "const %%b : f32[8] {0 ...}\n"
                                "%%h = Conv(%%x, %%w, %%b) {pads=ints [1,1,1,1]}\n"
                                "%%i = Add(%%h, %%x)\n%%y = Relu(%%i)\noutput %%y");
    GRAPH("conv of f16", "input %%x : f16[1,8,9,11]\nconst %%w : f16[9,8,3,3] {0 ...}\n"
                         "%%y = Conv(%%x, %%w) {pads=ints [1,1,1,1]}\noutput %%y");
    GRAPH("convs of f16", "input %%x : f16[1,8,9,11]\nconst %%v : f16[20,8,1,1] {0 ...}\n"
                          "const %%w : f16[9,28,3,3] {0 ...}\n%%g = Conv(%%x, %%v)\n"
                          "%%h = Relu(%%g)\n%%i = Concat(%%h, %%x) {axis=1}\n"
                          "%%j = MaxPool(%%i) {kernel_shape=ints [3,3], pads=ints [1,1,1,1]}\n"
                          "%%y = Conv(%%j, %%w) {pads=ints [1,1,1,1]}\noutput %%y");
    GRAPH("conv of u8", "input %%x : u8[1,4,9,11]\nconst %%w : u8[9,4,3,3] {1 ...}\n"
                        "input %%z : u8[]\n%%y = ConvInteger(%%x, %%w, %%z) "
                        "{pads=ints [1,1,1,1]}\noutput %%y");
}

static void add_bytes(Run *r, const char *name, const char *x, const char *w, const char *attrs)
{
    GRAPH(arena_printf(r->arena, "bytes, %s", name),
          "input %%x : u8[%s]\nconst %%w : i8[%s] {0 ...}\nconst %%z : u8[] {131}\n"
          "%%y = ConvInteger(%%x, %%w, %%z) {%s}\noutput %%y",
          x, w, attrs);
    GRAPH(arena_printf(r->arena, "signed bytes, %s", name),
          "input %%x : i8[%s]\nconst %%w : i8[%s] {0 ...}\n"
          "%%y = ConvInteger(%%x, %%w) {%s}\noutput %%y",
          x, w, attrs);
}

static void byte_convolutions(Run *r)
{
    add_bytes(r, "1x1", "2,16,7,9", "24,16,1,1", "");
    add_bytes(r, "1x1 by 2", "1,6,7,9", "24,6,1,1", "strides=ints [2,2]");
    add_bytes(r, "3x3", "1,8,9,11", "40,8,3,3", "pads=ints [1,1,1,1]");
    add_bytes(r, "3x3 of three channels", "1,3,9,11", "17,3,3,3",
              "pads=ints [1,1,1,1], strides=ints [2,2]");
    add_bytes(r, "dilated", "1,5,12,13", "6,5,3,3", "pads=ints [2,2,2,2], dilations=ints [2,2]");
    add_bytes(r, "groups", "2,12,6,7", "8,3,3,3", "group=4, pads=ints [1,1,1,1]");
    add_bytes(r, "depthwise", "2,12,6,17", "12,1,3,3", "group=12, pads=ints [1,1,1,1]");
    add_bytes(r, "depthwise twice", "1,6,6,17", "12,1,3,3", "group=6, pads=ints [1,1,1,1]");
    add_bytes(r, "depthwise by 2", "1,40,9,11", "40,1,3,3",
              "group=40, pads=ints [1,1,1,1], strides=ints [2,2]");
    add_bytes(r, "open image", "b,3,m,n", "7,3,3,3", "pads=ints [1,1,1,1]");
    /* a zero point is data: one that x was made with, or not */
    GRAPH("bytes, zero point of the run",
          "input %%x : f32[2,5,9,11]\nconst %%v : f32[8,5,1,1] {0 ...}\n"
          "const %%w : i8[20,8,3,3] {0 ...}\nconst %%u : i8[6,8,4,4] {0 ...}\n"
          "%%h = Conv(%%x, %%v)\n%%q, %%s, %%z = DynamicQuantizeLinear(%%h)\n"
          "%%y = ConvInteger(%%q, %%w, %%z) {pads=ints [1,1,1,1]}\n"
          "%%r = ConvInteger(%%q, %%u, %%z) {pads=ints [1,2,1,0], strides=ints [2,2]}\n"
          "output %%y\noutput %%r");
    GRAPH("bytes, zero point an input",
          "input %%x : u8[b,8,m,n]\ninput %%z : u8[]\nconst %%w : i8[7,8,3,3] {0 ...}\n"
          "%%y = ConvInteger(%%x, %%w, %%z) {pads=ints [1,1,1,1]}\noutput %%y");
    GRAPH("quantised", "input %%x : u8[1,8,9,11]\nconst %%w : i8[20,8,3,3] {0 ...}\n"
                       "const %%s : f32[] {0.5}\nconst %%z : u8[] {7}\n"
                       "%%f = DequantizeLinear(%%x, %%s, %%z)\n"
                       "%%g = DequantizeLinear(%%w, %%s)\n"
                       "%%c = Conv(%%f, %%g) {pads=ints [1,1,1,1]}\n"
                       "%%y = QuantizeLinear(%%c, %%s, %%z)\noutput %%y");
}

static void add_transposed(Run *r, const char *name, const char *x, const char *w,
                           const char *attrs)
{
    GRAPH(name,
          "input %%x : f32[%s]\nconst %%w : f32[%s] {0 ...}\n"
          "%%y = ConvTranspose(%%x, %%w) {%s}\noutput %%y",
          x, w, attrs);
}

static void transposed(Run *r)
{
    add_transposed(r, "transposed by 2, odd window", "1,5,7,9", "5,6,3,3",
                   "strides=ints [2,2], pads=ints [1,1,1,1], output_padding=ints [1,1]");
    add_transposed(r, "transposed by 2, odd window, groups", "2,6,5,8", "6,4,3,5",
                   "group=2, strides=ints [2,2], pads=ints [1,2,0,2]");
    add_transposed(r, "transposed by 2, groups, open", "b,6,m,n", "6,4,4,4",
                   "group=2, strides=ints [2,2], pads=ints [1,1,1,1]");
    add_transposed(r, "transposed by 2 of two taps", "1,5,7,19", "5,6,2,2", "strides=ints [2,2]");
    add_transposed(r, "transposed by 4, open", "b,5,n", "5,6,8",
                   "strides=ints [4], pads=ints [2,2]");
    add_transposed(r, "transposed by 3 and 2, uneven", "1,5,4,6", "5,6,7,5",
                   "strides=ints [3,2], pads=ints [2,1,2,1]");
    add_transposed(r, "transposed of a point", "3,20,1,1", "20,9,4,4", "");
    add_transposed(r, "transposed of a point, open", "b,20,1,n", "20,9,3,4",
                   "pads=ints [1,0,0,1], output_padding=ints [0,0]");
    add_transposed(r, "transposed of a line, padded output", "1,6,1,5", "6,5,3,3",
                   "strides=ints [2,2], output_padding=ints [1,1]");
    add_transposed(r, "transposed depthwise", "2,20,9,13", "20,1,4,4",
                   "group=20, strides=ints [2,2], pads=ints [1,1,1,1]");
    add_transposed(r, "transposed depthwise, odd window, open", "b,18,m,n", "18,1,3,5",
                   "group=18, strides=ints [2,3], pads=ints [0,1,1,1]");
    add_transposed(r, "transposed depthwise, gaps", "1,7,6,5", "7,1,2,2",
                   "group=7, strides=ints [3,3]");
    add_transposed(r, "transposed depthwise, 1d", "1,21,40", "21,1,8",
                   "group=21, strides=ints [4], pads=ints [2,2]");
    GRAPH("transposed depthwise, rows of channels",
          "input %%x : f32[1,9,7,11]\nconst %%v : f32[20,9,1,1] {0 ...}\n"
          "const %%w : f32[20,1,4,4] {0 ...}\nconst %%b : f32[20] {0 ...}\n"
          "const %%u : f32[8,20,1,1] {0 ...}\n%%h = Conv(%%x, %%v)\n"
          "%%i = ConvTranspose(%%h, %%w, %%b) {group=20, strides=ints [2,2], pads=ints [1,1,1,1]}\n"
          "%%j = Relu(%%i)\n%%y = Conv(%%j, %%u)\noutput %%y");
    add_transposed(r, "transposed 2x2", "1,5,6,7", "5,9,2,2", "strides=ints [2,2]");
    add_transposed(r, "transposed 3x3", "2,5,6,7", "5,9,3,3",
                   "strides=ints [2,2], pads=ints [1,1,1,1], output_padding=ints [1,1]");
    add_transposed(r, "transposed 4x4", "1,3,m,n", "3,8,4,4",
                   "strides=ints [2,2], pads=ints [1,1,1,1]");
    add_transposed(r, "transposed 4x4, whole vectors", "1,3,5,6", "3,18,4,4",
                   "strides=ints [2,2], pads=ints [1,1,1,1]");
    add_transposed(r, "transposed with gaps", "1,5,4,6", "5,3,2,3", "strides=ints [3,4]");
    GRAPH("transposed with bias",
          "input %%x : f32[2,5,4,6]\nconst %%w : f32[5,3,4,4] {0 ...}\n"
          "const %%b : f32[3] {0 ...}\n"
          "%%y = ConvTranspose(%%x, %%w, %%b) {strides=ints [2,2], pads=ints [1,0,1,0]}\n"
          "output %%y");
    GRAPH("transposed by an input",
          "input %%x : f32[1,5,4,6]\ninput %%w : f32[5,3,4,4]\n"
          "%%y = ConvTranspose(%%x, %%w) {strides=ints [2,2], pads=ints [1,1,1,1]}\n"
          "output %%y");
    add_transposed(r, "transposed to one", "b,24,m,n", "24,1,2,2", "strides=ints [2,2]");
    add_transposed(r, "transposed groups", "1,6,5,6", "6,4,3,3", "group=2, strides=ints [1,2]");
    add_transposed(r, "transposed dilated", "1,3,5,6", "3,8,3,3", "dilations=ints [2,1]");
    add_transposed(r, "transposed 1d", "b,4,20", "4,8,5", "strides=ints [3]");
}

/* Between two convolutions: moments of lines, statistics from those, and a map. */
static void add_norm(Run *r, const char *name, const char *x, const char *norm)
{
    GRAPH(name,
          "input %%x : f32[%s]\nconst %%w : f32[36,3,1,1] {0 ...}\n"
          "const %%v : f32[9,36,1,1] {0 ...}\nconst %%s : f32[36] {0 ...}\n"
          "%%a = Conv(%%x, %%w)\n%%b = %s\n%%y = Conv(%%b, %%v)\noutput %%y",
          x, norm);
}

static void normalisations(Run *r)
{
    const char *instance = "InstanceNormalization(%a, %s, %s)";

    add_norm(r, "instance normalisation", "2,3,5,7", instance);
    add_norm(r, "instance normalisation of one line", "1,3,1,40", instance);
    add_norm(r, "instance normalisation, open", "b,3,m,n", instance);
    add_norm(r, "group normalisation", "2,3,5,7", "GroupNormalization(%a, %s, %s) {num_groups=4}");
    add_norm(r, "group normalisation, open", "b,3,m,7",
             "GroupNormalization(%a, %s, %s) {num_groups=12}");
    add_norm(r, "one group", "2,3,5,7", "GroupNormalization(%a, %s, %s) {num_groups=1}");
    GRAPH("instance normalisation of sequences",
          "input %%x : f32[2,3,19]\nconst %%w : f32[20,3,1] {0 ...}\n"
          "const %%v : f32[9,20,3] {0 ...}\nconst %%s : f32[20] {0 ...}\n"
          "%%a = Conv(%%x, %%w)\n%%b = InstanceNormalization(%%a, %%s, %%s)\n"
          "%%y = Conv(%%b, %%v)\noutput %%y");
    GRAPH("long value in front of few features",
          "input %%x : f32[1,3,9,40]\nconst %%w : f32[36,3,1,1] {0 ...}\n"
          "const %%v : f32[2,36,3,3] {0 ...}\nconst %%s : f32[36] {0 ...}\n"
          "%%a = Conv(%%x, %%w)\n%%b = InstanceNormalization(%%a, %%s, %%s)\n"
          "%%c = Sigmoid(%%b)\n%%d = Mul(%%b, %%c)\n%%e = Tanh(%%d)\n%%f = Add(%%e, %%d)\n"
          "%%y = Conv(%%f, %%v) {pads=ints [1,1,1,1]}\noutput %%y");
}

int main(void)
{
    static void (*const groups[])(Run *) = {convolutions, byte_convolutions};
    static void (*const more[])(Run *) = {depthwise, transposed};
    static void (*const inexact[])(Run *) = {normalisations};

    graph_run_groups(1, inexact, 16, false);
    graph_run_groups(2, groups, 34, true);
    graph_run_groups(2, more, 20, true);
    return check_result();
}
