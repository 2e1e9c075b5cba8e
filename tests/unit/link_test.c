/* The whole way from an object to artifacts that run: a model written by hand in C stands for
 * generated code. */
#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include "codegen/link/embedded.h"
#include "codegen/link/link_impl.h"
#include "ingot/ingot_tensor_io.h"
#include "support/io.h"
#include "tests/unit/check.h"

/* y[n,2] = x[n,3] W, with W [3,2] in the weights. MODEL is the name. */
static const char model_source[] =
    "#include <ingot/ingot_rt.h>\n"
    "#define PASTE2(a, b) a##b\n"
    "#define PASTE(a, b) PASTE2(a, b)\n"
    "#define HIDDEN __attribute__((visibility(\"hidden\")))\n"
    "extern HIDDEN const float PASTE(MODEL, _weights)[6];\n"
    "static void k(const ingot_kernel_args *a, int64_t b, int64_t e, void *s)\n"
    "{\n"
    "    const float *x = a->ptr[0], *w = PASTE(MODEL, _weights);\n"
    "    float *y = a->ptr[1];\n"
    "    (void)s;\n"
    "    for (; b < e; b++)\n"
    "        for (int j = 0; j < 2; j++)\n"
    "            y[b * 2 + j] = x[b * 3] * w[j] + x[b * 3 + 1] * w[2 + j] + x[b * 3 + 2] * w[4 + "
    "j];\n"
    "}\n"
    "static int32_t run(ingot_call *c)\n"
    "{\n"
    "    int64_t n = c->in[0].dims[0];\n"
    "    c->out[0].rank = 2; c->out[0].dims[0] = n; c->out[0].dims[1] = 2;\n"
    "    void *ptr[2] = {c->in[0].data, ingot_rt_output(c, 0, n * 8)};\n"
    "    if (!ptr[1]) return c->error;\n"
    "    ingot_kernel_args a = {.call = c, .ptr = ptr, .origin = -1};\n"
    "    return ingot_rt_parallel(c, k, &a, n, 1, 0);\n"
    "}\n"
    "static const int64_t dx[] = {-1, 3}, dy[] = {-1, 2};\n"
    "static const char *const s[] = {\"n\", 0};\n"
    "static const ingot_port in[] = {{\"x\", INGOT_F32, 2, dx, s, 0}}, out[] = {{\"y\", INGOT_F32, "
    "2, dy, s, 0}};\n"
    "static const char *const names[] = {\"matmul\"};\n"
    "__attribute__((visibility(\"default\"))) const ingot_model PASTE(MODEL, _model) = {\n"
    "    .abi_version = INGOT_ABI_VERSION, .n_inputs = 1, .n_outputs = 1, .inputs = in, .outputs = "
    "out,\n"
    "    .name = \"demo\", .arena_size = -1, .run = run, .n_kernels = 1, .kernel_names = names};\n";

static const int64_t dims_x[] = {-1, 3}, dims_y[] = {-1, 2};
static const char *const symbols[] = {"n", NULL};
static const ingot_port port_x = {"x", INGOT_F32, 2, dims_x, symbols, 0};
static const ingot_port port_y = {"y", INGOT_F32, 2, dims_y, symbols, 0};
static const float weights_a[6] = {1, 2, 3, 4, 5, 6}, weights_b[6] = {10, 20, 30, 40, 50, 60};

typedef struct Bench {
    Arena *arena;
    Diag d;
    const char *folder;
} Bench;

static const char *at(Bench *b, const char *name)
{
    return path_join(b->arena, b->folder, name);
}

/* Exit status of a command, -1 if it could not be run. */
static int command(Bench *b, const char *const *argv)
{
    int status = -1;
    char *said = NULL;

    if (process_run(argv, &status, &said, b->arena, &b->d) != OK) return -1;
    /* the compiler's words are never expected, the model's often are */
    if (status != 0 && said && *said && argv[0][0] == 'c')
        fprintf(stderr, "%s says: %.500s\n", argv[0], said);
    return status;
}

#define RUN(b, ...) command((b), (const char *const[]){__VA_ARGS__, NULL})

static void write_text(Bench *b, const char *name, const char *text)
{
    CHECK_EQ(file_write_all(at(b, name), 0644, text, strlen(text), &b->d), OK);
}

/* Same content? */
static bool same_files(Bench *b, const char *one, const char *two)
{
    FileBytes x, y;

    if (file_read(one, &x, &b->d) != OK || file_read(two, &y, &b->d) != OK) return false;
    bool same = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    file_close(&x);
    file_close(&y);
    return same;
}

static void fill_three(const void *context, void *to)
{
    memcpy(to, context, 12);
}

/* The second half is made when it is written, and made again for each artifact. */
static Weights make_weights(Bench *b, const float *weights)
{
    WeightPiece *p = ARENA_ARRAY(b->arena, WeightPiece, 2);

    p[0] = (WeightPiece){0, {.size = 12, .data = weights}};
    p[1] = (WeightPiece){12, {.size = 12, .fill = fill_three, .context = weights + 3}};
    return (Weights){24, p, 2};
}

static LinkInput make_input(Bench *b, const char *name, const float *weights)
{
    const char *source = at(b, "model.c"),
               *object = at(b, arena_printf(b->arena, "%s.tmp.o", name));
    FileBytes bytes = {0};
    LinkBytes *objects = ARENA_NEW(b->arena, LinkBytes);

    write_text(b, "model.c", model_source);
    CHECK_EQ(RUN(b, "cc", "-c", "-O1", "-fPIC", "-fvisibility=hidden", "-Iinclude",
                 arena_printf(b->arena, "-DMODEL=%s", name), "-o", object, source),
             0);
    CHECK_EQ(file_read(object, &bytes, &b->d), OK);
    *objects = (LinkBytes){arena_copy(b->arena, bytes.data, bytes.size), bytes.size};
    file_close(&bytes);
    return (LinkInput){.name = name,
                       .objects = objects,
                       .n_objects = 1,
                       .weights = make_weights(b, weights),
                       .inputs = &port_x,
                       .outputs = &port_y,
                       .n_inputs = 1,
                       .n_outputs = 1,
                       .arena_size = -1};
}

/* One run with x.npy, which it leaves, and y.pb. */
static void run_exe(Bench *b, const char *exe)
{
    float x[6] = {1, 0, 0, 1, 1, 1};
    ingot_tensor tx = {.data = x, .dtype = INGOT_F32, .rank = 2, .dims = {2, 3}}, ty;
    const char *npy = at(b, "x.npy"), *result = at(b, "y.pb");
    char why[300];

    CHECK_EQ(ingot_tensor_write(npy, &tx, "x", why, sizeof why), 0);
    CHECK_EQ(RUN(b, exe, "--input", arena_printf(b->arena, "x=%s", npy), "--output", result), 0);
    CHECK_EQ(ingot_tensor_read(result, NULL, &ty, why, sizeof why), 0);
    CHECK(ty.rank == 2 && ty.dims[0] == 2 && ((float *)ty.data)[0] == 1 &&
          ((float *)ty.data)[3] == 12);
    ingot_tensor_free(&ty);
}

static void test_exe(Bench *b, const LinkInput *in)
{
    const char *exe = at(b, "demo"), *npy = at(b, "x.npy"), *result = at(b, "y.pb");
    FileBytes bytes;

    CHECK_EQ(link_exe(in, exe, &b->d), OK);
    run_exe(b, exe);
    CHECK_EQ(RUN(b, exe, npy, "-o", at(b, "no/such/folder.npy")), 5);
    CHECK_EQ(RUN(b, exe, "--input", "x=/nonexistent.npy"), 5);
    CHECK_EQ(RUN(b, exe), 2);
    CHECK_EQ(RUN(b, exe, "--input", result), 2); /* [2,2] is not [n,3] */
    CHECK_EQ(RUN(b, exe, "--nonsense"), 2);
    CHECK_EQ(file_read(exe, &bytes, &b->d), OK);
    CHECK(bytes.size < 128 << 10);
    file_close(&bytes);
}

/* Two folders, equal bytes; and nothing but the model and the API is visible. */
static void test_shared(Bench *b, const LinkInput *in)
{
    Bench other = *b;
    const char *path = at(b, "libdemo.so");
    const float x[3] = {0, 1, 0};
    ingot_tensor tx = {.data = (void *)(uintptr_t)x, .dtype = INGOT_F32, .rank = 2, .dims = {1, 3}},
                 ty = {0};
    int32_t (*create)(const ingot_model *, const ingot_options *, ingot_instance **);
    int32_t (*run)(ingot_instance *, const ingot_tensor *, ingot_tensor *);
    void (*destroy)(ingot_instance *);
    ingot_instance *m = NULL;
    void *handle;

    CHECK_EQ(link_shared(in, path, &b->d), OK);
    CHECK_EQ(folder_temporary(b->arena, &other.folder, &b->d), OK);
    CHECK_EQ(link_shared(in, at(&other, "libdemo.so"), &b->d), OK);
    CHECK(same_files(b, path, at(&other, "libdemo.so")));
    folder_remove(other.folder);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(handle != NULL);
    if (!handle) return;
    for (int i = 0; link_api[i]; i++)
        CHECK(dlsym(handle, link_api[i]) != NULL);
    CHECK(dlsym(handle, "ingot_rt_parallel") == NULL);
    CHECK(dlsym(handle, "demo_weights") == NULL);
    *(void **)&create = dlsym(handle, "ingot_create");
    *(void **)&run = dlsym(handle, "ingot_run");
    *(void **)&destroy = dlsym(handle, "ingot_destroy");
    CHECK_EQ(create(dlsym(handle, "demo_model"), NULL, &m), 0);
    CHECK_EQ(run(m, &tx, &ty), 0);
    CHECK(((float *)ty.data)[0] == 3 && ((float *)ty.data)[1] == 4);
    destroy(m);
    dlclose(handle);
}

/* Do the weights, which end with `mark`, stand in a segment of their own at the end of the file,
 * where its large pages can be mapped? */
static bool weights_are_last(Bench *b, const char *path, size_t size, const char *mark)
{
    const uint64_t huge = UINT64_C(2) << 20;
    FileBytes f;
    bool last = false;

    CHECK_EQ(file_read(path, &f, &b->d), OK);
    const Elf64_Ehdr *head = (const void *)f.data;
    const Elf64_Phdr *table = (const void *)(f.data + head->e_phoff);
    for (int i = 0; i < head->e_phnum; i++)
        last = last || (table[i].p_type == PT_LOAD && table[i].p_filesz == size &&
                        table[i].p_memsz == size && table[i].p_flags == PF_R &&
                        table[i].p_offset + size == f.size && table[i].p_align % huge == 0 &&
                        (table[i].p_vaddr - table[i].p_offset) % huge == 0);
    last = last && memcmp(f.data + f.size - strlen(mark), mark, strlen(mark)) == 0;
    file_close(&f);
    return last;
}

/* Large weights, which the linker does not see; and linkers that do not do what is asked of them,
 * which do see them. */
static void test_late(Bench *b, const LinkInput *in)
{
    static const char mark
        [] = "the end",
    *const linkers[] = {
        "#!/bin/sh\nfor a; do shift; case $a in -Wl,-T,*) ;; *) set -- \"$@\" \"$a\";; esac; done\n"
        "exec cc \"$@\"\n",
        "#!/bin/sh\nfor a; do case $a in -Wl,-T,*) exit 1;; esac; done\nexec cc \"$@\"\n",
    };
    LinkInput big = *in;
    const char *exe = at(b, "late"), *linker = at(b, "linker"), *stripped = at(b, "stripped");
    size_t size = LINK_LATE_MIN + 64 + strlen(mark);
    WeightPiece p[] = {in->weights.piece[0],
                       in->weights.piece[1],
                       {LINK_LATE_MIN + 64, {.size = strlen(mark), .data = mark}}};

    big.weights = (Weights){size, p, 3};
    CHECK_EQ(link_exe(&big, exe, &b->d), OK);
    CHECK(weights_are_last(b, exe, size, mark));
    run_exe(b, exe);
    CHECK_EQ(RUN(b, "strip", "-o", stripped, exe), 0);
    run_exe(b, stripped);
    big.keep_symbols = true;
    CHECK_EQ(link_exe(&big, exe, &b->d), OK);
    CHECK(weights_are_last(b, exe, size, mark));
    run_exe(b, exe);
    test_shared(b, &big);
    big.linker = linker;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(file_write_all(linker, 0755, linkers[i], strlen(linkers[i]), &b->d), OK);
        CHECK_EQ(link_exe(&big, exe, &b->d), OK);
        CHECK(!weights_are_last(b, exe, size, mark));
        run_exe(b, exe);
    }
}

static const char two_models[] =
    "#include \"one.h\"\n"
    "#include \"two.h\"\n"
    "int graph_print;\n" /* names of a user, which nothing of ours may have */
    "int rt_run;\n"
    "int main(void)\n"
    "{\n"
    "    const float x[3] = {1, 1, 1};\n"
    "    float mine[2] = {0, 0};\n"
    "    ingot_instance *a, *b;\n"
    "    one_inputs in; one_outputs out; two_inputs in2; two_outputs out2;\n"
    "    memset(&out, 0, sizeof out); memset(&out2, 0, sizeof out2);\n"
    "    in.x = x; in.n = 1; in2.x = x; in2.n = 1;\n"
    "    out2.y = mine; out2.y_capacity = sizeof mine;\n"
    "    if (one_create(NULL, &a) || two_create(NULL, &b)) return 10;\n"
    "    if (one_run(a, &in, &out) || two_run(b, &in2, &out2)) return 11;\n"
    "    if (out.y[0] != 9 || out.y[1] != 12 || out.y_dims[1] != ONE_OUT_Y_DIM1) return 12;\n"
    "    if (out2.y != mine || mine[0] != 90 || mine[1] != 120) return 13;\n"
    "    in.n = 2147483648LL * 2147483648LL;\n"
    "    if (one_run(a, &in, &out) != INGOT_ERR_USAGE || !ingot_error(a)[0]) return 14;\n"
    "    one_destroy(a); two_destroy(b);\n"
    "    return strcmp(ONE_IN_X_NAME, \"x\") || ONE_IN_X_DTYPE != INGOT_F32 || TWO_INPUTS != 1;\n"
    "}\n";

/* Two models in one program, by header and archive, then by header and object. */
static void test_static_and_object(Bench *b, const LinkInput *one, const LinkInput *two)
{
    const char *libs[2] = {at(b, "libone.a"), at(b, "libtwo.a")},
               *objects[2] = {at(b, "one.o"), at(b, "two.o")};
    const char *main_c = at(b, "main.c"), *exe = at(b, "main"), *again = at(b, "again.a");

    write_text(b, "main.c", two_models);
    CHECK_EQ(link_header(one, at(b, "one.h"), &b->d), OK);
    CHECK_EQ(link_header(two, at(b, "two.h"), &b->d), OK);
    CHECK_EQ(link_static(one, libs[0], &b->d), OK);
    CHECK_EQ(link_static(one, again, &b->d), OK);
    CHECK(same_files(b, libs[0], again));
    CHECK_EQ(link_static(two, libs[1], &b->d), OK);
    CHECK_EQ(RUN(b, "cc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-o", exe,
                 main_c, libs[0], libs[1], "-lm", "-pthread"),
             0);
    CHECK_EQ(RUN(b, exe), 0);
    CHECK_EQ(link_object(one, objects[0], &b->d), OK);
    CHECK_EQ(link_object(two, objects[1], &b->d), OK);
    CHECK_EQ(RUN(b, "cc", "-o", exe, main_c, objects[0], objects[1], "-lm", "-pthread"), 0);
    CHECK_EQ(RUN(b, exe), 0);
}

/* Names that are no identifiers, keywords, equal but for case, or meant to break out of a comment
 * or a string. */
static void test_hostile_names(Bench *b)
{
    static const int64_t dims[] = {-1, -1, 4};
    static const char *const odd[] = {"a */ b", NULL, NULL};
    static const ingot_port in[] = {{"float", INGOT_I64, 3, dims, odd, 0},
                                    {"X", INGOT_BOOL, 3, dims, odd, 1},
                                    {"x", INGOT_STRING, -1, NULL, NULL, 0},
                                    {"", INGOT_C64, 0, NULL, NULL, 0},
                                    {"1/\"q\"\\?\n*/", INGOT_F16, 3, dims, NULL, 0}};
    static const ingot_port out[] = {{"y", INGOT_I4, -1, NULL, NULL, 0},
                                     {"y_dims", INGOT_U64, 0, NULL, NULL, 0},
                                     {"y", INGOT_F64, 3, dims, odd, 0}};
    LinkInput odd_input = {.name = link_identifier(b->arena, "2 fast"),
                           .inputs = in,
                           .n_inputs = 5,
                           .outputs = out,
                           .n_outputs = 3,
                           .arena_size = 77};

    CHECK_STR(odd_input.name, "m_2_fast");
    CHECK_STR(link_identifier(b->arena, ""), "m_");
    CHECK_STR(link_identifier(b->arena, "ingot"), "m_ingot");
    CHECK_EQ(link_header(&odd_input, at(b, "odd.h"), &b->d), OK);
    write_text(b, "odd.c",
               "#include \"odd.h\"\n#include \"odd.h\"\nint main(void) { return "
               "M_2_FAST_ARENA_SIZE != 77; }\n");
    CHECK_EQ(RUN(b, "cc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror",
                 "-fsyntax-only", at(b, "odd.c")),
             0);
    CHECK_EQ(
        RUN(b, "c++", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", at(b, "odd.c")),
        0);
}

/* Every name that the runtime puts into somebody's program begins with ingot_ (main is the
 * driver's). */
static void test_runtime_names(Bench *b)
{
    LinkBytes archives[2] = {{ingot_embedded_core, (size_t)ingot_embedded_core_size},
                             {ingot_embedded_driver, (size_t)ingot_embedded_driver_size}};
    const char *name;
    LinkBytes member;
    int members = 0, globals = 0;

    for (int i = 0; i < 2; i++) {
        for (size_t where = 0; link_ar_next(archives[i], &where, &name, &member, b->arena);
             members++) {
            const Elf64_Ehdr *e = arena_copy(b->arena, member.data, member.size);
            const char *base = (const char *)e;
            for (int s = 0; s < e->e_shnum; s++) {
                const Elf64_Shdr *h = (const Elf64_Shdr *)(const void *)(base + e->e_shoff) + s,
                                 *strings;
                if (h->sh_type != SHT_SYMTAB) continue;
                strings = (const Elf64_Shdr *)(const void *)(base + e->e_shoff) + h->sh_link;
                for (size_t k = 1; k < h->sh_size / sizeof(Elf64_Sym); k++) {
                    const Elf64_Sym *y = (const Elf64_Sym *)(const void *)(base + h->sh_offset) + k;
                    const char *text = base + strings->sh_offset + y->st_name;
                    if (ELF64_ST_BIND(y->st_info) == STB_LOCAL || y->st_shndx == SHN_UNDEF)
                        continue;
                    globals++;
                    if (strncmp(text, "ingot_", 6) == 0 || (i == 1 && strcmp(text, "main") == 0))
                        continue;
                    fprintf(stderr, "%s defines %s\n", name, text);
                    check_failures++;
                }
            }
        }
    }
    CHECK(members >= 10 && globals > 40);
    CHECK(strstr((const char *)ingot_embedded_header, "INGOT_ABI_VERSION") != NULL);
    CHECK_EQ(strlen((const char *)ingot_embedded_header), (int64_t)ingot_embedded_header_size);
}

static void test_failures(Bench *b, const LinkInput *in)
{
    LinkInput bad = *in;
    LinkBytes nonsense = {"not an object", 13};

    bad.linker = "no-such-linker-here";
    CHECK_EQ(link_shared(&bad, at(b, "bad.so"), &b->d), ERR_TARGET);
    bad = *in;
    bad.objects = &nonsense;
    CHECK_EQ(link_exe(&bad, at(b, "bad"), &b->d), ERR_TARGET);
    CHECK(link_static(&bad, at(b, "bad.a"), &b->d) != OK);
    CHECK(!path_exists(at(b, "bad.so")) && !path_exists(at(b, "bad")) &&
          !path_exists(at(b, "bad.a")));
    CHECK(link_static(in, at(b, "no/such/folder.a"), &b->d) != OK);
}

typedef struct Bytes {
    unsigned char at[300];
    size_t n;
} Bytes;

static Status put_bytes(void *context, const void *data, size_t size)
{
    Bytes *b = context;

    CHECK(size <= sizeof b->at - b->n);
    memcpy(b->at + b->n, data, size);
    b->n += size;
    return OK;
}

/* Between pieces, and behind the last one, there are zeros. */
static void test_pieces(Bench *b)
{
    static const unsigned char one[] = {1, 2, 3}, two[12] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    WeightPiece p[] = {{0, {.size = 3, .data = one}},
                       {64, {.size = 0}},
                       {128, {.size = 12, .fill = fill_three, .context = two}}};
    Weights w = {150, p, 3};
    Bytes got = {.n = 0};

    memset(got.at, 7, sizeof got.at);
    CHECK_EQ(weights_write(&w, put_bytes, &got, &b->d), OK);
    CHECK_EQ(got.n, 150);
    for (size_t i = 0; i < got.n; i++)
        CHECK_EQ(got.at[i], i < 3 ? one[i] : i >= 128 && i < 140 ? 9 : 0);
}

int main(void)
{
    Bench b = {.arena = arena_new(0)};

    diag_init(&b.d, b.arena);
    CHECK_EQ(folder_temporary(b.arena, &b.folder, &b.d), OK);
    LinkInput one = make_input(&b, "one", weights_a), two = make_input(&b, "two", weights_b);
    LinkInput demo = make_input(&b, "demo", weights_a);
    test_pieces(&b);
    test_exe(&b, &demo);
    test_shared(&b, &demo);
    test_late(&b, &demo);
    test_static_and_object(&b, &one, &two);
    test_hostile_names(&b);
    test_runtime_names(&b);
    CHECK_EQ(b.d.errors, 0);
    for (DiagItem *i = b.d.first; i; i = i->next)
        fprintf(stderr, "%s\n", diag_format(i, b.arena));
    test_failures(&b, &demo);
    folder_remove(b.folder);
    arena_free(b.arena);
    return check_result();
}
