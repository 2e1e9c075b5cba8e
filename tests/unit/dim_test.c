/* dim: canonical forms, bounds, proofs, text; and random expressions against plain arithmetic. */
#include "ir/dim.h"

#include "tests/unit/check.h"

typedef struct Fact {
    const char *from, *to;
} Fact;

/* n, m, h, w >= 1; z >= 0; i in [0, 3]. What is built on the left prints as the right. */
static const Fact facts[] = {
    {"(n+2)-n", "2"},
    {"(8*n)/8", "n"},
    {"(n*m)/m", "n"},
    {"(n*z)/z", "(n*z)/z"},
    {"(n+2-2)/1", "n"},
    {"(4*n+3)/4", "n"},
    {"(4*n+7)/4", "n+1"},
    {"(2*n+1)/4", "n/2"},
    {"(6*n+3)/4", "n+(n+1)/2"},
    {"n/2/3", "n/6"},
    {"(n/2+1)/3", "(n+2)/6"},
    {"((n-1)/2+1-1)/2+1", "(n+3)/4"},
    {"n/m/h", "n/(m*h)"},
    {"(n*h*w)/(h*w)", "n"},
    {"(n*n-m*m)/(n+m)", "n-m"},
    {"(n*m+m+h*n+h)/(n+1)", "m+h"},
    {"(n*m-1)/m", "n-1"},
    {"(n*m+m-1)/m", "n"},
    {"(n*m*2)/(m*6)", "n/3"},
    {"i/4", "0"},
    {"(i+4*n)%4", "i"},
    {"(5*n)%4", "n%4"},
    {"(2*n+1)%4", "2*(n%2)+1"},
    {"(n%8)%4", "n%4"},
    {"(n*m+3*m)%m", "0"},
    {"(n*m)%(h*m)", "m*(n%h)"},
    {"n/0", "0"},
    {"n%0", "0"},
    {"(n-7)/(-1)", "-n+7"},
    {"min(n,n+3)", "n"},
    {"max(n-m,n)", "n"},
    {"min(min(n,9),4)", "min(n,4)"},
    {"min(max(n,m),m)", "m"},
    {"max(0,n-1)", "n-1"},
    {"n-2*m-1", "n-2*m-1"},
    {"m-n/2", "m-n/2"},
    {"(-n)/2", "(-n)/2"},
    {"-n/2", "-n/2"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"2*n+m/3+1", "2*n+m/3+1"},
    {"\"batch size\"*n", "n*\"batch size\""},
    {"(n+1)*(m+1)", "n*m+n+m+1"},
    {"z*min(z,1)", "z"},
    {"n*min(z,1)*min(z,1)", "n*min(z,1)"},
    {"(2*z+1)*min(z,1)*z", "2*z*z+z"},
    {"(z*min(z,1)+min(z,1))*min(z,1)", "z+min(z,1)"},
    {"min(z,1)*min(z*min(z,1),1)*max(z,z*min(z,1))", "z"},
    {"z*min(n,2)", "z*min(n,2)"},
};

static Dim parse(DimTable *t, const char *s)
{
    Dim d = NULL;
    const char *end = dim_parse(t, s, &d);
    if (!end || *end) fprintf(stderr, "cannot parse %s\n", s);
    CHECK(end && *end == 0);
    return end ? d : dim_const(t, 0);
}

static void table(DimTable *t, Arena *a)
{
    dims_init(t, a);
    static const char *const sizes[] = {"n", "m", "h", "w"};
    for (int i = 0; i < 4; i++)
        dim_symbol(t, sizes[i], 1, INT64_MAX);
    dim_symbol(t, "z", 0, INT64_MAX);
    dim_symbol(t, "i", 0, 3);
}

static void test_facts(Arena *a)
{
    DimTable t;
    table(&t, a);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        Text out;
        Dim d = parse(&t, facts[i].from);
        text_init(&out, a);
        dim_print(&out, d);
        CHECK_STR(out.s, facts[i].to);
        CHECK(parse(&t, out.s) == d);
    }
    CHECK(dims_ok(&t));
    static const char *const bad[] = {"", "n+", "(n", "min(n)", "9223372036854775808", "*n", "\"x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Dim d;
        CHECK(!dim_parse(&t, bad[i], &d));
    }
}

static void test_proofs(Arena *a)
{
    DimTable t;
    table(&t, a);
    static const Fact le[] = {
        {"n", "n+2"},         {"0", "n-min(n,4)"}, {"4*(n/4)", "n"},
        {"n", "4*((n+3)/4)"}, {"n", "n*m"},        {"n+m", "n*m+1"},
        {"n%m", "n"},         {"max(n,m)", "n+m"}, {"min(n,m)", "max(n,m)"},
        {"n%m+1", "m"},       {"(n-1)/2", "n-1"},  {"n/m", "n"},
    };
    for (size_t i = 0; i < sizeof le / sizeof *le; i++) {
        Dim x = parse(&t, le[i].from), y = parse(&t, le[i].to);
        if (!dim_le(&t, x, y)) fprintf(stderr, "%s <= %s?\n", le[i].from, le[i].to);
        CHECK(dim_le(&t, x, y));
        CHECK(x == y || !dim_lt(&t, y, x));
    }
    CHECK(!dim_le(&t, parse(&t, "n"), parse(&t, "m")));
    CHECK(!dim_le(&t, parse(&t, "n"), parse(&t, "4*(n/4)")));
    CHECK(dim_lt(&t, parse(&t, "i"), parse(&t, "n+3")));
    CHECK(dim_distinct(&t, parse(&t, "2*n"), parse(&t, "2*m+1")));
    CHECK(dim_distinct(&t, parse(&t, "n"), parse(&t, "n+1")));
    CHECK(!dim_distinct(&t, parse(&t, "n"), parse(&t, "m")));
}

static void test_symbols(Arena *a)
{
    DimTable t;
    Map map;
    table(&t, a);
    Dim n = parse(&t, "n");
    CHECK(dim_symbol(&t, "n", 0, 100) == n && n->lo == 1 && n->hi == 100);
    CHECK(dim_symbol(&t, "n", 200, 300) == n && n->hi == 100);
    dim_symbol(&t, "u0", 0, 1);
    CHECK(strcmp(dim_fresh(&t, "u", 0, 9)->name, "u1") == 0);
    map_init(&map, a, false);
    map_set(&map, n, (void *)(uintptr_t)dim_const(&t, 7));
    CHECK(dim_is(dim_substitute(&t, parse(&t, "(n*3+1)/4+min(n,9)+n%2"), &map), 13));
    CHECK(dim_substitute(&t, parse(&t, "m*z"), &map) == parse(&t, "m*z"));
    Dim d[3] = {n, dim_const(&t, 2), parse(&t, "m")};
    CHECK(dim_product(&t, 3, d) == parse(&t, "2*n*m"));
    CHECK(dim_is(dim_product(&t, 0, d), 1));
    CHECK(dim_ceil_div(&t, parse(&t, "4*m+1"), dim_const(&t, 4)) == parse(&t, "m+1"));
}

/* The order of terms does not depend on what was made first. */
static void test_order(Arena *a)
{
    static const char *const atoms[] = {"m/3", "n/2", "min(m,4)", "n%5"};
    Text forward, backward;
    for (int turn = 0; turn < 2; turn++) {
        DimTable t;
        Text *out = turn ? &backward : &forward;
        table(&t, a);
        Dim sum = dim_const(&t, 1);
        for (int i = 0; i < 4; i++)
            sum = dim_add(&t, parse(&t, atoms[turn ? 3 - i : i]), sum);
        text_init(out, a);
        dim_print(out, dim_max(&t, dim_mul(&t, sum, sum), parse(&t, "n*n*m")));
    }
    CHECK_STR(forward.s, backward.s);
}

static void test_limits(Arena *a)
{
    DimTable t;
    table(&t, a);
    Dim big = dim_const(&t, INT64_MAX);
    CHECK(dim_is(dim_add_c(&t, big, 1), 0) && !dims_ok(&t));
    table(&t, a);
    Dim product = dim_const(&t, 1);
    for (int i = 0; i < 20; i++)
        product = dim_mul(&t, product, dim_add_c(&t, dim_fresh(&t, "x", 0, 9), 1));
    CHECK(!dims_ok(&t)); /* 2^20 terms */
    table(&t, a);
    Dim d = parse(&t, "n");
    for (int i = 0; i < 100; i++) /* doubles as a tree each time */
        d = dim_add(&t, dim_div(&t, d, dim_const(&t, 3)), dim_mod(&t, d, dim_const(&t, 5)));
    CHECK(!dims_ok(&t));
    char deep[4001] = {0};
    memset(deep, '(', 4000);
    CHECK(!dim_parse(&t, deep, &d));
}

typedef struct Random {
    DimTable *t;
    uint64_t state;
    int64_t value[6]; /* of the symbols */
    bool exact;       /* the plain value did not overflow */
} Random;

static const char *const random_names[6] = {"n", "m", "h", "w", "z", "i"};

static uint64_t next(Random *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return r->state >> 33;
}

/* A random expression, and its value by plain arithmetic. */
static Dim grow(Random *r, int depth, int64_t *value)
{
    uint64_t pick = next(r) % 10;
    if (depth == 0 || pick == 0) {
        int k = (int)(next(r) % 8);
        if (k < 6) {
            *value = r->value[k];
            return dim_symbol(r->t, random_names[k], INT64_MIN, INT64_MAX);
        }
        *value = (int64_t)(next(r) % 17) - 6;
        return dim_const(r->t, *value);
    }
    int64_t x, y;
    Dim a = grow(r, depth - 1, &x), b = grow(r, depth - 1, &y);
    bool down = y != 0 && x % y != 0 && (x < 0) != (y < 0);
    int64_t q = y ? x / y - down : 0;
    switch (pick) {
    case 1:
    case 2:
        *value = x + y;
        return dim_add(r->t, a, b);
    case 3:
        *value = x - y;
        return dim_sub(r->t, a, b);
    case 4:
        if (__builtin_mul_overflow(x, y, value)) r->exact = false;
        return dim_mul(r->t, a, b);
    case 5:
    case 6:
        *value = q;
        return dim_div(r->t, a, b);
    case 7:
        *value = y ? x - y * q : 0;
        return dim_mod(r->t, a, b);
    case 8:
        *value = x < y ? x : y;
        return dim_min(r->t, a, b);
    default:
        *value = x > y ? x : y;
        return dim_max(r->t, a, b);
    }
}

static bool bind(void *context, Dim symbol, int64_t *value)
{
    Random *r = context;
    for (int i = 0; i < 6; i++) {
        if (strcmp(symbol->name, random_names[i]) != 0) continue;
        *value = r->value[i];
        return true;
    }
    return false;
}

static void test_random(Arena *a)
{
    DimTable t;
    Random r = {.t = &t, .state = 12345};
    int compared = 0;
    table(&t, a);
    for (int turn = 0; turn < 20000; turn++) {
        if (turn % 500 == 0) table(&t, a);
        for (int k = 0; k < 6; k++)
            r.value[k] = k == 5 ? (int64_t)(next(&r) % 4) : (int64_t)(next(&r) % 12) + (k != 4);
        int64_t want, got = 0, want2;
        r.exact = true;
        Dim d = grow(&r, 4, &want), e = grow(&r, 2, &want2);
        if (!dims_ok(&t))
            table(&t, a);
        else if (r.exact && dim_eval(d, bind, &r, &got)) {
            compared++;
            CHECK_EQ(got, want);
            CHECK(d->lo <= got && got <= d->hi);
            CHECK(!dim_le(&t, d, e) || want <= want2);
            CHECK(!dim_lt(&t, e, d) || want2 < want);
            CHECK(!dim_distinct(&t, d, e) || want2 != want);
            Text out;
            text_init(&out, a);
            dim_print(&out, d);
            CHECK(parse(&t, out.s) == d);
            if (check_failures) {
                fprintf(stderr, "turn %d: %s\n", turn, out.s);
                return;
            }
        }
    }
    CHECK(compared > 15000);
}

int main(void)
{
    Arena *a = arena_new(0);
    test_facts(a);
    test_proofs(a);
    test_symbols(a);
    test_order(a);
    test_limits(a);
    test_random(a);
    arena_free(a);
    return check_result();
}
