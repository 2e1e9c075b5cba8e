/* cuda_nvrtc.c: NVRTC by dlopen. No header of CUDA is needed: the functions are in nvrtc.def. */
#include "codegen/cuda/cuda_nvrtc.h"

#include "support/dylib.h"
#include "support/str.h"

/* The newest first; the last is for where a toolkit is installed but the loader not told. */
static const char *const libraries[] = {
    "libnvrtc.so.13",
    "libnvrtc.so.12",
    "libnvrtc.so.11.2",
    "libnvrtc.so",
    "/usr/local/cuda/lib64/libnvrtc.so",
    NULL,
};

struct Nvrtc {
    Dylib *library;
    const char *version;
    int *arch, n_arch;
#define NVRTC(name, arguments) int(*name) arguments;
#include "codegen/cuda/nvrtc.def"
#undef NVRTC
};

static Status ask(Nvrtc *n, Arena *arena, Diag *d)
{
    int major = 0, minor = 0;

    if (n->Version(&major, &minor) != 0 || n->GetNumSupportedArchs(&n->n_arch) != 0 ||
        n->n_arch < 1 || n->n_arch > 1000)
        return diag(d, ERR_TARGET, (Where){.file = "NVRTC"}, "it does not say what it supports");
    n->version = arena_printf(arena, "%d.%d", major, minor);
    n->arch = ARENA_ARRAY(arena, int, n->n_arch);
    if (n->GetSupportedArchs(n->arch) != 0)
        return diag(d, ERR_TARGET, (Where){.file = "NVRTC"}, "it does not say what it supports");
    return OK;
}

Status cuda_nvrtc_open(Arena *arena, Nvrtc **out, Diag *d)
{
    Nvrtc *n = ARENA_NEW(arena, Nvrtc);
    const DylibSymbol symbols[] = {
#define NVRTC(name, arguments) {"nvrtc" #name, (void **)&n->name, false},
#include "codegen/cuda/nvrtc.def"
#undef NVRTC
    };
    Diag quiet;
    Status s;

    *out = NULL;
    diag_init(&quiet, arena);
    TRY(dylib_open(libraries, symbols, sizeof symbols / sizeof *symbols, &n->library, &quiet));
    s = ask(n, arena, d);
    if (s == OK)
        *out = n;
    else
        dylib_close(n->library);
    return s;
}

void cuda_nvrtc_close(Nvrtc *n)
{
    if (n) dylib_close(n->library);
}

const char *cuda_nvrtc_version(const Nvrtc *n)
{
    return n->version;
}

int cuda_nvrtc_arch(const Nvrtc *n, int wanted)
{
    int best = 0, least = n->arch[0];

    for (int i = 0; i < n->n_arch; i++) {
        if (n->arch[i] <= wanted && n->arch[i] > best) best = n->arch[i];
        if (n->arch[i] < least) least = n->arch[i];
    }
    return best ? best : least;
}

typedef int (*SizeOf)(void *program, size_t *size);
typedef int (*BytesOf)(void *program, char *bytes);

static Status take(void *program, SizeOf size_of, BytesOf bytes_of, Arena *arena, char **bytes,
                   size_t *size, Diag *d)
{
    *size = 0;
    if (size_of(program, size) != 0)
        return diag(d, ERR_TARGET, (Where){.file = "NVRTC"}, "it does not give what it compiled");
    *bytes = arena_try(arena, *size + 1, 1);
    if (!*bytes) return diag(d, ERR_LIMIT, (Where){.file = "NVRTC"}, "no memory for its output");
    if (*size && bytes_of(program, *bytes) != 0)
        return diag(d, ERR_TARGET, (Where){.file = "NVRTC"}, "it does not give what it compiled");
    return OK;
}

static Status compile(const Nvrtc *n, void *program, const char *name, int arch, Arena *arena,
                      NvrtcCode *out, Diag *d)
{
    const char *const option[] = {arena_printf(arena, "--gpu-architecture=sm_%d", arch),
                                  "--fmad=false", "--std=c++17", "--disable-warnings"};
    char *log, *ptx, *cubin;
    size_t size;

    if (n->CompileProgram(program, sizeof option / sizeof *option, option) != 0) {
        TRY(take(program, n->GetProgramLogSize, n->GetProgramLog, arena, &log, &size, d));
        return diag(d, ERR_BUG, (Where){.file = name}, "NVRTC %s refuses it: %.1000s", n->version,
                    log);
    }
    TRY(take(program, n->GetPTXSize, n->GetPTX, arena, &ptx, &out->ptx_size, d));
    TRY(take(program, n->GetCUBINSize, n->GetCUBIN, arena, &cubin, &out->cubin_size, d));
    out->ptx = ptx;
    out->cubin = cubin;
    return OK;
}

Status cuda_nvrtc_compile(const Nvrtc *n, const char *source, const char *name, int arch,
                          Arena *arena, NvrtcCode *out, Diag *d)
{
    void *program = NULL;
    Status s;

    *out = (NvrtcCode){0};
    if (n->CreateProgram(&program, source, name, 0, NULL, NULL) != 0)
        return diag(d, ERR_TARGET, (Where){.file = name}, "NVRTC takes no program");
    s = compile(n, program, name, arch, arena, out, d);
    n->DestroyProgram(&program);
    return s;
}
