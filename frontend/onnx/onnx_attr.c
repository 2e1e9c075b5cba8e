/* onnx_attr.c: AttributeProto to Attr. An attribute is read once, however often a function that has
 * it is called. References inside functions are followed to the call that gives the value, else to
 * the default that the function states. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

/* The published codes of AttributeProto.type. */
enum {
    P_NONE,
    P_FLOAT,
    P_INT,
    P_STRING,
    P_TENSOR,
    P_GRAPH,
    P_FLOATS,
    P_INTS,
    P_STRINGS,
    P_TENSORS,
    P_GRAPHS,
    P_SPARSE,
    P_SPARSES,
    P_TYPE,
    P_TYPES
};
enum { FIELD_FLOATS = 7, FIELD_INTS = 8, FIELD_STRINGS = 9 };

static const Onnx__AttributeProto *function_default(const Onnx__FunctionProto *f, const char *name)
{
    for (size_t i = 0; i < f->n_attribute_proto; i++) {
        const Onnx__AttributeProto *a = f->attribute_proto[i];
        if (a->name && strcmp(a->name, name) == 0) return a;
    }
    return NULL;
}

bool attr_actual(const Code **code, const Scope **scope, const Onnx__AttributeProto **p)
{
    const Code *c = *code;
    const char *want = (*p)->ref_attr_name;

    if (!want || !*want) return true;
    for (int i = 0; i < c->n_actual; i++) {
        if (strcmp(c->actual[i].name, want) != 0) continue;
        *code = c->actual[i].code;
        *scope = c->actual[i].scope;
        *p = c->actual[i].proto;
        return true;
    }
    *p = c->function ? function_default(c->function, want) : NULL;
    return *p && !(*p)->ref_attr_name;
}

static WireCursor cursor(Importer *im, const Onnx__AttributeProto *p, uint32_t field, WireKind kind)
{
    return wire_cursor(im->tensors.wire, p->n_part, p->part, field, kind);
}

/* IR version 1 had no type field: the one that is filled in tells. */
static int guess_type(Importer *im, const Onnx__AttributeProto *p)
{
    if (p->type) return p->type;
    if (p->has_f) return P_FLOAT;
    if (p->has_i) return P_INT;
    if (p->has_s) return P_STRING;
    if (p->t) return P_TENSOR;
    if (p->g) return P_GRAPH;
    if (wire_count(cursor(im, p, FIELD_FLOATS, WIRE_FIXED32))) return P_FLOATS;
    if (wire_count(cursor(im, p, FIELD_STRINGS, WIRE_BYTES))) return P_STRINGS;
    if (p->n_tensors) return P_TENSORS;
    if (p->n_graphs) return P_GRAPHS;
    if (p->sparse_tensor) return P_SPARSE;
    if (p->tp) return P_TYPE;
    return P_INTS;
}

static Status no_memory(Importer *im, Where where)
{
    return diag(im->diag, ERR_LIMIT, where, "no memory for the attribute");
}

static Status list_room(Importer *im, WireCursor c, size_t size, Where where, Attr *a, void **out)
{
    size_t n = wire_count(c);

    if (n > INT32_MAX) return diag(im->diag, ERR_LIMIT, where, "%zu elements in a list", n);
    a->n = (int)n;
    *out = arena_try(im->arena, n, size);
    return *out ? OK : no_memory(im, where);
}

static Status read_floats(Importer *im, const Onnx__AttributeProto *p, Where where, Attr *a)
{
    WireCursor c = cursor(im, p, FIELD_FLOATS, WIRE_FIXED32);
    void *room = NULL;
    uint64_t bits;

    TRY(list_room(im, c, sizeof(double), where, a, &room));
    double *to = room;
    a->kind = ATTR_FLOATS;
    a->floats = to;
    while (wire_next(&c, &bits)) {
        uint32_t low = (uint32_t)bits;
        float f;
        memcpy(&f, &low, sizeof f);
        *to++ = f;
    }
    return OK;
}

static Status read_ints(Importer *im, const Onnx__AttributeProto *p, Where where, Attr *a)
{
    WireCursor c = cursor(im, p, FIELD_INTS, WIRE_VARINT);
    void *room = NULL;
    uint64_t bits;

    TRY(list_room(im, c, sizeof(int64_t), where, a, &room));
    int64_t *to = room;
    a->kind = ATTR_INTS;
    a->ints = to;
    while (wire_next(&c, &bits))
        *to++ = (int64_t)bits;
    return OK;
}

/* NUL-terminated behind n, in the module's arena. */
static StringRef copy_string(Importer *im, const uint8_t *s, size_t n)
{
    return (StringRef){arena_strndup(im->arena, (const char *)s, n), (int64_t)n};
}

static Status read_strings(Importer *im, const Onnx__AttributeProto *p, Where where, Attr *a)
{
    WireCursor c = cursor(im, p, FIELD_STRINGS, WIRE_BYTES);
    void *room = NULL;
    WireSpan v;

    TRY(list_room(im, c, sizeof(StringRef), where, a, &room));
    StringRef *to = room;
    a->kind = ATTR_STRINGS;
    a->strings = to;
    for (; wire_next_bytes(&c, &v); to++) {
        *to = copy_string(im, v.p, v.n);
        if (!to->s) return no_memory(im, where);
    }
    return OK;
}

static Status read_tensors(Importer *im, const Onnx__AttributeProto *p, Where where, Attr *a)
{
    bool sparse = p->type == P_SPARSES;
    size_t n = sparse ? p->n_sparse_tensors : p->n_tensors;
    const Tensor **to = arena_try(im->arena, n, sizeof *to);

    if (!to) return no_memory(im, where);
    a->kind = ATTR_TENSORS;
    a->n = (int)n;
    a->tensors = to;
    for (size_t i = 0; i < n; i++) {
        if (sparse)
            TRY(tensor_read_sparse(&im->tensors, p->sparse_tensors[i], where, &to[i]));
        else
            TRY(tensor_read(&im->tensors, p->tensors[i], where, &to[i]));
    }
    return OK;
}

/* Types travel as their text in IR notation. */
static Status type_text(Importer *im, const Onnx__TypeProto *p, Where where, StringRef *out)
{
    Text text;
    Type type;

    TRY(import_type(im, p, where, &type));
    text_init(&text, im->arena);
    type_print(&text, &type);
    *out = (StringRef){text.s, (int64_t)text.n};
    return OK;
}

static Status read_types(Importer *im, const Onnx__AttributeProto *p, Where where, Attr *a)
{
    StringRef *to = arena_try(im->arena, p->n_type_protos, sizeof *to);

    if (!to) return no_memory(im, where);
    a->kind = ATTR_STRINGS;
    a->n = (int)p->n_type_protos;
    a->strings = to;
    for (size_t i = 0; i < p->n_type_protos; i++)
        TRY(type_text(im, p->type_protos[i], where, &to[i]));
    return OK;
}

static Status empty_attr(Importer *im, Where where)
{
    return diag(im->diag, ERR_MODEL, where, "the attribute has no value of the type it states");
}

static Status read_attr(Importer *im, const Onnx__AttributeProto *p, Where where, Attr *a)
{
    switch (guess_type(im, p)) {
    case P_FLOAT:
        a->kind = ATTR_FLOAT;
        a->f = p->f;
        return OK;
    case P_INT:
        a->kind = ATTR_INT;
        a->i = p->i;
        return OK;
    case P_STRING:
        a->kind = ATTR_STRING;
        a->s = copy_string(im, p->s.data, p->s.len);
        return a->s.s ? OK : no_memory(im, where);
    case P_TENSOR:
        if (!p->t) return empty_attr(im, where);
        a->kind = ATTR_TENSOR;
        return tensor_read(&im->tensors, p->t, where, &a->tensor);
    case P_SPARSE:
        if (!p->sparse_tensor) return empty_attr(im, where);
        a->kind = ATTR_TENSOR;
        return tensor_read_sparse(&im->tensors, p->sparse_tensor, where, &a->tensor);
    case P_FLOATS:
        return read_floats(im, p, where, a);
    case P_INTS:
        return read_ints(im, p, where, a);
    case P_STRINGS:
        return read_strings(im, p, where, a);
    case P_TENSORS:
    case P_SPARSES:
        return read_tensors(im, p, where, a);
    case P_TYPE:
        if (!p->tp) return empty_attr(im, where);
        a->kind = ATTR_STRING;
        return type_text(im, p->tp, where, &a->s);
    case P_TYPES:
        return read_types(im, p, where, a);
    case P_GRAPHS:
        return diag(im->diag, ERR_UNSUPPORTED, where, "an attribute that is a list of graphs");
    default:
        return diag(im->diag, ERR_MODEL, where, "attribute type %d is not known", p->type);
    }
}

Status import_attr(Importer *im, const Code *code, const Scope *scope,
                   const Onnx__AttributeProto *p, Where where, const Attr **out, GraphArg *graph)
{
    const char *name = p->name;

    *out = NULL;
    *graph = (GraphArg){0};
    if (!name || !*name) return diag(im->diag, ERR_MODEL, where, "an attribute without a name");
    where.attr = name;
    if (!attr_actual(&code, &scope, &p)) return OK;
    if (guess_type(im, p) == P_GRAPH) {
        if (!p->g) return empty_attr(im, where);
        Attr *a = ARENA_NEW(im->arena, Attr);
        *a = (Attr){.name = import_name(im, name), .kind = ATTR_REGION};
        *graph = (GraphArg){p->g, code, scope};
        *out = a;
        return OK;
    }
    const Attr *known = map_get(&im->attributes, p);
    Attr *a = known ? NULL : ARENA_NEW(im->arena, Attr);
    if (a) {
        TRY(read_attr(im, p, where, a));
        a->name = import_name(im, name);
        map_set(&im->attributes, p, a);
        known = a;
    }
    if (strcmp(known->name, name) != 0) { /* a reference under another name */
        a = ARENA_NEW(im->arena, Attr);
        *a = *known;
        a->name = import_name(im, name);
        known = a;
    }
    *out = known;
    return OK;
}
