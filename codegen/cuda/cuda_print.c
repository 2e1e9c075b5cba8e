/* cuda_print.c: a Nest as a CUDA C kernel: the walk of c_print.c with other strings.
 *
 * A thread does one point of the loops that may run side by side (of a kernel of several stages:
 * one turn of the loops that they share), in a stride of the grid. Each sum is a thread's own, in
 * the order that the kernel says: compiled without contraction it gives the bits of the CPU.
 *
 *     extern "C" __global__ void NAME(operands, results, k_dims<N> dim, char *memory,
 *                                     k_failure *failure)
 *
 * Operands and results that are left out have no parameter; dim holds what KernelAbi.dim lists, and
 * is there when N > 0. memory: KernelAbi.scratch bytes for each thread. failure: zeroed by the
 * caller; the first wrong index is left there.
 *
 * Limits: scatters and what else must run in order are one thread's work; contractions are plain
 * loops, without tensor cores or shared memory. */
#include "codegen/cuda/cuda_print.h"

#include "codegen/c/c_print.h"
#include "codegen/codegen.h"

static const char head[] = "typedef signed char int8_t;\n"
                           "typedef short int16_t;\n"
                           "typedef int int32_t;\n"
                           "typedef long long int64_t;\n"
                           "typedef unsigned char uint8_t;\n"
                           "typedef unsigned short uint16_t;\n"
                           "typedef unsigned int uint32_t;\n"
                           "typedef unsigned long long uint64_t;\n"
                           "#define INT64_C(x) x##ll\n"
                           "#define UINT64_C(x) x##ull\n"
                           "#define K_FN static __device__ inline\n"
                           "#define K_CONST static __device__ const\n"
                           "#define K_CLZ __clzll\n"
                           "#define K_POPCNT __popcll\n"
                           "\n"
                           "/* code: 0 or 1 */\n"
                           "struct k_failure { int32_t code; int64_t index, extent; };\n"
                           "template <int N> struct k_dims {\n"
                           "    int64_t at[N];\n"
                           "    __device__ int64_t operator[](int i) const { return at[i]; }\n"
                           "};\n"
                           "\n";

static const char check[] = "K_FN int64_t k_check(k_failure *failure, int64_t i, int64_t n)\n"
                            "{\n"
                            "    int64_t at = i < 0 ? k_add_i64(i, n) : i;\n"
                            "    if (at >= 0 && at < n) return at;\n"
                            "    if (atomicCAS(&failure->code, 0, 1) == 0) {\n"
                            "        failure->index = i;\n"
                            "        failure->extent = n;\n"
                            "    }\n"
                            "    return -1;\n"
                            "}\n"
                            "\n";

static void start(CPrint *p, const char *name)
{
    const Nest *n = p->nest;
    const Node *node = n->node;

    text_f(p->out, "extern \"C\" __global__ void %s(", name);
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i]) text_f(p->out, "const %s *in%d, ", c_type(node->in[i]->type.dtype), i);
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i]) text_f(p->out, "%s *out%d, ", c_type(node->out[i]->type.dtype), i);
    if (n->abi.n_dim) text_f(p->out, "const k_dims<%d> dim, ", n->abi.n_dim);
    text_put(p->out, "char *memory, k_failure *failure)\n{\n");
    p->depth++;
    c_line(p, "const int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;");
    c_line(p, "const int64_t threads = (int64_t)gridDim.x * blockDim.x;");
    c_line(p, "const int64_t tasks = %s;", c_dim_text(p, n->abi.tasks));
    c_line(p, "char *scratch = memory + thread * %s;", c_dim_text(p, n->abi.scratch));
    c_line(p, "(void)scratch, (void)failure;");
    p->depth--;
}

static const CDialect cuda = {
    .head = head,
    .check = check,
    .told = "failure",
    .task_loop = "for (int64_t t = thread; t < tasks; t += threads) {",
    .once = "thread == 0 && ",
    .points = true,
    .start = start,
};

void cuda_print_prelude(Text *out)
{
    c_print_helpers(&cuda, out);
}

Status cuda_print_kernel(Arena *arena, Module *m, const Node *n, const char *name, Text *out,
                         Diag *d, const KernelAbi **abi)
{
    return c_print_function(&cuda, arena, m, n, name, out, d, abi);
}

Status codegen_print_cuda(Module *m, Arena *arena, Text *out, int *n, Diag *d)
{
    return c_print_module(&cuda, m, arena, out, n, d);
}
