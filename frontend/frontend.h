/* frontend.h: bytes in, graph IR out. The reader is chosen by what the bytes are. */
#ifndef INGOT_FRONTEND_FRONTEND_H
#define INGOT_FRONTEND_FRONTEND_H

#include "ir/graph.h"
#include "support/io.h"

/* An operator that the user brings along: a call of the function ingot_call_user_NAME. */
typedef struct FrontendOp {
    const char *domain, *name;
} FrontendOp;

/* Limits on untrusted input; 0 takes the default named in the comment. */
typedef struct FrontendOptions {
    const char *external_data; /* a trusted folder for external tensors; NULL: the model's own,
                                  links refused */
    size_t memory_limit;       /* decoded size, payloads not counted: 64 MiB + 1 x file size */
    int max_depth;             /* nesting of graphs, functions and types: 64 */
    int64_t max_nodes;         /* after inlining: 4 million */
    const FrontendOp *op;
    int n_op;
} FrontendOptions;

/* An older form of an operator that is read: versions below `before` (0: any) mean something else,
 * and are brought to the newest meaning of `now`. */
typedef struct FrontendForm {
    const char *domain, *name, *now; /* domain "" is ai.onnx; now NULL: several nodes */
    int before;
} FrontendForm;

/* Number k of them; false behind the last. */
bool frontend_form(int k, FrontendForm *out);
/* Number k of the operators of com.microsoft that are not compiled, and why; false behind the last.
 */
bool frontend_absent(int k, const char **op, const char **why);
/* Opsets of ai.onnx up to this one are read. */
int frontend_newest(void);

/* Elements of a tensor that are used where they lie in a file. */
typedef struct FrontendSpan {
    const uint8_t *at;
    size_t size;
} FrontendSpan;

/* A loaded model: the module points into the file's bytes, so both live together. */
typedef struct Loaded {
    Module *module;
    FileBytes bytes;
    FileBytes *external; /* external data files kept open */
    int n_external;
    FrontendSpan *span;
    int64_t n_span, cap_span;
} Loaded;

/* Import `path` into a module in `arena`. All that is unsupported is reported before
 * ERR_UNSUPPORTED is returned. The graph is in the newest opset's meaning, functions inlined, every
 * node inferred (types, contents), attributes complete. */
Status frontend_load(const char *path, const FrontendOptions *o, Arena *arena, Loaded *out,
                     Diag *d) MUST_USE;
/* The same from memory; `path` is used for messages and to find external data. `bytes` must outlive
 * the module. */
Status frontend_load_bytes(const void *bytes, size_t size, const char *path,
                           const FrontendOptions *o, Arena *arena, Loaded *out, Diag *d) MUST_USE;
/* Gives back memory of constants that the graph no longer reads. For when passes are done; analyses
 * that are still to ask for the original tensors must not follow. */
void frontend_release(Loaded *l);
void frontend_close(Loaded *l);

#endif
