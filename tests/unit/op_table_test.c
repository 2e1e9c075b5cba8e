/* op_table_test.c: every row of the op table is complete, and no two have one name. */
#include "ir/op.h"
#include "tests/unit/check.h"

int main(void)
{
    Arena *arena = arena_new(0);
    Diag d;

    diag_init(&d, arena);
    CHECK(op_table_ok(&d));
    for (const DiagItem *i = d.first; i; i = i->next)
        fprintf(stderr, "%s\n", diag_format(i, arena));
    CHECK(op_find(NULL, "Add") != NULL && op_find("ai.onnx", "Add") == op_find("", "Add"));
    CHECK(op_find("com.example", "Add") == NULL);
    arena_free(arena);
    return check_result();
}
