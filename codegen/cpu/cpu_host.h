/* cpu_host.h: the inside of the host program's emitter.
 *
 * Glossary
 *   slot     an alloca that holds a symbol's value or a value's pointer; branches and loops store
 * to it, so that joining needs no care. The first block holds all of them place    where the plan
 * puts a value; making it gives the pointer bind     give a symbol its value, once in straight-line
 * code, every turn in a loop */
#ifndef INGOT_CODEGEN_CPU_HOST_H
#define INGOT_CODEGEN_CPU_HOST_H

#include "codegen/cpu/cpu_entry.h"
#include "codegen/cpu/cpu_llvm.h"
#include "ingot/ingot_rt.h"

enum { BACKWARD = offsetof(ingot_kernel_args, backward) };

/* A loop being emitted. */
typedef struct HostLoop {
    const Node *node;
    LLVMValueRef parity; /* slot, i32: which of two segments the next carried values go to */
    const struct HostLoop *up;
} HostLoop;

typedef struct Host {
    CpuModule *m;
    Module *graph;
    const EntryInput *in;
    const Plan *plan;
    Arena *arena;
    Diag *diag;
    Status failed; /* the first; emission goes on with harmless values */

    LLVMValueRef run, call;       /* the function, its ingot_call */
    LLVMBuilderRef slots;         /* at the end of the first block */
    LLVMTypeRef tensor, args;     /* ingot_tensor, ingot_kernel_args */
    LLVMValueRef inputs, outputs; /* call->in, call->out */
    LLVMValueRef base;            /* of segment 0; NULL when it is empty */
    LLVMValueRef weights;
    LLVMValueRef kernels;  /* functions of the level that runs; NULL: called by name */
    LLVMValueRef *pointer; /* by Value.id: slot */
    LLVMValueRef *box;     /* by Value.id: the ingot_tensor of a boxed value */
    LLVMValueRef *output;  /* [main->n_result] memory asked for at entry, or NULL */
    LLVMValueRef overflow; /* i1 or NULL: arithmetic since the last host_check went wrong */
    Map symbols;           /* Dim -> slot (LLVMValueRef) */
    const HostLoop *loop;

    LLVMValueRef kernel_args, kernel_ptr, kernel_dim; /* shared by all launches */
    int max_ptr, max_dim, max_in, max_out;
    bool has_bands;
    LLVMValueRef bands, band_args; /* ingot_bands and what it is launched with; shared, too */
    LLVMValueRef band_ptr[INGOT_BAND_KERNELS], band_dim[INGOT_BAND_KERNELS];
    int band_dims;   /* of any of its kernels, at most */
    bool alternates; /* some kernel does */
    LLVMValueRef call_args, call_in, call_out;
    LLVMTypeRef call_args_type;
    LLVMValueRef copy_kernel;

    Map strings; /* text -> global */
    Map origins; /* Origin -> index + 1 */
    const char **origin;
    int n_origin, cap_origin;
} Host;

/* ---- cpu_host.c: blocks, checks, constants ---- */
LLVMValueRef host_slot(Host *h, LLVMTypeRef type, int64_t count);
LLVMBasicBlockRef host_block(Host *h);
void host_enter(Host *h, LLVMBasicBlockRef block); /* go on there */
LLVMValueRef host_string(Host *h, const char *s);
LLVMValueRef host_array(Host *h, LLVMTypeRef type, int n, LLVMValueRef *v); /* constant */
int host_origin(Host *h, const Node *n);                                    /* -1: none */
/* A function of the runtime, or memory of its functions; i32 or ptr result. */
LLVMValueRef host_runtime(Host *h, const char *name, LLVMTypeRef result, int n,
                          LLVMValueRef *argument);
/* End the run with `code` where bad (i1): "text" takes a and b (i64). */
void host_fail_if(Host *h, LLVMValueRef bad, int code, int origin, const char *text, LLVMValueRef a,
                  LLVMValueRef b);
void host_leave_if(Host *h, LLVMValueRef bad, LLVMValueRef status); /* the error is said already */
LLVMValueRef host_gep(Host *h, LLVMValueRef p, LLVMValueRef bytes);
LLVMValueRef host_gep_c(Host *h, LLVMValueRef p, int64_t bytes);
LLVMValueRef host_load(Host *h, LLVMTypeRef type, LLVMValueRef p);
void host_store(Host *h, LLVMValueRef v, LLVMValueRef p);
void host_bug(Host *h, const Node *n, const char *text);
void host_unsupported(Host *h, const Node *n, const char *text);

/* ---- cpu_host_dim.c: dims as i64 ---- */
LLVMValueRef host_dim(Host *h, Dim d);
LLVMValueRef host_mul(Host *h, LLVMValueRef a, LLVMValueRef b); /* notes overflow */
LLVMValueRef host_add(Host *h, LLVMValueRef a, LLVMValueRef b);
void host_check(Host *h, int origin); /* leave where arithmetic went wrong */
bool host_is_bound(const Host *h, Dim symbol);
/* Give a symbol its value; checked against its bounds, of which known_lo, known_hi are proven. */
void host_bind(Host *h, Dim symbol, LLVMValueRef value, int code, int origin, const char *text);
/* End the run where a and b differ; nothing when they are one Dim. */
void host_require(Host *h, Dim expected, LLVMValueRef found, int code, int origin,
                  const char *text);
/* A value's dims are not negative. */
void host_require_dims(Host *h, const Value *v, int origin);
void host_bind_inputs(Host *h);

/* ---- cpu_host_memory.c ---- */
LLVMValueRef host_bytes(Host *h, const Value *v);
LLVMValueRef host_elements(Host *h, int n, const Dim *dim);
LLVMValueRef host_pointer(Host *h, const Value *v);
void host_point(Host *h, const Value *v, LLVMValueRef p);
LLVMValueRef host_make(Host *h, const Value *v); /* at its place; the pointer is kept */
void host_segment_zero(Host *h);
void host_output_memory(Host *h);
LLVMValueRef host_segment(Host *h, LLVMValueRef number, LLVMValueRef bytes);
void host_copy(Host *h, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes);
void host_copy_runs(Host *h, LLVMValueRef to, LLVMValueRef to_step, LLVMValueRef from,
                    LLVMValueRef from_step, LLVMValueRef run, LLVMValueRef count);
/* Store dtype, rank and dims (where bound) into an ingot_tensor. */
void host_describe(Host *h, LLVMValueRef tensor, const Value *v, bool all);

/* ---- cpu_host_box.c: boxed values (type_is_boxed) ---- */
LLVMValueRef host_box(Host *h, const Value *v); /* the ingot_tensor that tells what v is */
/* Store what v is, boxed or not, into an ingot_tensor. */
void host_put_box(Host *h, LLVMValueRef tensor, const Value *v);
/* v, boxed, is what `tensor` says. */
void host_set_box(Host *h, const Value *v, LLVMValueRef tensor);
LLVMValueRef host_new_box(Host *h);
/* The tensor of this box outlives what the program makes next. */
void host_keep_box(Host *h, LLVMValueRef tensor);
/* Output k is v. */
void host_output_box(Host *h, int k, const Value *v);

/* ---- cpu_host_node.c, cpu_host_flow.c ---- */
void host_node(Host *h, const Node *n);
void host_region(Host *h, const Region *r);
void host_if(Host *h, const Node *n);
void host_loop(Host *h, const Node *n);

/* ---- cpu_model.c ---- */
void host_model(Host *h);
/* A kernel's function that some object defines. */
LLVMValueRef host_kernel(Host *h, const char *name);

static inline LLVMValueRef host_i64(const Host *h, int64_t v)
{
    return cpu_i64(h->m, v);
}

enum { TENSOR_DATA = 0, TENSOR_DTYPE = 16, TENSOR_RANK = 20, TENSOR_DIMS = 24, TENSOR_SIZE = 120 };
_Static_assert(offsetof(ingot_tensor, dtype) == TENSOR_DTYPE, "layout");
_Static_assert(offsetof(ingot_tensor, rank) == TENSOR_RANK, "layout");
_Static_assert(offsetof(ingot_tensor, dims) == TENSOR_DIMS, "layout");
_Static_assert(sizeof(ingot_tensor) == TENSOR_SIZE, "layout");

#endif
