/* rt_isa_test.c: which level of a model runs: the best that the processor has, the one that was
 * asked for, or none, and what is said then. */
#include <stdlib.h>
#include <string.h>

#include "ingot/ingot_rt.h"
#include "tests/unit/check.h"

#define NOWHERE (UINT64_C(1) << 63) /* no processor has it */

static const ingot_kernel *seen;

static int32_t run(ingot_call *call)
{
    seen = call->kernels;
    return 0;
}

static const ingot_kernel best[1], middle[1], least[1];
static const ingot_isa levels[] = {
    {"x86-64-best", NOWHERE, best}, {"x86-64-middle", 0, middle}, {"x86-64-least", 0, least}};
static const ingot_model model = {.abi_version = INGOT_ABI_VERSION,
                                  .name = "levels",
                                  .target = "x86-64-best,x86-64-middle,x86-64-least",
                                  .isa = levels,
                                  .n_isa = 3,
                                  .run = run};

/* The level that an instance runs; NULL where it cannot be made, with `status` and a reason. */
static const char *level(const ingot_model *m, const char *isa, int32_t *status, char *why,
                         size_t size)
{
    ingot_options o = {.threads = 1, .isa = isa};
    ingot_instance *instance;
    const char *name;

    *status = ingot_create_explained(m, &o, &instance, why, size);
    if (*status) return NULL;
    CHECK_EQ(ingot_run(instance, NULL, NULL), 0);
    name = ingot_level(instance);
    ingot_destroy(instance);
    return name;
}

static void runs(const ingot_model *m, const char *isa, const char *want, const ingot_kernel *table)
{
    char why[400] = "";
    int32_t status;
    const char *name = level(m, isa, &status, why, sizeof why);

    CHECK_EQ(status, 0);
    CHECK_STR(name ? name : why, want);
    CHECK(seen == table);
}

static void refuses(const ingot_model *m, const char *isa, int32_t want, const char *text)
{
    char why[400] = "";
    int32_t status;

    CHECK(level(m, isa, &status, why, sizeof why) == NULL);
    CHECK_EQ(status, want);
    if (!strstr(why, text)) CHECK_STR(why, text);
}

static void test_choice(void)
{
    unsetenv("INGOT_ISA");
    runs(&model, NULL, "x86-64-middle", middle);
    runs(&model, "", "x86-64-middle", middle);
    runs(&model, "x86-64-least", "x86-64-least", least);
    runs(&model, "least", "x86-64-least", least);
    refuses(&model, "x86-64-best", INGOT_ERR_TARGET, "x86-64-best was asked for");
    refuses(&model, "v9", INGOT_ERR_USAGE, "has code for x86-64-best,x86-64-middle");
}

static void test_environment(void)
{
    setenv("INGOT_ISA", "least", 1);
    runs(&model, NULL, "x86-64-least", least);
    runs(&model, "middle", "x86-64-middle", middle); /* options come first */
    setenv("INGOT_ISA", "v9", 1);
    refuses(&model, NULL, INGOT_ERR_USAGE, "'v9' was asked for");
    setenv("INGOT_ISA", "", 1);
    runs(&model, NULL, "x86-64-middle", middle);
    unsetenv("INGOT_ISA");
}

static void test_none(void)
{
    static const ingot_isa two[] = {{"x86-64-best", NOWHERE | 1, best},
                                    {"x86-64-good", NOWHERE, middle}};
    ingot_model none = model;

    none.target = "x86-64-best,x86-64-good";
    none.isa = two;
    none.n_isa = 2;
    refuses(&none, NULL, INGOT_ERR_TARGET, "compiled for x86-64-best,x86-64-good");
    none.n_isa = 1;
    refuses(&none, NULL, INGOT_ERR_TARGET, "lacks what this runtime does not know");
    none.n_isa = 0; /* made by hand: runs everywhere */
    runs(&none, NULL, "", NULL);
}

int main(void)
{
    test_choice();
    test_environment();
    test_none();
    return check_result();
}
