/* json_test.c: the text of nested values, and of what JSON cannot say. */
#include "support/json.h"

#include <math.h>

#include "tests/unit/check.h"

static void test_nesting(Arena *a)
{
    Text t;
    Json j;

    text_init(&t, a);
    json_init(&j, &t);
    json_object(&j);
    json_key(&j, "name");
    json_string(&j, "a\"\\\n\x01\xc3\xa9\xff");
    json_key(&j, "none");
    json_string(&j, NULL);
    json_key(&j, "list");
    json_array(&j);
    json_int(&j, INT64_MIN);
    json_double(&j, 0.1);
    json_double(&j, (double)NAN);
    json_double(&j, (double)-INFINITY);
    json_double(&j, 1e-9);
    json_bool(&j, true);
    json_array(&j);
    json_end_array(&j);
    json_object(&j);
    json_end_object(&j);
    json_end_array(&j);
    json_key(&j, "last");
    json_bool(&j, false);
    json_end_object(&j);
    CHECK_STR(t.s, "{\n"
                   "  \"name\": \"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\",\n"
                   "  \"none\": null,\n"
                   "  \"list\": [\n"
                   "    -9223372036854775808,\n"
                   "    0.1,\n"
                   "    null,\n"
                   "    null,\n"
                   "    1e-9,\n"
                   "    true,\n"
                   "    [],\n"
                   "    {}\n"
                   "  ],\n"
                   "  \"last\": false\n"
                   "}");
}

int main(void)
{
    Arena *a = arena_new(0);

    test_nesting(a);
    arena_free(a);
    return check_result();
}
