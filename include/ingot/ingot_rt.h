/* ingot_rt.h: the binary interface between generated code, the ingot runtime, and the application.
 *
 * Standalone: needs only the C library, and is what `ingot compile --emit header` output includes
 * in full. One compiled model is one `ingot_model` (constant, read-only, shared by everybody). An
 * `ingot_instance` is one user of it: its memory, its pool, its last error. Instances of one model
 * are independent and may run at the same time; one instance is used by one thread at a time.
 *
 *     ingot_instance *m;
 *     ingot_create(&digits_model, NULL, &m);
 *     ingot_tensor in[1]  = {{ .data = pixels, .dtype = INGOT_F32, .rank = 4, .dims = {1, 1, 8, 8}
 * }}; ingot_tensor out[1] = {{ 0 }};                       // data NULL: the instance lends the
 * memory until the next run if (ingot_run(m, in, out) != 0) puts(ingot_error(m)); ingot_destroy(m);
 *
 * Tensors are dense, row-major, aligned to the element. Types below one byte occupy one byte an
 * element (value in the low bits).
 *
 * A sequence, an optional and a map are lists: an ingot_tensor of rank 1 whose dtype is
 * INGOT_SEQUENCE, _OPTIONAL or _MAP and whose elements, at `data`, are again ingot_tensor, each
 * with its own dims. An optional has 0 or 1 elements (all zero is one without); a map has two: its
 * keys, a tensor of rank 1, and its values, a sequence with one for each key.
 *
 *     ingot_tensor item[2] = {{ .data = a, .dtype = INGOT_F32, .rank = 1, .dims = {3} }, ...};
 *     ingot_tensor in[1] = {{ .data = item, .dtype = INGOT_SEQUENCE, .rank = 1, .dims = {2} }};
 *
 * As with tensors, all of an input is the caller's and only read. A list that comes out, with all
 * below it, is the instance's until its next run or its end; the caller gives no memory for it. It
 * must be copied before it goes into the next run of the same instance. */
#ifndef INGOT_RT_H
#define INGOT_RT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default) /* what a shared library of a model exports */
#endif

#define INGOT_ABI_VERSION 3
#define INGOT_MAX_RANK    12

/* Results of ingot_create and ingot_run; the values are those of the `ingot` command's exit status.
 */
enum {
    INGOT_OK = 0,
    INGOT_ERR_USAGE = 2, /* a wrong argument: dtype, rank or dims do not fit the model */
    INGOT_ERR_IO = 5,
    INGOT_ERR_LIMIT = 6, /* memory */
    INGOT_ERR_TARGET =
        7, /* this processor lacks what the code was compiled for, or versions differ */
    INGOT_ERR_DATA = 8, /* a value in an input is not allowed: index out of range, negative size */
    INGOT_ERR_BUG = 70
};

/* Element types; the numbers are those of ONNX TensorProto.DataType. */
enum {
    INGOT_F32 = 1,
    INGOT_U8 = 2,
    INGOT_I8 = 3,
    INGOT_U16 = 4,
    INGOT_I16 = 5,
    INGOT_I32 = 6,
    INGOT_I64 = 7,
    INGOT_STRING = 8,
    INGOT_BOOL = 9,
    INGOT_F16 = 10,
    INGOT_F64 = 11,
    INGOT_U32 = 12,
    INGOT_U64 = 13,
    INGOT_C64 = 14,
    INGOT_C128 = 15,
    INGOT_BF16 = 16,
    INGOT_F8E4M3FN = 17,
    INGOT_F8E4M3FNUZ = 18,
    INGOT_F8E5M2 = 19,
    INGOT_F8E5M2FNUZ = 20,
    INGOT_U4 = 21,
    INGOT_I4 = 22,
    INGOT_F4E2M1 = 23,
    INGOT_F8E8M0 = 24,
    INGOT_U2 = 25,
    INGOT_I2 = 26,
    INGOT_F6E2M3 = 27,
    INGOT_F6E3M2 = 28,
    INGOT_SEQUENCE = 101, /* no dtypes of ONNX: what a list is, see below */
    INGOT_OPTIONAL = 102,
    INGOT_MAP = 103
};

/* One tensor, or one list. For an input, everything is the caller's. For an output, `data` NULL
 * asks the instance to lend memory (valid until the next run); otherwise `capacity` bytes at `data`
 * are written and INGOT_ERR_USAGE says they are too few. */
typedef struct ingot_tensor {
    void *data;
    int64_t capacity; /* bytes at data; outputs only */
    int32_t dtype;    /* INGOT_F32 ... */
    int32_t rank;
    int64_t dims[INGOT_MAX_RANK];
} ingot_tensor;

/* An element of a string tensor: bytes without a terminator. Those of an output may lie in the
 * model, in the instance (valid until the next run), or in an input. */
typedef struct ingot_string {
    const char *s;
    int64_t n;
} ingot_string;

/* What the model says of one input or output. */
typedef struct ingot_port {
    const char *name;
    int32_t dtype;
    int32_t rank;               /* -1: any */
    const int64_t *dims;        /* [rank]; -1 where only known at run time */
    const char *const *symbols; /* [rank]; name of an open dim ("batch"), else NULL */
    int32_t optional;           /* input may be absent (data NULL) */
    const struct ingot_port
        *elem; /* of a list: what its elements are; of a map: [2] keys, values */
} ingot_port;

typedef struct ingot_call ingot_call;
typedef struct ingot_kernel_args ingot_kernel_args;
/* A kernel works on tasks [begin, end) of its outermost, parallel iteration space. `scratch` is
 * this worker's own. */
typedef void (*ingot_kernel)(const ingot_kernel_args *args, int64_t begin, int64_t end,
                             void *scratch);

/* A level of processors that the kernels of a model are made for. */
typedef struct ingot_isa {
    const char *name;            /* "x86-64-v4" */
    uint64_t cpu_features;       /* what the processor must have: INGOT_CPU_... */
    const ingot_kernel *kernels; /* NULL when it is the only level: they are called directly */
} ingot_isa;

/* A compiled model. Made by the compiler, never written to. */
typedef struct ingot_model {
    int32_t abi_version; /* INGOT_ABI_VERSION */
    int32_t n_inputs, n_outputs;
    const ingot_port *inputs, *outputs;
    const char *name;
    const char *target;   /* "x86-64-v4"; of several levels "x86-64-v4,x86-64-v3" */
    const ingot_isa *isa; /* [n_isa] the best first: the first that the processor has is run */
    int64_t arena_size;   /* bytes of intermediates when all shapes are static, else -1 */
    int64_t scratch_size; /* bytes of workspace per thread reserved at create */
    int32_t n_isa;
    int32_t n_segments;
    int32_t n_origins;
    const char *const *origins; /* names of model nodes, for messages */
    int64_t weights_size;
    int32_t (*run)(ingot_call *call); /* generated */
    int32_t n_kernels;                /* for --bench */
    const char *const *kernel_names;
    uint32_t flags; /* INGOT_MODEL_... */
} ingot_model;

enum { INGOT_MODEL_FLUSH_SUBNORMALS = 1 };
enum {
    INGOT_CPU_SSE42 = 1,
    INGOT_CPU_AVX2 = 2 /* with FMA, F16C, BMI2 */,
    INGOT_CPU_AVX512 = 4 /* F BW CD DQ VL */,
    INGOT_CPU_VNNI = 8 /* of AVX-512 */,
    INGOT_CPU_AMX = 16 /* tiles, int8, bf16 */,
    INGOT_CPU_AVX_VNNI = 32,
    INGOT_CPU_BF16 = 64 /* of AVX-512 */
};

typedef struct ingot_instance ingot_instance;
typedef struct ingot_pool ingot_pool;

/* How an instance gets memory and threads. Zero everywhere gives the defaults. */
typedef struct ingot_options {
    int32_t threads;      /* 0: all cores; 1: never start a thread */
    int64_t memory_limit; /* bytes of intermediates; 0: none */
    ingot_pool *pool;     /* share a pool made by ingot_pool_create; then `threads` is ignored */
    void *(*allocate)(void *context, size_t size, size_t align);
    void (*release)(void *context, void *p, size_t size);
    void *context;
    const char *isa; /* the level to run, "x86-64-v3" or "v3"; NULL: what the environment variable
                        INGOT_ISA says, else the best that this processor has */
} ingot_options;

/* All return INGOT_OK or an INGOT_ERR_. On failure of create *out is NULL. */
int32_t ingot_create(const ingot_model *model, const ingot_options *options, ingot_instance **out);
/* The same; the reason of a failure is put into text[size]. */
int32_t ingot_create_explained(const ingot_model *model, const ingot_options *options,
                               ingot_instance **out, char *text, size_t size);
/* inputs[model->n_inputs], outputs[model->n_outputs]; dims and dtype of the outputs are filled in.
 */
int32_t ingot_run(ingot_instance *m, const ingot_tensor *inputs, ingot_tensor *outputs);
void ingot_destroy(ingot_instance *m); /* NULL is fine */
/* What went wrong last, as text; owned by the instance. "" when nothing did. */
const char *ingot_error(const ingot_instance *m);
int32_t ingot_pool_create(int32_t threads, ingot_pool **out);
void ingot_pool_destroy(ingot_pool *pool); /* after all its instances */
const char *ingot_version(void);
/* Name of the level that the instance runs, one of model->isa; "" when there is none. */
const char *ingot_level(const ingot_instance *m);
/* Nanoseconds spent in each kernel of the model since the last call of this function; [n_kernels].
 * Starts being measured with the first call, which returns zeros. */
void ingot_profile(ingot_instance *m, int64_t *nanoseconds);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

/* ---- Between generated code and the runtime. Applications need nothing below. ---- */

struct ingot_kernel_args {
    ingot_call *call;
    void *const *ptr; /* operands, then results, then packed weights, as the kernel numbers them */
    const int64_t *dim; /* run-time integers, as the kernel numbers them */
    int32_t origin;     /* index into model->origins, for messages */
    int32_t kernel;     /* index into model->kernel_names */
    int32_t backward;   /* not 0: from the last task to the first, where a kernel can; no bit of a
                           result depends on it */
    int32_t packs;      /* INGOT_PACK_..., for kernels of a band alone */
};

/* What a kernel packs of an operand that all bands of a matrix share. */
enum {
    INGOT_PACK_KEEP, /* a place for each block of it: the next call wants them */
    INGOT_PACK_KEPT, /* the last call did: nothing to pack */
    INGOT_PACK_PASS  /* nobody else wants them: one place for all */
};

/* Kernels that do their work a band of rows at a time, one after the other: what one makes and the
 * next reads is never there as a whole. See codegen/bands.h. */
enum { INGOT_BAND_KERNELS = 4, INGOT_BAND_POINTERS = 32 };

typedef struct ingot_band_kernel {
    ingot_kernel kernel;
    void *const *ptr; /* [n_ptr] as of ingot_kernel_args; NULL at `in` and `out` */
    const int64_t *dim;
    int32_t n_ptr;
    int32_t in, out;      /* which ptr is what the kernel before made, and what this one makes; or
                             -1 */
    int32_t name, origin; /* as of ingot_kernel_args */
    int32_t unused;
    int64_t tasks;   /* for each band; -1: each row is a task */
    int64_t row;     /* bytes of a row of what it makes for the next one */
    int64_t scratch; /* bytes */
} ingot_band_kernel;

typedef struct ingot_bands {
    int64_t outer, rows;   /* matrices, and rows of each */
    int64_t band, in_task; /* rows of a band; bands of a task, which are of one matrix */
    int64_t n_kernels;
    ingot_band_kernel kernel[INGOT_BAND_KERNELS];
} ingot_bands;

/* A kernel whose args->ptr is an ingot_bands. A task is `in_task` bands of a matrix; matrices of
 * one band go through the kernels several at once, as many as have no more rows than a band. The
 * scratch has room for a band of each matrix between two kernels, then for each kernel's own, all
 * aligned to 64. */
void ingot_rt_bands(const ingot_kernel_args *args, int64_t begin, int64_t end, void *scratch);

struct ingot_call {
    const ingot_tensor *in;
    ingot_tensor *out;
    ingot_instance *instance;
    int32_t error; /* first data error noticed by a kernel; read after each kernel that can fail */
    const ingot_kernel *kernels; /* of the level that runs, by the number of the function */
};

/* Base of segment `k`, of at least `bytes` bytes, aligned to 64. NULL (and the error is set) when
 * there is no memory. The contents are kept until the same segment is asked for again. */
void *ingot_rt_segment(ingot_call *c, int32_t k, int64_t bytes);
/* The same, keeping the first `keep` bytes of what the segment holds, wherever it is then. */
void *ingot_rt_segment_keep(ingot_call *c, int32_t k, int64_t keep, int64_t bytes);
/* Run `kernel` over tasks [0, count), `grain` (1 or more) at a time at least, `scratch` bytes for
 * each worker. Returns call->error. */
int32_t ingot_rt_parallel(ingot_call *c, ingot_kernel kernel, const ingot_kernel_args *args,
                          int64_t count, int64_t grain, int64_t scratch);
/* Memory for output `k` of `bytes` bytes: the caller's, or lent. dims and rank must have been
 * stored in c->out[k] before. */
void *ingot_rt_output(ingot_call *c, int32_t k, int64_t bytes);
/* Record an error; the first wins; returns `code`. `what` is a constant: "index %lld out of range
 * for an axis of %lld" takes a and b. */
int32_t ingot_rt_fail(ingot_call *c, int32_t code, int32_t origin, const char *what, int64_t a,
                      int64_t b);

/* Irregular work. `in` and `out` are dense tensors; an `out` whose dims only the data can tell has
 * data NULL and is given memory with ingot_rt_place (segment numbers are the plan's). ints and
 * floats are the operator's attributes in the order that the function documents. */
typedef struct ingot_call_args {
    ingot_call *call;
    const ingot_tensor *in;
    ingot_tensor *out;
    int32_t n_in, n_out;
    const int64_t *ints;
    const double *floats;
    int32_t n_ints, n_floats;
    const int32_t
        *segments; /* [n_out]: where ingot_rt_place puts a result of unknown size, or -1 */
    int32_t origin;
} ingot_call_args;
typedef int32_t (*ingot_call_fn)(const ingot_call_args *a);
/* Memory until the next run of the instance, aligned to 64; NULL (and the error is set) when there
 * is none. */
void *ingot_rt_bump(ingot_call *c, int64_t bytes);
/* What the tensor points to is copied to such memory, unless it lies there. */
int32_t ingot_rt_keep(ingot_call *c, ingot_tensor *t);
/* How far that memory was filled when a loop began. */
typedef struct ingot_mark {
    int64_t block, used, total, most;
} ingot_mark;
void ingot_rt_mark(ingot_call *c, ingot_mark *mark);
/* Between two turns of a loop: of what was made since the mark only these n lists are still read.
 * Once the rest is the larger part it is given up, and the lists move together. */
int32_t ingot_rt_trim(ingot_call *c, ingot_mark *mark, ingot_tensor *const *list, int32_t n);
/* Output `k` is this list, or this tensor of unknown rank. */
int32_t ingot_rt_output_boxed(ingot_call *c, int32_t k, const ingot_tensor *t);
void *ingot_rt_place(const ingot_call_args *a, int32_t k, int64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
