/* tensors.h: tensors as commands meet them: test sets in the ONNX layout, comparing, and the two
 * forms of a tensor (of the runtime, of the graph) in the same memory. */
#ifndef INGOT_CLI_TENSORS_H
#define INGOT_CLI_TENSORS_H

#include "ingot/ingot_tensor_io.h"
#include "ir/graph.h"

/* How outputs are held against what was recorded (compare.txt of the corpus). Floats and complex
 * numbers within the tolerance; all else exactly. */
typedef struct Comparison {
    bool cosine; /* similarity of each output of floats, and the same place of the largest */
    bool whole;  /* with cosine: of integers too, wherever the largest stands */
    double similarity;
    double rtol, atol; /* |got - want| <= atol + rtol * |want| */
    double rtol_bf16;  /* for bf16, where it is more than rtol */
    bool scaled;       /* atol is at least 1e-5 of the largest element: for check */
    bool types_only;   /* dtype and dims alone: of random numbers */
    bool bits;         /* the very same bits; NaN equals NaN */
} Comparison;

/* rtol 1e-3 (bf16: two ulps, 2^-6), atol 1e-7, as the official runner of ONNX's tests has it, or
 * what FOLDER/compare.txt says. */
Status comparison_read(const char *folder, Arena *arena, Comparison *out, Diag *d) MUST_USE;
/* true, or false with one line in `why`: the first element that differs, how many do. */
bool tensors_agree(const Comparison *c, const ingot_tensor *got, const ingot_tensor *want,
                   Arena *arena, const char **why);

/* One test set: inputs by the model's order (data NULL: left out), outputs as recorded. */
typedef struct TestSet {
    const char *folder;
    ingot_tensor *in, *want; /* malloc'ed by the reader */
    int n_in, n_want;
} TestSet;

/* Reads input_K.pb for the arguments of the module, and output_K.pb as many as there are. Free it
 * whatever the status. */
Status test_set_read(const Module *m, const char *folder, Arena *arena, TestSet *out,
                     Diag *d) MUST_USE;
void test_set_free(TestSet *t);
/* Writes input_K.pb and output_K.pb below `folder`, which is made. */
Status test_set_write(const char *folder, const Module *m, const ingot_tensor *in,
                      const ingot_tensor *out, Arena *arena, Diag *d) MUST_USE;
/* Names of the folders test_data_set_* in `folder`, sorted by number. */
Status test_sets(const char *folder, Arena *arena, const char ***names, int *count,
                 Diag *d) MUST_USE;

/* The same memory for elements, lists anew. NULL when the runtime's tensor is none that the graph
 * knows. */
Tensor *tensor_of_runtime(Arena *a, const ingot_tensor *t);
ingot_tensor tensor_to_runtime(Arena *a, const Tensor *t);
/* The evaluator on tensors of the runtime; out[n_result] in `arena`. */
Status evaluate(const Module *m, const ingot_tensor *in, ingot_tensor *out, Arena *arena,
                Diag *d) MUST_USE;

#endif
