/* ingot_op.h: operators of your own. A model that uses an operator which ONNX does not have needs a
 * C function for it:
 *
 *     ingot compile model.onnx --op my.domain:Name=name.o -o model
 *
 * name.o is a relocatable object of position-independent code, made from a file like
 *
 *     #include <ingot/ingot_op.h>
 *     static int32_t shape(const ingot_op *op) { ... op->out[0].dims[0] = ...; return INGOT_OK; }
 *     static int32_t compute(const ingot_op *op) { ... return INGOT_OK; }
 *     INGOT_OPERATOR(Name, shape, compute)
 *
 * It becomes part of the artifact. docs/USER_OPERATORS.md has a whole example.
 *
 * Element type and rank of a result are those that the model declares for the value (value_info),
 * or else those of the operator's first input. Dims that the model declares as numbers, or as
 * symbols of its inputs, are what the shape function has to give; all others are its to say. Both
 * functions may be called by several threads at once, for different instances; equal nodes on equal
 * inputs may be computed once. */
#ifndef INGOT_OP_H
#define INGOT_OP_H

#include "ingot/ingot_rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One call. Tensors are dense, the last axis contiguous. Inputs are only read; an input that the
 * node leaves out has data NULL. */
typedef struct ingot_op {
    const ingot_tensor *in; /* [n_in] */
    ingot_tensor *out; /* [n_out]; dtype and rank are set. shape: dims are to be stored. compute:
                          data is memory for the elements */
    int32_t n_in, n_out;
    const ingot_call_args *args; /* the runtime's */
} ingot_op;

/* INGOT_OK; what ingot_op_fail returns; or another value, which ends the run with a message that
 * has it. */
typedef int32_t (*ingot_op_fn)(const ingot_op *op);

/* Attributes of the node, by name. `absent` where the node does not have it, or as another kind. */
int64_t ingot_op_int(const ingot_op *op, const char *name, int64_t absent);
double ingot_op_float(const ingot_op *op, const char *name, double absent);
const char *ingot_op_string(const ingot_op *op, const char *name, const char *absent);
/* Lists: [*n] elements, and NULL with *n = 0 where there is none. A single number is a list of one.
 * They live as long as the model. */
const int64_t *ingot_op_ints(const ingot_op *op, const char *name, int64_t *n);
const double *ingot_op_floats(const ingot_op *op, const char *name, int64_t *n);

/* Memory until the end of the run, aligned to 64 bytes. NULL when there is none: return
 * INGOT_ERR_LIMIT then. */
void *ingot_op_scratch(const ingot_op *op, int64_t bytes);
/* The run ends with this message, a constant text; return what it returns. */
int32_t ingot_op_fail(const ingot_op *op, const char *message);

/* Behind INGOT_OPERATOR. */
int32_t ingot_rt_user_operator(const ingot_call_args *args, ingot_op_fn shape, ingot_op_fn compute);

/* The operator's name, without its domain; defines a function of that name behind a prefix. */
#define INGOT_OPERATOR(name, shape, compute)                                                       \
    int32_t ingot_call_user_##name(const ingot_call_args *args);                                   \
    int32_t ingot_call_user_##name(const ingot_call_args *args)                                    \
    {                                                                                              \
        return ingot_rt_user_operator(args, shape, compute);                                       \
    }

#ifdef __cplusplus
}
#endif

#endif
