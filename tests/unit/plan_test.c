/* plan_test.c: the memory plan: nothing that is still read is written over; chains reuse memory,
 * in place where they may; pieces of a concat and outputs are made where they belong. */
#include "codegen/plan.h"

#include "check.h"
#include "ir/build.h"

typedef struct World {
    Arena *arena;
    Diag diag;
    Module *m;
    Build b;
    Plan plan;
} World;

static void world_open(World *w)
{
    *w = (World){.arena = arena_new(0)};
    diag_init(&w->diag, w->arena);
    w->m = module_new(w->arena, "test");
    w->b = build_at(w->m->main, NULL, NULL, &w->diag);
}

static void world_plan(World *w)
{
    w->m->output_name = ARENA_ARRAY(w->arena, const char *, w->m->main->n_result);
    CHECK(w->b.status == OK);
    CHECK(plan_memory(w->m, NULL, w->arena, &w->plan, &w->diag) == OK);
}

static Value *input(World *w, int64_t rows)
{
    Dim *dim = ARENA_ARRAY(w->arena, Dim, 2);

    dim[0] = dim_const(&w->m->dims, rows);
    dim[1] = dim_const(&w->m->dims, 16);
    return region_add_arg(w->m->main, "x", type_tensor(DT_F32, 2, dim));
}

/* x + 1 at the domain point. */
static Value *step(World *w, Value *x)
{
    const Sx *e = sx_operand(&w->b, 0, x, 2, x->type.dim);

    e = sx_add(w->b.sx, e, sx_const(w->b.sx, DT_F32, 1));
    return build_map(&w->b, "step", 1, &x, DT_F32, 2, x->type.dim, e);
}

/* The first element of each of three values, everywhere in [rows,16]. */
static Value *spread(World *w, Value *const *x, int64_t rows)
{
    Dim dim[] = {dim_const(&w->m->dims, rows), dim_const(&w->m->dims, 16)};
    const Sx *zero = sx_i64(&w->b, 0), *at[] = {zero, zero}, *e = sx_at(&w->b, 0, x[0], at);

    for (int i = 1; i < 3; i++)
        e = sx_add(w->b.sx, e, sx_at(&w->b, i, x[i], at));
    return build_map(&w->b, "spread", 3, x, DT_F32, 2, dim, e);
}

/* The sum of a row of x, and r at the point; else at the row's first. */
static Value *residual(World *w, Value *x, Value *r, bool at_point)
{
    SxTable *t = w->b.sx;
    Dim sum = dim_const(&w->m->dims, 16);
    const Sx *row[] = {sx_index(t, 0), sx_index(t, 2)}, *at[] = {sx_index(t, 0), sx_i64(&w->b, 0)};
    const Sx *e;
    Acc a = {.monoid = MONOID_SUM, .dtype = DT_F32, .body = sx_at(&w->b, 0, x, row)};

    if (at_point) at[1] = sx_index(t, 1);
    e = sx_add(t, sx_acc(t, 0, DT_F32), sx_at(&w->b, 1, r, at));
    return build_reduce(&w->b, "residual", 2, (Value *[]){x, r}, 2, x->type.dim, 1, &sum,
                        ORDER_CHAIN, a, DT_F32, e);
}

static const Place *place(const World *w, const Value *v)
{
    return &w->plan.place[v->id];
}

static void test_chain(void)
{
    World w;
    Value *x, *a, *b, *c;

    world_open(&w);
    x = input(&w, 4);
    a = step(&w, x);
    b = step(&w, a);
    c = step(&w, b);
    region_add_result(w.m->main, c);
    world_plan(&w);
    CHECK_EQ(place(&w, a)->kind, PLACE_SEGMENT);
    CHECK_EQ(place(&w, b)->offset, place(&w, a)->offset);
    CHECK_EQ(w.plan.n_in_place, 1);
    CHECK_EQ(w.plan.peak, 256);
    CHECK_EQ(place(&w, c)->kind, PLACE_OUTPUT);
    CHECK(w.plan.direct[0]);
    arena_free(w.arena);
}

static void test_still_read(void)
{
    World w;
    Value *x, *a, *b, *c;

    world_open(&w);
    x = input(&w, 4);
    a = step(&w, x);
    b = step(&w, a);
    c = spread(&w, (Value *[]){a, b, x}, 4);
    region_add_result(w.m->main, c);
    world_plan(&w);
    CHECK(place(&w, a)->offset != place(&w, b)->offset);
    CHECK_EQ(w.plan.n_in_place, 0);
    CHECK_EQ(w.plan.peak, 512);
    arena_free(w.arena);
}

/* A sum is written over what its epilogue reads at the point, never over what it sums. */
static void test_residual(void)
{
    World w;
    Value *x, *a, *b, *c, *d, *e;

    world_open(&w);
    x = input(&w, 4);
    a = step(&w, x);
    b = residual(&w, x, a, true);
    c = residual(&w, b, b, true);
    d = residual(&w, x, c, false);
    e = residual(&w, d, x, true);
    region_add_result(w.m->main, step(&w, e));
    world_plan(&w);
    CHECK_EQ(place(&w, b)->offset, place(&w, a)->offset);
    CHECK(place(&w, c)->offset != place(&w, b)->offset);
    CHECK(place(&w, d)->offset != place(&w, c)->offset);
    CHECK(place(&w, e)->offset != place(&w, d)->offset);
    CHECK_EQ(w.plan.n_in_place, 1);
    arena_free(w.arena);
}

static void test_concat(void)
{
    World w;
    Value *x, *a, *b, *c;

    world_open(&w);
    x = input(&w, 4);
    a = step(&w, x);
    b = step(&w, a);
    c = build_concat(&w.b, 3, (Value *[]){a, x, b}, 0);
    region_add_result(w.m->main, c);
    region_add_result(w.m->main, b);
    world_plan(&w);
    CHECK_EQ(place(&w, c)->kind, PLACE_OUTPUT);
    CHECK(w.plan.direct[0]);
    CHECK_EQ(place(&w, a)->kind, PLACE_OUTPUT);
    CHECK_EQ(place(&w, a)->offset, 0);
    /* b is an output itself: there it is made, and copied into the concat */
    CHECK_EQ(place(&w, b)->index, 1);
    CHECK(w.plan.direct[1]);
    CHECK(!w.plan.node[c->def->id]->direct[0][2]);
    CHECK_EQ(w.plan.peak, 0);
    arena_free(w.arena);
}

static void test_open(void)
{
    World w;
    Value *x, *v;
    Dim *dim;

    world_open(&w);
    dim = ARENA_ARRAY(w.arena, Dim, 2);
    dim[0] = dim_symbol(&w.m->dims, "n", 0, 1000);
    dim[1] = dim_const(&w.m->dims, 16);
    x = region_add_arg(w.m->main, "x", type_tensor(DT_F32, 2, dim));
    v = step(&w, x);
    for (int i = 0; i < 10; i++)
        v = build_transpose(&w.b, v, (const int[]){1, 0});
    region_add_result(w.m->main, v);
    world_plan(&w);
    CHECK_EQ(plan_size(&w.plan), -1);
    CHECK_EQ(w.plan.n_open, 2);
    CHECK(place(&w, v)->open);
    arena_free(w.arena);
}

/* ---- random graphs against a walk that knows what is read when ---- */

enum { NODES = 120 };

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static int last_reader(Value *const *v, int n, int k)
{
    int last = k;

    for (int i = k + 1; i < n; i++)
        for (int j = 0; j < v[i]->def->n_in; j++)
            if (v[i]->def->in[j] == v[k]) last = i;
    return last;
}

static bool overlap(const World *w, const Value *a, const Value *b)
{
    const Place *p = place(w, a), *q = place(w, b);

    if (p->kind != PLACE_SEGMENT || q->kind != PLACE_SEGMENT || p->index != q->index) return false;
    return p->offset < q->offset + plan_bytes(b) && q->offset < p->offset + plan_bytes(a);
}

static void test_random(uint32_t seed)
{
    World w;
    Value *v[NODES];
    int overwritten = 0;

    world_open(&w);
    v[0] = step(&w, input(&w, 3));
    for (int i = 1; i < NODES; i++) {
        uint32_t far = (uint32_t)i < 9 ? (uint32_t)i : 9;
        Value *x[3];
        for (int k = 0; k < 3; k++)
            x[k] = v[i - 1 - (int)(next(&seed) % far)];
        v[i] = next(&seed) % 2 ? step(&w, x[0]) : spread(&w, x, next(&seed) % 20);
    }
    region_add_result(w.m->main, v[NODES - 1]);
    world_plan(&w);
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < i; k++) {
            int last = last_reader(v, NODES, k);
            bool over = overlap(&w, v[i], v[k]) && plan_bytes(v[i]) > 0;
            overwritten += over && last == i;
            CHECK(!over || last < i || (last == i && v[i]->def->n_in == 1));
        }
    /* the plan counts empty values too */
    CHECK(overwritten > 0 && overwritten <= w.plan.n_in_place);
    CHECK(w.plan.peak <= w.plan.lower_bound + w.plan.lower_bound / 4);
    CHECK(w.plan.unpadded <= w.plan.lower_bound);
    arena_free(w.arena);
}

int main(void)
{
    test_chain();
    test_still_read();
    test_residual();
    test_concat();
    test_open();
    for (uint32_t seed = 0; seed < 30; seed++)
        test_random(seed);
    return check_result();
}
