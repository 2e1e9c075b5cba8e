/* tensor_fuzz.c: any bytes through the readers of tensor files. With libFuzzer the first byte
 * chooses format and port, the rest is the file; without, a program that replays files under their
 * own names. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingot/ingot_tensor_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const int64_t dims[] = {-1, 3, -1, 8};
static const ingot_port ports[] = {{"x", INGOT_F32, 4, dims, NULL, 0},
                                   {"x", INGOT_STRING, 2, dims, NULL, 0},
                                   {"x", INGOT_I4, 1, dims, NULL, 0},
                                   {"x", INGOT_BF16, -1, NULL, NULL, 0}};

/* What was read is walked over and written again, so that a tensor that only looks right is
 * noticed. */
static int32_t load(const char *path, const uint8_t *bytes, size_t size, const ingot_port *port)
{
    ingot_tensor_want want = {.port = port, .max_bytes = 1 << 24};
    ingot_tensor t;
    char why[200], text[40];
    int32_t status = ingot_tensor_read_bytes(path, bytes, size, &want, &t, why, sizeof why);

    if (status) {
        if (t.data || !why[0]) abort();
        return status;
    }
    int64_t n = ingot_tensor_elements(&t);
    if (n < 0 || !t.data) abort();
    for (int64_t i = 0; i < n && i < 1000; i++)
        ingot_tensor_element_text(&t, i, text, sizeof text);
    ingot_tensor_free(&t);
    return INGOT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const paths[] = {"a.npy", "a.npz", "a.pb",  "a.png",
                                        "a.pgm", "a.txt", "a.raw", "a"};

    if (size == 0) return 0;
    unsigned port = bytes[0] >> 3 & 7;
    load(paths[bytes[0] & 7], bytes + 1, size - 1, port < 4 ? &ports[port] : NULL);
    return 0;
}

#ifndef INGOT_FUZZ
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char why[400];
        ingot_tensor t;
        int32_t status = ingot_tensor_read(argv[i], NULL, &t, why, sizeof why);
        printf("%s: %s\n", argv[i], status ? why : "ok");
        ingot_tensor_free(&t);
    }
    return 0;
}
#endif
