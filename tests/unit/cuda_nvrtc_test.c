/* cuda_nvrtc_test.c: NVRTC compiles a kernel with what printed ones use, and refuses a wrong one
 * with a message. Skips, and says so, where there is none. */
#include <string.h>

#include "codegen/cuda/cuda_nvrtc.h"
#include "tests/unit/check.h"

/* NVRTC itself leaves memory behind. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static const char right[] = "extern \"C\" __global__ void twice(const float *x, float *y)\n"
                            "{\n"
                            "    y[threadIdx.x] = x[threadIdx.x] * 2.5f + 1.0f;\n"
                            "}\n";

static void compiles(const Nvrtc *n, Arena *a, Diag *d)
{
    int arch = cuda_nvrtc_arch(n, 90);
    NvrtcCode code;

    CHECK(arch > 0);
    CHECK(cuda_nvrtc_arch(n, 1) > 1);
    CHECK_EQ(cuda_nvrtc_compile(n, right, "right.cu", arch, a, &code, d), OK);
    CHECK(code.cubin_size > 64 && memcmp(code.cubin, "\177ELF", 4) == 0);
    CHECK(code.ptx && strstr(code.ptx, "twice"));
    /* Two roundings: without --fmad=false it would be one fused operation. */
    CHECK(code.ptx && strstr(code.ptx, "mul") && !strstr(code.ptx, "fma"));
    CHECK_EQ(cuda_nvrtc_compile(n, "__global__ void f() { wrong; }", "wrong.cu", arch, a, &code, d),
             ERR_BUG);
    CHECK(d->first && strstr(d->first->text, "wrong"));
}

int main(void)
{
    Arena *a = arena_new(0);
    Diag d;
    Nvrtc *n;

    diag_init(&d, a);
    if (cuda_nvrtc_open(a, &n, &d) == OK) {
        compiles(n, a, &d);
        cuda_nvrtc_close(n);
    } else {
        CHECK_EQ(d.errors, 0);
        CHECK(n == NULL);
        fprintf(stderr, "skipped: there is no NVRTC here\n");
    }
    arena_free(a);
    return check_result();
}
