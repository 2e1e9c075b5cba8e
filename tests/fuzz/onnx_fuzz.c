/* onnx_fuzz.c: any bytes through the reader of ONNX models, and what it accepts through the
 * verifier. With libFuzzer (INGOT_FUZZ=ON, clang) a fuzz target; without, a program that replays
 * files and says what the reader says of each. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static Status load(const uint8_t *bytes, size_t size, const char *path, bool say)
{
    Arena *arena = arena_new(0);
    Diag d;
    Loaded loaded;

    if (!arena) return ERR_LIMIT;
    diag_init(&d, arena);
    Status s = frontend_load_bytes(bytes, size, path, NULL, arena, &loaded, &d);
    if (s == OK && graph_verify(loaded.module, STAGE_INFERRED, &d) != OK) {
        frontend_close(&loaded);
        s = ERR_BUG;
    }
    if (say) {
        for (const DiagItem *i = d.first; i; i = i->next)
            printf("    %s\n", diag_format(i, arena));
        int n = 0;
        for (const Node *x = s == OK ? loaded.module->main->first : NULL; x; x = x->next)
            n++;
        printf("%s: %s, %d nodes, %zu KiB\n", path, status_text(s), n, arena_used(arena) / 1024);
    }
    if (s == OK) frontend_close(&loaded);
    arena_free(arena);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    return load(bytes, size, "", false) == ERR_BUG ? abort(), 1 : 0;
}

#ifndef INGOT_FUZZ
int main(int argc, char **argv)
{
    Arena *arena = arena_new(0);
    int failures = 0;
    Diag d;

    if (!arena) return 1;
    diag_init(&d, arena);
    for (int i = 1; i < argc; i++) {
        FileBytes file;
        if (file_read(argv[i], &file, &d) != OK) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            failures++;
            continue;
        }
        failures += load(file.data, file.size, argv[i], true) == ERR_BUG;
        file_close(&file);
    }
    arena_free(arena);
    return failures > 0;
}
#endif
