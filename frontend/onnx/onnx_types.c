/* onnx_types.c: TypeProto to Type. A dim that is named is the symbol of that name, wherever it
 * stands; one without name or value is a symbol of its own. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

/* The most that an open dim of an input may be. Below what exporters write for "to the end" (10^9,
 * 2^31 - 1), so that a slice to there needs no minimum. */
#define OPEN_DIM_MOST 999999999

/* A dim without a name, of an input of the model: INPUT.AXIS, so that it can be spoken of. */
static Dim unnamed_dim(Importer *im, const char *input, size_t axis)
{
    DimTable *t = &im->module->dims;

    if (im->depth == 1 && input) {
        const char *name = arena_printf(im->arena, "%s.%zu", input, axis);
        if (!map_has(&t->symbols, name)) return dim_symbol(t, name, 0, OPEN_DIM_MOST);
    }
    return dim_fresh(t, "d", 0, OPEN_DIM_MOST);
}

/* "?" is how an exporter says that it knows no name: two of them need not be equal. */
static bool is_name(const char *s)
{
    return s[0] && strcmp(s, "?") != 0;
}

static Dim import_dim(Importer *im, const Onnx__TensorShapeProto__Dimension *p, Where where,
                      size_t axis)
{
    DimTable *t = &im->module->dims;

    if (p->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
        is_name(p->dim_param))
        return dim_symbol(t, import_name(im, p->dim_param), 0, OPEN_DIM_MOST);
    if (p->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && p->dim_value >= 0)
        return dim_const(t, p->dim_value);
    return unnamed_dim(im, where.node ? NULL : where.attr, axis); /* some exporters write -1 */
}

static Status import_tensor_type(Importer *im, int elem, const Onnx__TensorShapeProto *shape,
                                 Where where, Type *out)
{
    DType t = dtype_from_onnx(elem);

    if (t == DT_NONE)
        return diag(im->diag, elem > 28 ? ERR_UNSUPPORTED : ERR_MODEL, where,
                    "a tensor of element type %d, which is not known", elem);
    *out = type_tensor(t, RANK_UNKNOWN, NULL);
    if (!shape) return OK;
    if (shape->n_dim > MAX_RANK)
        return diag(im->diag, ERR_UNSUPPORTED, where,
                    "a tensor of rank %zu, at most %d is supported", shape->n_dim, MAX_RANK);
    Dim *dim = ARENA_ARRAY(im->arena, Dim, shape->n_dim);
    for (size_t i = 0; i < shape->n_dim; i++)
        dim[i] = import_dim(im, shape->dim[i], where, i);
    out->rank = (int)shape->n_dim;
    out->dim = dim;
    return OK;
}

/* The kind of a type that wraps another one, and that other one; NULL for all else. */
static const Onnx__TypeProto *unwrap(const Onnx__TypeProto *p, Type *out)
{
    switch (p->value_case) {
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        out->kind = TYPE_SEQUENCE;
        return p->sequence_type->elem_type;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        out->kind = TYPE_OPTIONAL;
        return p->optional_type->elem_type;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        out->kind = TYPE_MAP;
        out->dtype = dtype_from_onnx(p->map_type->key_type);
        return p->map_type->value_type;
    default:
        return NULL;
    }
}

Status import_type(Importer *im, const Onnx__TypeProto *p, Where where, Type *out)
{
    Type *at = out;

    *out = (Type){0};
    for (; p; at = (Type *)(uintptr_t)at->elem) {
        if (p->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
            return import_tensor_type(im, p->tensor_type->elem_type, p->tensor_type->shape, where,
                                      at);
        if (p->value_case == ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE)
            return diag(im->diag, ERR_UNSUPPORTED, where, "a sparse tensor as input or output");
        if (p->value_case == ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE)
            return diag(im->diag, ERR_UNSUPPORTED, where, "a value of an opaque type");
        p = unwrap(p, at);
        if (p) at->elem = ARENA_NEW(im->arena, Type);
    }
    return diag(im->diag, ERR_MODEL, where, "a value without a type");
}
