/* link_header.c: NAME.h, for C and C++: one file that an application includes and nothing else.
 *
 * It holds ingot_rt.h as it is (guarded, so that two models' headers go together), constants for
 * every input and output, and a typed layer of static inline functions over ingot_create, ingot_run
 * and ingot_destroy:
 *
 *     digits_inputs in = { .image = pixels, .batch = 1 };       open dims are fields, once for each
 * symbol digits_outputs out = { 0 };                               NULL: the instance lends the
 * memory if (digits_run(m, &in, &out) == INGOT_OK) use(out.scores, out.scores_dims);
 *
 * Names come from the model: what is no identifier, or a keyword of C or C++, or taken, is changed
 * until it is fine. */
#include <ctype.h>
#include <string.h>

#include "codegen/link/embedded.h"
#include "codegen/link/link_impl.h"
#include "support/io.h"
#include "support/map.h"

/* ---- names ---- */

static const char *const keywords[] = {
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "concept",
    "const",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "xor",
    "xor_eq",
};

static bool is_keyword(const char *s)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strcmp(s, keywords[i]) == 0) return true;
    }
    return false;
}

static const char *upper(Arena *a, const char *s)
{
    char *u = arena_strdup(a, s);

    for (char *p = u; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return u;
}

/* A name for a field that no other in `taken` has, nor one that differs in case only (constants are
 * upper case). */
static const char *fresh_name(Map *taken, Arena *a, const char *text)
{
    const char *base = link_identifier(a, text), *name = base;

    if (is_keyword(name)) name = arena_printf(a, "%s_", base);
    for (int k = 2; map_has(taken, upper(a, name)); k++)
        name = arena_printf(a, "%s_%d", base, k);
    map_set(taken, upper(a, name), (void *)(uintptr_t)name);
    return name;
}

/* ---- the ports, with the names of their fields ---- */

typedef struct Field {
    const ingot_port *port;
    const char *name;
    const char **dim; /* [rank] inputs: the field that holds an open dim; NULL where it is fixed */
    bool *first;      /* [rank] this port declares that field */
} Field;

typedef struct Header {
    const LinkInput *in;
    Arena *arena;
    Text *t;
    const char *name, *NAME;
    Field *inputs, *outputs;
} Header;

static const char *const c_types[INGOT_F6E3M2 + 1] = {
    [INGOT_F32] = "float",      [INGOT_U8] = "uint8_t",          [INGOT_I8] = "int8_t",
    [INGOT_U16] = "uint16_t",   [INGOT_I16] = "int16_t",         [INGOT_I32] = "int32_t",
    [INGOT_I64] = "int64_t",    [INGOT_STRING] = "ingot_string", [INGOT_BOOL] = "uint8_t",
    [INGOT_F16] = "uint16_t",   [INGOT_F64] = "double",          [INGOT_U32] = "uint32_t",
    [INGOT_U64] = "uint64_t",   [INGOT_C64] = "float",           [INGOT_C128] = "double",
    [INGOT_BF16] = "uint16_t",  [INGOT_F8E4M3FN] = "uint8_t",    [INGOT_F8E4M3FNUZ] = "uint8_t",
    [INGOT_F8E5M2] = "uint8_t", [INGOT_F8E5M2FNUZ] = "uint8_t",  [INGOT_U4] = "uint8_t",
    [INGOT_I4] = "int8_t",      [INGOT_F4E2M1] = "uint8_t",      [INGOT_F8E8M0] = "uint8_t",
    [INGOT_U2] = "uint8_t",     [INGOT_I2] = "int8_t",           [INGOT_F6E2M3] = "uint8_t",
    [INGOT_F6E3M2] = "uint8_t",
};

static const char *const dtype_constants[INGOT_F6E3M2 + 1] = {
    [INGOT_F32] = "INGOT_F32",
    [INGOT_U8] = "INGOT_U8",
    [INGOT_I8] = "INGOT_I8",
    [INGOT_U16] = "INGOT_U16",
    [INGOT_I16] = "INGOT_I16",
    [INGOT_I32] = "INGOT_I32",
    [INGOT_I64] = "INGOT_I64",
    [INGOT_STRING] = "INGOT_STRING",
    [INGOT_BOOL] = "INGOT_BOOL",
    [INGOT_F16] = "INGOT_F16",
    [INGOT_F64] = "INGOT_F64",
    [INGOT_U32] = "INGOT_U32",
    [INGOT_U64] = "INGOT_U64",
    [INGOT_C64] = "INGOT_C64",
    [INGOT_C128] = "INGOT_C128",
    [INGOT_BF16] = "INGOT_BF16",
    [INGOT_F8E4M3FN] = "INGOT_F8E4M3FN",
    [INGOT_F8E4M3FNUZ] = "INGOT_F8E4M3FNUZ",
    [INGOT_F8E5M2] = "INGOT_F8E5M2",
    [INGOT_F8E5M2FNUZ] = "INGOT_F8E5M2FNUZ",
    [INGOT_U4] = "INGOT_U4",
    [INGOT_I4] = "INGOT_I4",
    [INGOT_F4E2M1] = "INGOT_F4E2M1",
    [INGOT_F8E8M0] = "INGOT_F8E8M0",
    [INGOT_U2] = "INGOT_U2",
    [INGOT_I2] = "INGOT_I2",
    [INGOT_F6E2M3] = "INGOT_F6E2M3",
    [INGOT_F6E3M2] = "INGOT_F6E3M2",
};

static bool is_list(const ingot_port *p)
{
    return p->dtype >= INGOT_SEQUENCE && p->dtype <= INGOT_MAP;
}

static const char *dtype_constant(const ingot_port *p)
{
    static const char *const lists[] = {"INGOT_SEQUENCE", "INGOT_OPTIONAL", "INGOT_MAP"};

    if (is_list(p)) return lists[p->dtype - INGOT_SEQUENCE];
    return dtype_constants[p->dtype > 0 && p->dtype <= INGOT_F6E3M2 ? p->dtype : INGOT_U8];
}

static int32_t dtype_of(const ingot_port *p)
{
    return p->dtype > 0 && p->dtype <= INGOT_F6E3M2 ? p->dtype : INGOT_U8;
}

static const char *symbol_of(const ingot_port *p, int32_t k)
{
    return p->symbols ? p->symbols[k] : NULL;
}

static void name_open_dims(Header *h, Field *f, Map *taken, Map *symbols)
{
    const ingot_port *p = f->port;

    f->dim = ARENA_ARRAY(h->arena, const char *, p->rank);
    f->first = ARENA_ARRAY(h->arena, bool, p->rank);
    for (int32_t k = 0; k < p->rank && !is_list(p); k++) {
        const char *symbol = symbol_of(p, k), *known = symbol ? map_get(symbols, symbol) : NULL;
        if (p->dims[k] >= 0) continue;
        f->first[k] = known == NULL;
        if (!known)
            known = fresh_name(taken, h->arena,
                               symbol ? symbol : arena_printf(h->arena, "%s_dim%d", f->name, k));
        if (symbol) map_set(symbols, symbol, (void *)(uintptr_t)known);
        f->dim[k] = known;
    }
}

static void name_fields(Header *h)
{
    Map in, out, symbols;

    map_init(&in, h->arena, true);
    map_init(&out, h->arena, true);
    map_init(&symbols, h->arena, true);
    h->inputs = ARENA_ARRAY(h->arena, Field, h->in->n_inputs);
    h->outputs = ARENA_ARRAY(h->arena, Field, h->in->n_outputs);
    for (int i = 0; i < h->in->n_inputs; i++)
        h->inputs[i] = (Field){.port = &h->in->inputs[i],
                               .name = fresh_name(&in, h->arena, h->in->inputs[i].name)};
    for (int i = 0; i < h->in->n_inputs; i++)
        name_open_dims(h, &h->inputs[i], &in, &symbols);
    for (int i = 0; i < h->in->n_outputs; i++) {
        Field *f = &h->outputs[i];
        *f = (Field){.port = &h->in->outputs[i],
                     .name = fresh_name(&out, h->arena, h->in->outputs[i].name)};
        fresh_name(&out, h->arena, arena_printf(h->arena, "%s_capacity", f->name));
        fresh_name(&out, h->arena, arena_printf(h->arena, "%s_dims", f->name));
        fresh_name(&out, h->arena, arena_printf(h->arena, "%s_rank", f->name));
    }
}

/* ---- text ---- */

/* "f32 [batch,3,H,W]", fit for a comment: what could end the comment, or the line, is replaced. */
static void put_type(Text *t, const ingot_port *p)
{
    static const char prefix[] = "INGOT_";
    const char *name = dtype_constant(p) + sizeof prefix - 1;

    text_put(t, name);
    if (is_list(p)) {
        text_put(t, " of ");
        if (p->elem) put_type(t, p->elem);
        if (p->elem && p->dtype == INGOT_MAP) {
            text_put(t, " and ");
            put_type(t, &p->elem[1]);
        }
        return;
    }
    text_put(t, p->rank < 0 ? " of any rank" : " [");
    for (int32_t k = 0; k < p->rank; k++) {
        const char *symbol = symbol_of(p, k);
        if (k) text_put(t, ",");
        if (p->dims[k] >= 0) {
            text_f(t, "%lld", (long long)p->dims[k]);
        } else {
            for (const char *s = symbol ? symbol : "?"; *s; s++)
                text_char(t, *s >= ' ' && *s != '/' && *s != '\\' ? *s : '_');
        }
    }
    if (p->rank >= 0) text_put(t, "]");
}

/* A C string literal: octal escapes, since hexadecimal ones do not end; ? could begin a trigraph.
 */
static void put_literal(Text *t, const char *s)
{
    text_char(t, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < ' ' || c == '"' || c == '\\' || c == '?' || c == 127) {
            text_f(t, "\\%03o", c);
        } else {
            text_char(t, *s);
        }
    }
    text_char(t, '"');
}

/* Elements when all dims are fixed, else -1. */
static int64_t fixed_elements(const ingot_port *p)
{
    int64_t n = 1;

    if (p->rank < 0) return -1;
    for (int32_t k = 0; k < p->rank; k++) {
        if (p->dims[k] < 0 || __builtin_mul_overflow(n, p->dims[k], &n)) return -1;
    }
    return n;
}

static void put_constants(Header *h, const char *way, const Field *f)
{
    const ingot_port *p = f->port;
    const char *prefix = arena_printf(h->arena, "%s_%s_%s", h->NAME, way, upper(h->arena, f->name));

    text_f(h->t, "#define %s_NAME ", prefix);
    put_literal(h->t, p->name);
    text_f(h->t, "\n#define %s_DTYPE %s\n#define %s_RANK %d\n", prefix, dtype_constant(p), prefix,
           p->rank);
    for (int32_t k = 0; k < p->rank; k++) {
        if (p->dims[k] >= 0)
            text_f(h->t, "#define %s_DIM%d %lld\n", prefix, k, (long long)p->dims[k]);
    }
    if (fixed_elements(p) >= 0)
        text_f(h->t, "#define %s_ELEMENTS %lld\n", prefix, (long long)fixed_elements(p));
    text_char(h->t, '\n');
}

static void put_inputs(Header *h)
{
    text_f(h->t,
           "/* What a run reads; the memory is the caller's. Open dims are fields. */\n"
           "typedef struct %s_inputs {\n",
           h->name);
    for (int i = 0; i < h->in->n_inputs; i++) {
        const Field *f = &h->inputs[i];
        if (f->port->rank < 0 || is_list(f->port)) {
            text_f(h->t, "    ingot_tensor %s; /* ", f->name);
        } else {
            text_f(h->t, "    const %s *%s; /* ", c_types[dtype_of(f->port)], f->name);
        }
        put_type(h->t, f->port);
        text_f(h->t, "%s */\n", f->port->optional ? ", may be NULL" : "");
        for (int32_t k = 0; k < f->port->rank && !is_list(f->port); k++) {
            if (f->dim[k] && f->first[k]) text_f(h->t, "    int64_t %s;\n", f->dim[k]);
        }
    }
    text_f(h->t, "%s} %s_inputs;\n\n", h->in->n_inputs ? "" : "    int nothing;\n", h->name);
}

static void put_outputs(Header *h)
{
    text_f(h->t,
           "/* What a run writes. Zero everything and the instance lends memory until its next "
           "run; or set a pointer\n"
           " * and its capacity in bytes. dims (and rank, where the model does not fix it) are "
           "filled in. */\n"
           "typedef struct %s_outputs {\n",
           h->name);
    for (int i = 0; i < h->in->n_outputs; i++) {
        const Field *f = &h->outputs[i];
        int32_t rank = f->port->rank;
        if (is_list(f->port)) {
            text_f(h->t, "    ingot_tensor %s; /* ", f->name);
            put_type(h->t, f->port);
            text_put(h->t, ", always lent */\n");
            continue;
        }
        text_f(h->t, "    %s *%s; /* ", c_types[dtype_of(f->port)], f->name);
        put_type(h->t, f->port);
        text_f(h->t, " */\n    int64_t %s_capacity;\n", f->name);
        if (rank < 0) {
            text_f(h->t, "    int64_t %s_dims[INGOT_MAX_RANK];\n    int32_t %s_rank;\n", f->name,
                   f->name);
        } else if (rank > 0) {
            text_f(h->t, "    int64_t %s_dims[%d];\n", f->name, rank);
        }
    }
    text_f(h->t, "%s} %s_outputs;\n\n", h->in->n_outputs ? "" : "    int nothing;\n", h->name);
}

static void put_input_setup(Header *h, int i)
{
    const Field *f = &h->inputs[i];

    if (f->port->rank < 0 || is_list(f->port)) {
        text_f(h->t, "    x[%d] = in->%s;\n", i, f->name);
        return;
    }
    text_f(h->t,
           "    x[%d].data = (void *)(uintptr_t)in->%s;\n    x[%d].dtype = %s;\n    x[%d].rank = "
           "%d;\n",
           i, f->name, i, dtype_constants[dtype_of(f->port)], i, f->port->rank);
    for (int32_t k = 0; k < f->port->rank; k++) {
        if (f->dim[k]) {
            text_f(h->t, "    x[%d].dims[%d] = in->%s;\n", i, k, f->dim[k]);
        } else {
            text_f(h->t, "    x[%d].dims[%d] = %lld;\n", i, k, (long long)f->port->dims[k]);
        }
    }
}

static void put_run(Header *h)
{
    int n_in = h->in->n_inputs, n_out = h->in->n_outputs;

    text_f(h->t,
           "static inline int32_t %s_run(ingot_instance *m, const %s_inputs *in, %s_outputs "
           "*out)\n{\n",
           h->name, h->name, h->name);
    text_f(h->t, "    ingot_tensor x[%d], y[%d];\n    int32_t status, i;\n\n", n_in ? n_in : 1,
           n_out ? n_out : 1);
    text_put(h->t, "    memset(x, 0, sizeof x);\n    memset(y, 0, sizeof y);\n    (void)in;\n    "
                   "(void)out;\n    (void)i;\n");
    for (int i = 0; i < n_in; i++)
        put_input_setup(h, i);
    for (int i = 0; i < n_out; i++) {
        const char *f = h->outputs[i].name;
        if (is_list(h->outputs[i].port)) continue;
        text_f(h->t,
               "    y[%d].data = out->%s_capacity ? out->%s : NULL;\n    y[%d].capacity = "
               "out->%s_capacity;\n",
               i, f, f, i, f);
    }
    text_put(h->t, "    status = ingot_run(m, x, y);\n    if (status) return status;\n");
    for (int i = 0; i < n_out; i++) {
        const Field *f = &h->outputs[i];
        if (is_list(f->port)) {
            text_f(h->t, "    out->%s = y[%d];\n", f->name, i);
            continue;
        }
        text_f(h->t, "    out->%s = (%s *)y[%d].data;\n", f->name, c_types[dtype_of(f->port)], i);
        if (f->port->rank < 0) text_f(h->t, "    out->%s_rank = y[%d].rank;\n", f->name, i);
        if (f->port->rank) {
            text_f(h->t, "    for (i = 0; i < y[%d].rank; i++) out->%s_dims[i] = y[%d].dims[i];\n",
                   i, f->name, i);
        }
    }
    text_put(h->t, "    return status;\n}\n\n");
}

/* " -ljpeg ..." where the model decodes images. */
static const char *library_text(Header *h)
{
    Text t;

    text_init(&t, h->t->arena);
    for (int i = 0; h->in->codecs && link_codec_libraries[i]; i++)
        text_f(&t, " %s", link_codec_libraries[i]);
    return t.s;
}

static void put_head(Header *h)
{
    text_f(h->t,
           "/* %s.h: the model %s, compiled by ingot%s%s. Include this file, link lib%s.a (with "
           "-lm -pthread"
           "%s) or\n"
           " * lib%s.so.\n *\n",
           h->name, h->name, h->in->target ? " for " : "", h->in->target ? h->in->target : "",
           h->name, library_text(h), h->name);
    for (int i = 0; i < h->in->n_inputs; i++) {
        text_f(h->t, " * input   %s  ", h->inputs[i].name);
        put_type(h->t, h->inputs[i].port);
        text_char(h->t, '\n');
    }
    for (int i = 0; i < h->in->n_outputs; i++) {
        text_f(h->t, " * output  %s  ", h->outputs[i].name);
        put_type(h->t, h->outputs[i].port);
        text_char(h->t, '\n');
    }
    text_f(h->t,
           " *\n *     ingot_instance *m;\n *     %s_inputs in;     // set its pointers and dims\n"
           " *     %s_outputs out;\n *     memset(&out, 0, sizeof out); // the instance lends the "
           "memory\n"
           " *     if (%s_create(NULL, &m) == INGOT_OK && %s_run(m, &in, &out) == INGOT_OK) ...\n"
           " *     %s_destroy(m);\n */\n",
           h->name, h->name, h->name, h->name, h->name);
}

void link_header_text(const LinkInput *in, Text *t)
{
    Header h = {
        .in = in, .arena = t->arena, .t = t, .name = in->name, .NAME = upper(t->arena, in->name)};

    name_fields(&h);
    put_head(&h);
    text_put_n(t, (const char *)ingot_embedded_header, (size_t)ingot_embedded_header_size);
    text_f(t,
           "\n/* ---- the model %s ---- */\n\n#ifndef INGOT_MODEL_%s_H\n#define "
           "INGOT_MODEL_%s_H\n\n#include <string.h>\n\n"
           "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\nextern const ingot_model %s_model;\n\n",
           h.name, h.NAME, h.NAME, h.name);
    text_f(t, "#define %s_ABI_VERSION %d\n#define %s_INPUTS %d\n#define %s_OUTPUTS %d\n", h.NAME,
           INGOT_ABI_VERSION, h.NAME, in->n_inputs, h.NAME, in->n_outputs);
    text_f(t,
           "/* Bytes of intermediates of one instance; -1: known at run time only. */\n#define "
           "%s_ARENA_SIZE INT64_C(%lld)\n\n",
           h.NAME, (long long)in->arena_size);
    for (int i = 0; i < in->n_inputs; i++)
        put_constants(&h, "IN", &h.inputs[i]);
    for (int i = 0; i < in->n_outputs; i++)
        put_constants(&h, "OUT", &h.outputs[i]);
    put_inputs(&h);
    put_outputs(&h);
    text_f(t,
           "/* All cores and the C library's memory when options is NULL. INGOT_OK or an "
           "INGOT_ERR_. */\n"
           "static inline int32_t %s_create(const ingot_options *options, ingot_instance **m)\n{\n"
           "    return ingot_create(&%s_model, options, m);\n}\n\n",
           h.name, h.name);
    text_put(t, "/* ingot_error(m) says what went wrong. */\n");
    put_run(&h);
    text_f(t,
           "static inline void %s_destroy(ingot_instance *m)\n{\n    ingot_destroy(m);\n}\n\n"
           "#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
           h.name);
}

Status link_header(const LinkInput *in, const char *path, Diag *d)
{
    Arena *a = arena_new(0);
    Text t;
    Status status;

    if (!a) return diag(d, ERR_LIMIT, (Where){0}, "no memory for a header");
    text_init(&t, a);
    link_header_text(in, &t);
    status = arena_ok(a) ? file_write_all(path, 0644, t.s, t.n, d)
                         : diag(d, ERR_LIMIT, (Where){0}, "no memory for a header");
    arena_free(a);
    return status;
}
