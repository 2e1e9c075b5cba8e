/* The calls on strings against the evaluator: patterns of a small alphabet on all short strings,
 * and strings that are no UTF-8; case mapping of every code point. */
#include <string.h>

#include "ir/regex.h"
#include "ir/unicode.h"
#include "runtime/rt_call.h"
#include "runtime/rt_text.h"
#include "tests/unit/check.h"

static uint32_t seed = 1;

static uint32_t draw(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % n;
}

/* Text of an expression, of at most `depth` levels. */
static size_t pattern(char *out, int depth)
{
    static const char *const leaf[] = {"a",     "b",  ".",   "[ab]", "[^a]",  "\\b", "^",
                                       "\\d",   "$",  "\\B", "",     "(?m)$", "\\w", "(?m:^)",
                                       "(?i)B", "\n", "é",   "\\S",  "[\\Wb]"};
    static const char *const tail[] = {"*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", ""};
    size_t n = 0;

    if (depth == 0) {
        strcpy(out, leaf[draw(sizeof leaf / sizeof *leaf)]);
        return strlen(out);
    }
    switch (draw(3)) {
    case 0:
        n = pattern(out, depth - 1);
        return n + pattern(out + n, depth - 1);
    case 1:
        n = pattern(out, depth - 1);
        out[n++] = '|';
        return n + pattern(out + n, depth - 1);
    default:
        out[n++] = '(';
        n += pattern(out + n, depth - 1);
        out[n++] = ')';
        strcpy(out + n, tail[draw(sizeof tail / sizeof *tail)]);
        return n + strlen(out + n);
    }
}

static bool by_program(const Tensor *program, const Tensor *ranges, StringRef s, int32_t *work)
{
    ingot_string text = {s.s, s.n};
    uint8_t result = 2;
    ingot_tensor in[3] = {{.data = &text, .rank = 1, .dims = {1}},
                          {.data = program->data, .rank = 2, .dims = {program->dim[0], 3}},
                          {.data = ranges->data, .rank = 2, .dims = {ranges->dim[0], 2}}};
    ingot_tensor out[2] = {{.data = &result, .rank = 1, .dims = {1}}, {.data = work}};
    ingot_call_args a = {.in = in, .out = out, .n_in = 3, .n_out = 2};

    CHECK(ingot_call_regex(&a) == INGOT_OK);
    return result;
}

static int compare_pattern(Arena *a, const char *p)
{
    static const char *const letters[] = {"a", "b", "B", "\n", "1", "é", "\xff", " "};
    const char *why;
    const RegexNode *tree = regex_parse(a, (StringRef){p, (int64_t)strlen(p)}, &why);
    Tensor *program, *ranges;
    int32_t *work;
    int matches = 0;

    if (!tree) return -1;
    CHECK(regex_compile(a, tree, &program, &ranges));
    work = arena_try(a, (size_t)program->dim[0] * 5 + 1, sizeof *work);
    for (int k = 0; k < 40; k++) {
        char text[16] = "";
        for (uint32_t n = draw(5); n > 0; n--)
            strcat(text, letters[draw(sizeof letters / sizeof *letters)]);
        StringRef s = {text, (int64_t)strlen(text)};
        bool want = regex_match(tree, s), got = by_program(program, ranges, s, work);
        if (want != got) fprintf(stderr, "/%s/ on '%s': the program says %d\n", p, text, got);
        CHECK(want == got);
        matches += want;
    }
    return matches;
}

static void test_patterns(void)
{
    int understood = 0, matches = 0;

    for (int i = 0; i < 2000; i++) {
        Arena *a = arena_new(0);
        char text[512];
        pattern(text, (int)draw(4));
        int found = compare_pattern(a, text);
        understood += found >= 0;
        matches += found > 0;
        arena_free(a);
    }
    CHECK(understood > 1000 && matches > 500); /* else this shows nothing */
}

/* The whole table through the call, as one string. */
static void test_case(CaseWay way)
{
    enum { N = 0x20000 };
    static char text[N * UTF8_LONGEST], want[N * UTF8_LONGEST];
    static int32_t table[1024][4], lower[1][4] = {{0, 0, 1, 0}};
    int count;
    const CaseRow *row = unicode_case_rows(way, &count);
    size_t n = 0, m = 0;
    ingot_model model = {.n_origins = 0};
    ingot_instance instance = {.model = &model};
    ingot_call call = {.instance = &instance};
    ingot_string in_text, out_text;

    CHECK(count > 100 && count < 1024);
    for (int i = 0; i < count; i++) {
        const int32_t line[4] = {row[i].first, row[i].last, row[i].step, row[i].delta};
        memcpy(table[i], line, sizeof line);
    }
    for (int32_t c = 1; c < N; c++) {
        if (c >= 0xd800 && c < 0xe000) continue;
        n += utf8_encode(c, text + n);
        m += utf8_encode(unicode_case(way, c), want + m);
    }
    in_text = (ingot_string){text, (int64_t)n};
    ingot_tensor in[4] = {{.data = &in_text, .rank = 1, .dims = {1}},
                          {.rank = 1, .dims = {0}},
                          {.data = table, .rank = 2, .dims = {count, 4}},
                          {.data = lower, .rank = 2, .dims = {1, 4}}};
    ingot_tensor out = {.data = &out_text};
    ingot_call_args a = {.call = &call,
                         .in = in,
                         .out = &out,
                         .n_in = 4,
                         .n_out = 1,
                         .ints = (const int64_t[]){1, 0}};
    CHECK(ingot_call_string_normalize(&a) == INGOT_OK);
    CHECK(out.dims[0] == 1 && out_text.n == (int64_t)m && memcmp(out_text.s, want, m) == 0);
    ingot_rt_text_reset(&instance, true);
    CHECK(instance.memory_used == 0);
}

static void test_memory(void)
{
    ingot_model model = {.n_origins = 0};
    ingot_instance instance = {.model = &model, .memory_limit = 10000};
    ingot_call call = {.instance = &instance};
    ingot_call_args a = {.call = &call};
    char *first = ingot_rt_text(&a, 100);

    CHECK(first && ingot_rt_text(&a, 4000) && ingot_rt_text(&a, 0));
    memset(first, 1, 100);
    CHECK(ingot_rt_text(&a, 1 << 20) == NULL && call.error == INGOT_ERR_LIMIT);
    CHECK(ingot_rt_text(&a, -1) == NULL && ingot_rt_text(&a, INT64_MAX) == NULL);
    ingot_rt_text_reset(&instance, false);
    CHECK(ingot_rt_text(&a, 100) == first);
    ingot_rt_text_reset(&instance, true);
    CHECK(instance.memory_used == 0);
}

int main(void)
{
    test_patterns();
    test_case(CASE_LOWER);
    test_case(CASE_UPPER);
    test_memory();
    return check_result();
}
