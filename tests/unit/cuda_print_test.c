/* cuda_print_test.c: kernels printed as CUDA C give the bits of kernel_interpret. No GPU is needed:
 * the text is compiled as C++ between definitions of what CUDA adds, and the threads of a small
 * grid run one after the other. Skips, and says so, where there is no C++ compiler. */
#include "codegen/cuda/cuda_print.h"
#include "tests/unit/graph_run.h"

static const char shim[] =
    "#define __device__\n"
    "#define __global__\n"
    "#define __clzll __builtin_clzll\n"
    "#define __popcll __builtin_popcountll\n"
    "#define memcpy __builtin_memcpy\n"
    "#define memset __builtin_memset\n"
    "#define HOST(N) extern \"C\" float N##f(float) throw(); extern \"C\" double N(double) "
    "throw();\n"
    "HOST(fabs) HOST(sqrt) HOST(floor) HOST(ceil) HOST(trunc) HOST(nearbyint)\n"
    "#define fma __builtin_fma\n"
    "#define fmaf __builtin_fmaf\n"
    "#define copysign __builtin_copysign\n"
    "#define copysignf __builtin_copysignf\n"
    "static struct { unsigned x; } blockIdx, threadIdx, gridDim = {3}, blockDim = {2};\n"
    "static int atomicCAS(int *p, int a, int b) { int o = *p; if (o == a) *p = b; return o; }\n"
    "static char pool[1 << 22] __attribute__((aligned(64)));\n"
    "struct Args { void *call; void *const *ptr; const long long *dim; int origin, kernel; };\n"
    "extern \"C\" int ingot_rt_fail(void *, int, int, const char *, long, long);\n";

/* An ingot_kernel that runs the whole grid with its first task. */
static void add_grid(Text *t, const Node *n, const KernelAbi *abi, int number)
{
    text_f(t, "extern \"C\" void k%d(const Args *a, int64_t begin, int64_t, void *)\n{\n", number);
    text_put(t, "    k_failure failure = {};\n    if (begin) return;\n");
    if (abi->n_dim)
        text_f(t, "    k_dims<%d> dim;\n    for (int i = 0; i < %d; i++) dim.at[i] = a->dim[i];\n",
               abi->n_dim, abi->n_dim);
    text_put(t, "    for (unsigned i = 0; i < 6; i++) {\n"
                "        blockIdx.x = i / 2, threadIdx.x = i % 2;\n");
    text_f(t, "        g%d(", number);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) text_f(t, "(%s *)a->ptr[%d], ", c_type(n->in[i]->type.dtype), i);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) text_f(t, "(%s *)a->ptr[%d], ", c_type(n->out[i]->type.dtype), n->n_in + i);
    text_f(t, "%spool, &failure);\n    }\n", abi->n_dim ? "dim, " : "");
    text_put(t, "    if (failure.code) ingot_rt_fail(a->call, 1, 0, \"\", 0, 0);\n}\n\n");
}

static void run_cuda(Run *r)
{
    const KernelAbi *abi[RUN_CASES];
    Text t;
    void *so;

    text_init(&t, r->arena);
    text_put(&t, shim);
    cuda_print_prelude(&t);
    for (int i = 0; i < r->n; i++) {
        const RunCase *c = &r->cases[i];
        CHECK_EQ(cuda_print_kernel(r->arena, c->module, c->node, arena_printf(r->arena, "g%d", i),
                                   &t, &r->diag, &abi[i]),
                 OK);
        add_grid(&t, c->node, abi[i], i);
    }
    if (getenv("KERNEL_RUN_C")) fputs(t.s, stderr);
    so = run_link(r, ".cc", t.s, t.n);
    run_all(r, so, abi, "CUDA C", true);
    if (so) dlclose(so);
}

static void add_cases(Run *r)
{
    GRAPH("map", "input %%x : f32[m,n]\ninput %%y : f32[n]\n%%a = Add(%%x, %%y)\n"
                 "%%b = Tanh(%%a)\noutput %%b");
    GRAPH("transpose", "input %%x : f32[m,3,n]\n%%y = Transpose(%%x) {perm=ints [2,0,1]}\n"
                       "output %%y");
    GRAPH("integers", "input %%x : i32[m,n]\ninput %%y : i32[n]\n%%z = Div(%%x, %%y)\noutput %%z");
    GRAPH("softmax", "input %%x : f32[m,n]\n%%y = Softmax(%%x) {axis=1}\noutput %%y");
    GRAPH("cumsum", "input %%x : f32[m,5,n]\nconst %%a : i64[] {1}\n%%y = CumSum(%%x, %%a)\n"
                    "output %%y");
    GRAPH("pool", "input %%x : f32[b,3,9,n]\n%%y = AveragePool(%%x) {kernel_shape=ints [3,1]}\n"
                  "output %%y");
    GRAPH("conv", "input %%x : f32[b,5,9,11]\nconst %%w : f32[7,5,3,3] {0 ...}\n"
                  "%%y = Conv(%%x, %%w) {pads=ints [1,1,1,1]}\n%%z = Relu(%%y)\noutput %%z");
    GRAPH("bytes in a frame of their zero point",
          "input %%x : f32[b,8,6,5]\nconst %%s : f32[] {0.25}\nconst %%z : u8[] {7}\n"
          "const %%i : i8[12,8,3,3] {-9 ...}\n%%w = DequantizeLinear(%%i, %%s)\n"
          "%%q = QuantizeLinear(%%x, %%s, %%z)\n%%d = DequantizeLinear(%%q, %%s, %%z)\n"
          "%%y = Conv(%%d, %%w) {pads=ints [1,1,1,1]}\noutput %%y");
    GRAPH("scatter", "input %%x : f32[5,3]\nconst %%i : i64[4,1] {1 0 1 -1}\n"
                     "input %%u : f32[4,3]\n"
                     "%%y = ScatterND(%%x, %%i, %%u) {reduction=\"add\"}\noutput %%y");
    GRAPH("matmul", "input %%x : f32[b,m,k]\ninput %%y : f32[k,n]\n%%z = MatMul(%%x, %%y)\n"
                    "output %%z");
}

int main(void)
{
    static const int64_t edges[] = {37, 1, 8, 0};
    Run *r;

    if (system("cc -x c++ -fsyntax-only /dev/null") != 0) {
        fprintf(stderr, "skipped: cc takes no C++ here\n");
        return 77;
    }
    r = run_new();
    r->values = edges;
    r->n_values = 4;
    add_cases(r);
    CHECK(r->n >= 8);
    run_cuda(r);
    arena_free(r->arena);
    return check_result();
}
