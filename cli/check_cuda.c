/* check_cuda.c: every kernel of a model printed as CUDA C, compiled by NVRTC. Shows that the text
 * is right CUDA C; what it computes is shown by the C that the same walk prints (check_values.c).
 */
#include "cli/cmd_check.h"
#include "codegen/cuda/cuda_nvrtc.h"

enum { WANTED_ARCH = 90 };

static Status accept(Check *c, const Nvrtc *nvrtc, const Variant *v)
{
    int arch = cuda_nvrtc_arch(nvrtc, WANTED_ARCH), n;
    NvrtcCode code;
    Text text;

    text_init(&text, v->o.arena);
    TRY(codegen_print_cuda(v->loaded.module, v->o.arena, &text, &n, c->d));
    TRY(cuda_nvrtc_compile(nvrtc, text.s, "kernels.cu", arch, v->o.arena, &code, c->d));
    if (n && !code.cubin_size)
        check_failed(c, "CUDA C: NVRTC %s gives no code", cuda_nvrtc_version(nvrtc));
    else
        check_passed(c, "CUDA C: NVRTC %s accepts %d kernels for sm_%d: %zu bytes",
                     cuda_nvrtc_version(nvrtc), n, arch, code.cubin_size);
    return OK;
}

Status check_cuda(Check *c)
{
    Nvrtc *nvrtc;
    Variant v;
    Status s = cuda_nvrtc_open(c->o->arena, &nvrtc, c->d);

    if (s == ERR_TARGET && diag_status(c->d) == OK) {
        check_skipped(c, "CUDA C: there is no NVRTC here");
        return OK;
    }
    TRY(s);
    s = variant_load(c->o, c->model, false, &v, c->d);
    if (s == OK) s = session_fuse(&v.o, v.loaded.module, c->d);
    if (s == OK) s = accept(c, nvrtc, &v);
    variant_close(&v);
    cuda_nvrtc_close(nvrtc);
    return s;
}
