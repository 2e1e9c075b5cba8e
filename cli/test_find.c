/* test_find.c: tests in the ONNX layout: a folder with one model and test_data_set_* beside it. The
 * model is model.onnx, or the only .onnx file. */
#include <fnmatch.h>
#include <string.h>

#include "cli/tensors.h"
#include "cli/test.h"
#include "support/io.h"
#include "support/vec.h"

enum { MOST_DEPTH = 16 };

typedef struct Finder {
    const char *filter;
    Arena *arena;
    TestList *out;
    Diag *d;
} Finder;

/* model.onnx, or the only one where there are test sets; NULL when there is none, or it cannot be
 * told which. */
static const char *model_in(const Finder *f, const char *folder, const char **names, int n)
{
    const char *found = NULL;
    bool sets = false;

    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], "model.onnx") == 0) return path_join(f->arena, folder, names[i]);
        sets = sets || str_starts(names[i], "test_data_set_");
        if (!str_ends(names[i], ".onnx")) continue;
        if (found) return NULL;
        found = names[i];
    }
    return found && sets ? path_join(f->arena, folder, found) : NULL;
}

static bool wanted(const Finder *f, const char *folder)
{
    return !f->filter || fnmatch(f->filter, path_name(folder), 0) == 0 ||
           fnmatch(f->filter, folder, 0) == 0;
}

static Status add(const Finder *f, const char *folder, const char *model)
{
    const char **sets;
    int n;
    Test t = {.name = folder, .folder = folder, .model = model};

    if (!wanted(f, folder)) return OK;
    TRY(test_sets(folder, f->arena, &sets, &n, f->d));
    if (!n) {
        t.verdict = SKIPPED;
        t.why = "there is no test_data_set_0 beside the model";
        t.done = true;
    }
    VEC_PUSH(f->arena, f->out->item, f->out->n, f->out->cap, t);
    return OK;
}

static Status walk(const Finder *f, const char *folder, int depth)
{
    const char **names, *model;
    int n;

    TRY(folder_list(f->arena, folder, &names, &n, f->d));
    model = model_in(f, folder, names, n);
    if (model) return add(f, folder, model);
    if (depth == MOST_DEPTH) return OK;
    for (int i = 0; i < n; i++) {
        const char *below = path_join(f->arena, folder, names[i]);
        if (path_is_folder(below)) TRY(walk(f, below, depth + 1));
    }
    return OK;
}

static const char *without_slash(Arena *a, const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_strndup(a, path, n);
}

Status test_find(const char *path, const char *filter, Arena *arena, TestList *out, Diag *d)
{
    Finder f = {filter, arena, out, d};
    int before = out->n;

    TRY(walk(&f, without_slash(arena, path), 0));
    if (out->n == before && !filter)
        return diag(d, ERR_USAGE, (Where){.file = path},
                    "there is no model here: expected folders with model.onnx and "
                    "test_data_set_0/input_0.pb, output_0.pb");
    return OK;
}
