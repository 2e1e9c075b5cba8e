/* json.h: a writer of JSON text. Commas and indentation are its business; keys are written in the
 * order given. */
#ifndef INGOT_SUPPORT_JSON_H
#define INGOT_SUPPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "support/str.h"

typedef struct Json {
    Text *text;
    int depth;
    bool first;
    bool after_key;
} Json;

void json_init(Json *j, Text *t);
void json_object(Json *j); /* opens { ; close with json_end_object */
void json_end_object(Json *j);
void json_array(Json *j);
void json_end_array(Json *j);
void json_key(Json *j, const char *key);
void json_string(Json *j, const char *s); /* NULL becomes null */
void json_int(Json *j, int64_t v);
void json_double(Json *j, double v); /* NaN and infinities become null */
void json_bool(Json *j, bool v);

#endif
