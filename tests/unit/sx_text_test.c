/* Text of scalar expressions: printed, read back to the same address; malformed text refused. */
#include "ir/sx.h"

#include <stdbool.h>
#include <stdlib.h>

#include "check.h"

static Arena *arena;
static DimTable dims;
static SxTable t;

static const char *text_of(const Sx *e)
{
    Text out;

    text_init(&out, arena);
    sx_print(&out, e);
    return out.s;
}

static void round_trip(const char *text)
{
    const Sx *e = NULL, *again = NULL;
    const char *end = sx_parse(&t, text, &e);

    CHECK(end && *end == '\0');
    if (!end) {
        fprintf(stderr, "not read: %s\n", text);
        return;
    }
    CHECK_STR(text_of(e), text);
    CHECK(sx_parse(&t, text_of(e), &again) && again == e);
}

static void refused(const char *text)
{
    const Sx *e = NULL;

    if (!sx_parse(&t, text, &e)) return;
    CHECK(false && "accepted");
    fprintf(stderr, "accepted: %s\n", text);
}

static void test_forms(void)
{
    round_trip("i0");
    round_trip("f32:1.5");
    round_trip("f32:-inf");
    round_trip("f32:-0");
    round_trip("f32:0x7fc00001");
    round_trip("f32:0x7fc00000");
    round_trip("f64:0.1");
    round_trip("f16:0.5");
    round_trip("bf16:0x7fc0");
    round_trip("f8e4m3fn:448");
    round_trip("i64:-9223372036854775808");
    round_trip("u64:18446744073709551615");
    round_trip("bool:1");
    round_trip("acc:f64(2)");
    round_trip("load:f32(0,[])");
    round_trip("load:f32(0,[i0,i1])");
    round_trip("load:f32(s1,[i0],lt(i0,i64:4))");
    round_trip("load:u8(3,flat[add(mul(i0,i64:4),i1)],lt(i0,i1))");
    round_trip("load:f32(1,[check(0,load:i64(0,[i0]),i64:8)])");
    round_trip("add(load:f32(0,[i0,i1]),f32:1.5)");
    round_trip("cast:f8e5m2(load:f32(0,[i0]))");
    round_trip("cast:f8e5m2(load:f32(0,[i0]),nosat)");
    round_trip("mostly(lt(i0,i64:3),i0,mul(i0,i64:5))");
    round_trip("cast:i32(bitcast:u32(acc:f32(0)))");
    round_trip("select(lt(i0,i1),acc:f32(0),acc:f32(1))");
    round_trip("mul($0=exp(acc:f32(0)),add($1=tanh($0),log($1)))");
    round_trip("add(dim(n),i0)");
}

static void test_refused(void)
{
    static const char *const bad[] = {
        "",
        "i",
        "add",
        "add(",
        "add(i0",
        "add(i0,",
        "add(i0)",
        "add(i0,i1,i2)",
        "add(i0,f32:1)",
        "add(bool:1,bool:0)",
        "sqrt(i0)",
        "exp(f16:1)",
        "shl(f32:1,f32:2)",
        "select(i0,i0,i1)",
        "select(lt(i0,i1),i0,f32:1)",
        "load(0,[i0])",
        "load:f32(0,[f32:1])",
        "load:f32(0,[i0],i1)",
        "load:f32(0,flat[i0,i1])",
        "load:f32(0,[i0,])",
        "load:f32(0,[,i0])",
        "load:f32(0,[i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0,i0])",
        "load:f32(99999999999,[i0])",
        "load:string(0,[i0])",
        "cast:f33(i0)",
        "cast(i0)",
        "cast:f32(i0,nosat)",
        "add:i64(i0,i1)",
        "bitcast:f32(i0)",
        "i8:300",
        "u8:-1",
        "f32:0x1ffffffff",
        "f32:1e999",
        "f32:",
        "bool:2",
        "$0",
        "$1=neg(i0)",
        "$0=neg($0)",
        "add($0=neg(i0),$1)",
        "acc:f32",
        "acc(0)",
        "frob(i0)",
        "dim()",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refused(bad[i]);
    }
}

/* Depth 50000, and sharing that would be 2^64 nodes as a tree. */
static void test_deep(void)
{
    const Sx *e = sx_acc(&t, 0, DT_F32), *again = NULL;

    for (int k = 0; k < 50000; k++) {
        e = sx_op1(&t, k % 2 ? SX_SQRT : SX_NEG, e);
    }
    for (int k = 0; k < 64; k++) {
        e = sx_mul(&t, e, e);
    }
    const char *text = text_of(e);
    CHECK(strlen(text) < 400000);
    CHECK(sx_parse(&t, text, &again) && again == e);
    char *open = malloc(200001);
    for (int k = 0; open && k < 200000; k += 4) {
        memcpy(open + k, "neg(", 5);
    }
    if (open) refused(open);
    free(open);
}

int main(void)
{
    arena = arena_new(0);
    dims_init(&dims, arena);
    sx_init(&t, arena, &dims);
    (void)dim_symbol(&dims, "n", 1, 1000);
    test_forms();
    test_refused();
    test_deep();
    CHECK(arena_ok(arena));
    arena_free(arena);
    return check_result();
}
