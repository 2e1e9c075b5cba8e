/* onnx.h: the reader of ONNX models. */
#ifndef INGOT_FRONTEND_ONNX_ONNX_H
#define INGOT_FRONTEND_ONNX_ONNX_H

#include "frontend/frontend.h"

/* `o` has all defaults filled in. */
Status onnx_load(const void *bytes, size_t size, const char *path, const FrontendOptions *o,
                 Arena *arena, Loaded *out, Diag *d) MUST_USE;

#endif
