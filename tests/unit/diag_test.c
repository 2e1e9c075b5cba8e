/* diag_test.c: what a sink keeps, merges and prints. */
#include "support/diag.h"

#include "tests/unit/check.h"

static void test_format(void)
{
    static const struct {
        Where where;
        const char *want;
    } cases[] = {
        {{0}, "bad 7"},
        {{.file = "m.onnx"}, "m.onnx: bad 7"},
        {{.file = "m.ir", .line = 3, .column = 9}, "m.ir:3:9: bad 7"},
        {{.file = "m.ir", .line = 3}, "m.ir:3: bad 7"},
        {{.file = "m.onnx", .node = "n", .index = 3, .attr = "axis"},
         "m.onnx: node 'n' (3): attribute 'axis': bad 7"},
        {{.node = "a\x1b[2J\xc2\x9b\xc3\xa9"}, "node 'a\\x1b[2J\\x9b\xc3\xa9' (0): bad 7"},
        {{.node = "\xff"}, "node '\\xff' (0): bad 7"},
    };
    Arena *a = arena_new(0);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Diag d;
        diag_init(&d, a);
        CHECK_EQ(diag(&d, ERR_MODEL, cases[i].where, "bad %d", 7), ERR_MODEL);
        CHECK_STR(diag_format(d.first, a), cases[i].want);
    }
    arena_free(a);
}

static void test_status(void)
{
    Arena *a = arena_new(0);
    Diag d;

    diag_init(&d, a);
    CHECK_EQ(diag_status(&d), OK);
    diag_warn(&d, (Where){0}, "only a warning");
    diag_note(&d, (Where){0}, "not kept");
    CHECK_EQ(diag_status(&d), OK);
    CHECK(d.first && d.first == d.last && d.first->severity == DIAG_WARNING);
    diag(&d, ERR_UNSUPPORTED, (Where){0}, "first");
    diag(&d, ERR_MODEL, (Where){0}, "second");
    CHECK_EQ(diag_status(&d), ERR_UNSUPPORTED);
    diag(&d, ERR_BUG, (Where){0}, "third");
    CHECK_EQ(diag_status(&d), ERR_BUG);
    CHECK_EQ(d.errors, 3);
    CHECK_EQ(diag(NULL, ERR_IO, (Where){0}, "nobody listens"), ERR_IO);
    CHECK_STR(status_text(ERR_IO), "input/output");
    CHECK(strlen(status_remedy(ERR_LIMIT)) > 0);
    CHECK_STR(status_text((Status)99), "unknown status");
    arena_free(a);
}

static int kept(const Diag *d)
{
    int n = 0;
    for (const DiagItem *i = d->first; i; i = i->next) {
        n++;
    }
    return n;
}

static void test_limits(void)
{
    Arena *a = arena_new(0), *b = arena_new(0);
    Diag d, other;
    char name[] = "node-0";

    diag_init(&d, a);
    d.limit = 5;
    for (int i = 0; i < 1000; i++) {
        diag(&d, ERR_MODEL, (Where){.node = "n"}, "error %d", i);
        diag_warn(&d, (Where){0}, "warning %d", i);
    }
    CHECK_EQ(d.errors, 1000);
    CHECK_EQ(kept(&d), 10);
    diag(&d, ERR_BUG, (Where){0}, "kept beyond the limit");
    CHECK_EQ(diag_status(&d), ERR_BUG);

    diag_init(&other, b);
    diag_merge(&other, &d);
    arena_free(a); /* the merged texts are copies */
    CHECK_EQ(other.errors, 1001);
    CHECK_STR(diag_format(other.first, b), "node 'n' (0): error 0");
    CHECK_EQ(diag_status(&other), ERR_BUG);

    diag_init(&d, b);
    diag(&d, ERR_MODEL, (Where){.node = name}, "%0*d", 100000, 1);
    name[0] = 'X'; /* the names are copies too */
    CHECK_STR(d.first->where.node, "node-0");
    size_t n = strlen(d.first->text);
    CHECK(n > 1000 && n < 10000 && strcmp(d.first->text + n - 3, "...") == 0);
    arena_free(b);
}

int main(void)
{
    test_format();
    test_status();
    test_limits();
    return check_result();
}
