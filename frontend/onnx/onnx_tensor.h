/* onnx_tensor.h: constants of an ONNX model, wherever they stand, as tensors. */
#ifndef INGOT_FRONTEND_ONNX_TENSOR_H
#define INGOT_FRONTEND_ONNX_TENSOR_H

#include "frontend/frontend.h"
#include "frontend/onnx/onnx_wire.h"
#include "ir/type.h"

/* What reading tensors of one model needs. */
typedef struct TensorSource {
    const OnnxWire *wire;
    Arena *arena; /* of the module: tensors live there */
    Diag *diag;
    const char *file; /* of the model, for messages */
    const char
        *folder;  /* external data lies below it; NULL: there is none (bytes without a path) */
    bool trusted; /* links in the folder may be followed */
    size_t dense_limit; /* bytes that sparse tensors may still grow to */
    Map done;           /* by address of the TensorProto: read once */
    Map files;          /* by location: FileBytes of external data */
    Loaded *loaded;     /* keeps those files */
    size_t own_bytes;   /* that tensors take in the arena */
} TensorSource;

void tensor_source_init(TensorSource *s, const OnnxWire *wire, Arena *arena, const char *file,
                        const FrontendOptions *o, Loaded *loaded, Diag *d);
/* `where` names the node or initialiser in messages. The tensor may point into the file's bytes. */
Status tensor_read(TensorSource *s, const Onnx__TensorProto *p, Where where,
                   const Tensor **out) MUST_USE;
/* Sparse, made dense. */
Status tensor_read_sparse(TensorSource *s, const Onnx__SparseTensorProto *p, Where where,
                          const Tensor **out) MUST_USE;

#endif
