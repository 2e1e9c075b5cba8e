/* str_test.c: text, quoting, numbers both ways in any locale, UTF-8. */
#include "support/str.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#include "support/map.h"
#include "tests/unit/check.h"

static void test_text(Arena *a)
{
    Text t;

    text_init(&t, a);
    CHECK_STR(t.s, "");
    for (int i = 0; i < 3000; i++) {
        text_f(&t, "%d,", i % 10);
    }
    CHECK_EQ(t.n, 6000);
    CHECK_EQ(strlen(t.s), 6000);
    text_put_n(&t, "ab", 1);
    text_put(&t, "");
    text_char(&t, '!');
    CHECK_STR(t.s + 5994, "7,8,9,a!");
}

static void test_quote(Arena *a)
{
    static const struct {
        const char *s;
        size_t n;
        const char *want;
    } cases[] = {
        {"", 0, "\"\""},
        {"a\"b\\c\n\t", 7, "\"a\\\"b\\\\c\\n\\t\""},
        {"\0\x1f\x7f", 3, "\"\\x00\\x1f\\x7f\""},
        {"\xc3\xa9", 2, "\"\xc3\xa9\""},
        {"\xc3", 1, "\"\\xc3\""},
    };
    static const char *const malformed[] = {
        "", "x", "\"", "\"a", "\"\\", "\"\\\"", "\"\\x1\"", "\"\\xg0\"", "\"\\q\"", "\"a\nb\""};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Text t, back;
        text_init(&t, a);
        text_init(&back, a);
        text_quote(&t, cases[i].s, cases[i].n);
        CHECK_STR(t.s, cases[i].want);
        text_put(&t, " rest");
        CHECK_STR(text_unquote(&back, t.s), " rest");
        CHECK(back.n == cases[i].n && memcmp(back.s, cases[i].s, back.n) == 0);
    }
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        Text t;
        text_init(&t, a);
        CHECK(!text_unquote(&t, malformed[i]));
    }
}

static const char *of_double(Arena *a, double v)
{
    Text t;
    text_init(&t, a);
    text_double(&t, v);
    return t.s;
}

static const char *of_float(Arena *a, float v)
{
    Text t;
    text_init(&t, a);
    text_float(&t, v);
    return t.s;
}

static void test_shortest(Arena *a)
{
    static const struct {
        double v;
        const char *want;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1.0, "1"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {100, "100"},
        {1e22, "1e22"},
        {1e-7, "1e-7"},
        {123456.75, "123456.75"},
        {5e-324, "5e-324"},
        {0.00001, "0.00001"},
        {DBL_MAX, "1.7976931348623157e308"},
        {9007199254740992., "9007199254740992"},
        {-1.5e-9, "-1.5e-9"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {0.1 + 0.2, "0.30000000000000004"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_STR(of_double(a, cases[i].v), cases[i].want);
    }
    CHECK_STR(of_float(a, 0.1f), "0.1");
    CHECK_STR(of_float(a, 16777216.f), "16777216");
    CHECK_STR(of_float(a, FLT_MAX), "3.4028235e38");
    CHECK_STR(of_float(a, 1e-45f), "1e-45");
    CHECK_STR(of_float(a, 1.f / 3), "0.33333334");
}

/* Any bits, printed and read back, are the same bits. */
static void test_round_trip(Arena *a)
{
    uint64_t x = 1;

    for (int i = 0; i < 20000; i++) {
        ArenaMark m = arena_mark(a);
        double d, back;
        float f;
        x = hash_mix(x, (uint64_t)i);
        memcpy(&d, &x, sizeof d);
        memcpy(&f, &x, sizeof f);
        if (!isnan(d)) CHECK(parse_double(of_double(a, d), &back) && memcmp(&d, &back, 8) == 0);
        if (!isnan(f)) CHECK(parse_double(of_float(a, f), &back) && (float)back == f);
        arena_reset(a, m);
    }
}

static void test_parse(void)
{
    static const struct {
        const char *s;
        bool ok;
        double v;
    } doubles[] = {
        {"1", true, 1},
        {"-1.5e3", true, -1500},
        {".5", true, 0.5},
        {"5.", true, 5},
        {"+2", true, 2},
        {"inf", true, INFINITY},
        {"-inf", true, -INFINITY},
        {"1e-400", true, 0},
        {"1e400", false, 0},
        {"", false, 0},
        {".", false, 0},
        {"-", false, 0},
        {"e5", false, 0},
        {"1e", false, 0},
        {"1e+", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1,5", false, 0},
        {"0x10", false, 0},
        {"nan(1)", false, 0},
        {"infinity", false, 0},
        {"1.5f", false, 0},
        {"--1", false, 0},
        {"1.00000000000000011102230246251565404236316680908203125", true, 1},
        {"1.00000000000000011102230246251565404236316680908203126", true, 1.0000000000000002},
    };
    static const struct {
        const char *s;
        bool ok;
        int64_t v;
    } ints[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"+7", true, 7},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"1x", false, 0},
        {" 1", false, 0},
        {"1.0", false, 0},
        {"99999999999999999999999", false, 0},
    };

    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        double v = -77;
        bool ok = parse_double(doubles[i].s, &v);
        if (ok != doubles[i].ok || v != (ok ? doubles[i].v : -77))
            CHECK_STR(doubles[i].s, "parsed");
    }
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        int64_t v = -77;
        bool ok = parse_i64(ints[i].s, &v);
        if (ok != ints[i].ok || v != (ok ? ints[i].v : -77)) CHECK_STR(ints[i].s, "parsed");
    }
    double v;
    CHECK(parse_double("nan", &v) && isnan(v));
}

static void test_utf8(void)
{
    static const char *const valid[] = {"",
                                        "a",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
    static const char *const invalid[] = {"\x80",
                                          "\xc0\x80",
                                          "\xc1\xbf",
                                          "\xe0\x9f\xbf",
                                          "\xed\xa0\x80",
                                          "\xf0\x8f\xbf\xbf",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xff",
                                          "\xe2\x82",
                                          "a\xc3",
                                          "\xc3(",
                                          "\xf0\x90\x80"};

    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        CHECK(utf8_valid(valid[i], strlen(valid[i])));
    }
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        CHECK(!utf8_valid(invalid[i], strlen(invalid[i])));
    }
    CHECK(utf8_valid("\0a", 2));
}

int main(void)
{
    Arena *a = arena_new(0);

    for (int comma = 0; comma < 2; comma++) {
        /* Where no such locale is installed, the second round repeats the first. */
        if (comma && !setlocale(LC_ALL, "de_DE.UTF-8")) setlocale(LC_ALL, "fr_FR.UTF-8");
        test_shortest(a);
        test_round_trip(a);
        test_parse();
    }
    test_text(a);
    test_quote(a);
    test_utf8();
    CHECK(str_starts("abc", "ab") && !str_starts("a", "ab") && str_starts("a", ""));
    CHECK(str_ends("abc", "bc") && !str_ends("c", "bc") && str_ends("a", ""));
    arena_free(a);
    return check_result();
}
