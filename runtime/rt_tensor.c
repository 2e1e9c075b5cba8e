/* rt_tensor.c: which reader or writer for a file, and what all of them share. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/rt_io.h"

#define MOST_BYTES ((int64_t)64 << 30)

int32_t ingot_rt_io_fail(const RtReader *r, int32_t code, const char *format, ...)
{
    va_list args;
    int n = snprintf(r->error, r->error_size, "%s: ", r->path);

    if (n < 0 || (size_t)n >= r->error_size) return code;
    va_start(args, format);
    vsnprintf(r->error + n, r->error_size - (size_t)n, format, args);
    va_end(args);
    return code;
}

const char *ingot_dtype_name(int32_t dtype)
{
    return ingot_rt_dtype_name(dtype);
}

int64_t ingot_tensor_elements(const ingot_tensor *t)
{
    return ingot_rt_elements(t->dtype, t->rank, t->dims);
}

void ingot_tensor_type_text(int32_t dtype, int32_t rank, const int64_t *dims,
                            const char *const *symbols, char *out, size_t size)
{
    int n = snprintf(out, size, "%s", ingot_rt_dtype_name(dtype));

    if (n >= 0 && (size_t)n < size)
        ingot_rt_dims_text(rank, dims, symbols, out + n, size - (size_t)n);
}

bool ingot_rt_dtype_is_void(int32_t dtype)
{
    return dtype == INGOT_BF16 || (dtype >= INGOT_F8E4M3FN && dtype <= INGOT_F6E3M2);
}

int32_t ingot_rt_dtype_bits(int32_t dtype)
{
    switch (dtype) {
    case INGOT_U4:
    case INGOT_I4:
    case INGOT_F4E2M1:
        return 4;
    case INGOT_F6E2M3:
    case INGOT_F6E3M2:
        return 6;
    case INGOT_U2:
    case INGOT_I2:
        return 2;
    default:
        return (int32_t)ingot_rt_dtype_size(dtype) * 8;
    }
}

/* ---- memory of the tensor ---- */

static int64_t limit_of(const RtReader *r)
{
    return r->want && r->want->max_bytes > 0 ? r->want->max_bytes : MOST_BYTES;
}

int64_t ingot_rt_io_most(const RtReader *r)
{
    const ingot_port *p = r->want ? r->want->port : NULL;
    int64_t n = p && p->rank >= 0 ? ingot_rt_elements(p->dtype, p->rank, p->dims) : -1;

    if (n < 0 || p->dtype == INGOT_STRING) return limit_of(r);
    n *= ingot_rt_dtype_size(p->dtype);
    return n < limit_of(r) ? n : limit_of(r);
}

static int32_t misfit(const RtReader *r, const char *what, int32_t dtype, int32_t rank,
                      const int64_t *dims)
{
    const ingot_port *p = r->want->port;
    char found[160], expected[160];

    ingot_tensor_type_text(dtype, rank, dims, NULL, found, sizeof found);
    ingot_tensor_type_text(p->dtype, p->rank, p->dims, p->symbols, expected, sizeof expected);
    return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "%s for '%s': found %s, expected %s", what, p->name,
                            found, expected);
}

/* Against the port; a lower rank gets leading dims of 1. */
static int32_t fit_port(const RtReader *r, int32_t dtype, int32_t *rank, int64_t *dims)
{
    const ingot_port *p = r->want ? r->want->port : NULL;
    int32_t more;

    if (!p) return INGOT_OK;
    if (dtype != p->dtype) return misfit(r, "wrong dtype", dtype, *rank, dims);
    if (p->rank < 0) return INGOT_OK;
    if (*rank > p->rank || p->rank > INGOT_MAX_RANK)
        return misfit(r, "wrong rank", dtype, *rank, dims);
    more = p->rank - *rank;
    for (int32_t k = 0; k < p->rank; k++) {
        int64_t got = k < more ? 1 : dims[k - more];
        if (p->dims[k] >= 0 && p->dims[k] != got) {
            return misfit(r, more ? "wrong rank" : "wrong size", dtype, *rank, dims);
        }
    }
    memmove(dims + more, dims, (size_t)*rank * sizeof *dims);
    for (int32_t k = 0; k < more; k++)
        dims[k] = 1;
    *rank = p->rank;
    return INGOT_OK;
}

int32_t ingot_rt_io_take(const RtReader *r, int32_t dtype, int32_t rank, const int64_t *dims,
                         size_t extra)
{
    ingot_tensor *t = r->out;
    int64_t n, bytes;
    int32_t status;
    void *data = NULL;

    *t = (ingot_tensor){.dtype = dtype, .rank = rank};
    n = ingot_rt_elements(dtype, rank, dims);
    if (n < 0) return ingot_rt_io_fail(r, INGOT_ERR_DATA, "impossible dims or dtype");
    memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    status = fit_port(r, dtype, &t->rank, t->dims);
    if (status) return status;
    bytes = n * ingot_rt_dtype_size(dtype);
    if (bytes > limit_of(r) || extra > (size_t)(limit_of(r) - bytes)) {
        return ingot_rt_io_fail(r, INGOT_ERR_LIMIT, "%lld bytes are more than the limit of %lld",
                                (long long)bytes, (long long)limit_of(r));
    }
    if (posix_memalign(&data, INGOT_RT_ALIGN, (size_t)bytes + extra + (bytes == 0)) != 0) {
        return ingot_rt_io_fail(r, INGOT_ERR_LIMIT, "no memory for %lld bytes", (long long)bytes);
    }
    memset(data, 0, (size_t)bytes + extra + (bytes == 0));
    t->data = data;
    t->capacity = bytes;
    return INGOT_OK;
}

void ingot_tensor_free(ingot_tensor *t)
{
    for (int64_t i = 0; ingot_tensor_is_list(t) && t->data && i < t->dims[0]; i++)
        ingot_tensor_free((ingot_tensor *)t->data + i);
    free(t->data);
    *t = (ingot_tensor){0};
}

/* ---- random and raw ---- */

/* If one dim alone is open, it follows from the number of elements. */
static void infer_open_dim(int32_t rank, int64_t total, int64_t *dims)
{
    int64_t rest = 1;
    int32_t open = -1;

    for (int32_t k = 0; k < rank; k++) {
        if (dims[k] < 0 && open >= 0) return;
        if (dims[k] < 0) {
            open = k;
        } else if (__builtin_mul_overflow(rest, dims[k], &rest)) {
            return;
        }
    }
    if (open >= 0 && rest > 0 && total % rest == 0) dims[open] = total / rest;
}

static int32_t need_port(const RtReader *r)
{
    const ingot_port *p = r->want ? r->want->port : NULL;

    if (p && p->rank >= 0 && p->rank <= INGOT_MAX_RANK) return INGOT_OK;
    return ingot_rt_io_fail(r, INGOT_ERR_USAGE,
                            "this format says neither dtype nor dims, and none are known here");
}

int32_t ingot_rt_io_settle(const RtReader *r, int64_t total, int64_t *dims)
{
    int32_t status = need_port(r);
    const ingot_port *p;

    if (status) return status;
    p = r->want->port;
    for (int32_t k = 0; k < p->rank; k++)
        dims[k] = p->dims[k] < 0 && r->want->dims ? r->want->dims[k] : p->dims[k];
    if (total >= 0) infer_open_dim(p->rank, total, dims);
    for (int32_t k = 0; k < p->rank; k++) {
        const char *symbol = p->symbols && p->symbols[k] ? p->symbols[k] : "?";
        if (dims[k] >= 0) continue;
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE,
                                "dim %d ('%s') of '%s' is open: say its size with --dim %s=N",
                                (int)k, symbol, p->name, symbol);
    }
    return INGOT_OK;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Nearly normal, mean 0, deviation 1: the sum of twelve uniform numbers, less 6. Exact, so equal
 * everywhere. */
static double next_normal(uint64_t *state)
{
    int64_t sum = 0;

    for (int i = 0; i < 3; i++) {
        uint64_t v = next_random(state);
        sum += (int64_t)((v & 0xffff) + (v >> 16 & 0xffff) + (v >> 32 & 0xffff) + (v >> 48));
    }
    return (double)sum / 65536.0 - 6.0;
}

/* Floats nearly normal; bytes of any value; wider integers and booleans 0 or 1, which are valid as
 * indices and masks. */
static void fill_random(ingot_tensor *t, uint64_t state)
{
    int64_t n = ingot_tensor_elements(t), size = ingot_rt_dtype_size(t->dtype);
    int32_t parts = t->dtype == INGOT_C64 || t->dtype == INGOT_C128 ? 2 : 1;
    int32_t dtype = t->dtype == INGOT_C64    ? INGOT_F32
                    : t->dtype == INGOT_C128 ? INGOT_F64
                                             : t->dtype;

    for (int64_t i = 0; i < n * parts; i++) {
        char *at = (char *)t->data + i * (size / parts);
        switch (dtype) {
        case INGOT_STRING:
            *(ingot_string *)(void *)at =
                (ingot_string){"ingot", (int64_t)(next_random(&state) % 6)};
            break;
        case INGOT_F32:
        case INGOT_F64:
        case INGOT_F16:
        case INGOT_BF16:
            ingot_rt_store(dtype, at, next_normal(&state));
            break;
        case INGOT_U8:
        case INGOT_I8:
            *at = (char)next_random(&state);
            break;
        default: /* the small floats: bits of small finite values */
            ingot_rt_store(dtype, at, (double)(next_random(&state) & 1));
        }
    }
}

static int32_t read_random(const RtReader *r);

/* A sequence of three, an optional that is there; open dims of an element grow with its place. */
static int32_t random_list(const RtReader *r)
{
    const ingot_port *p = r->want->port;
    int64_t n = p->dtype == INGOT_SEQUENCE ? 3 : p->dtype == INGOT_MAP ? 2 : 1;
    int32_t status = ingot_rt_io_take(r, p->dtype, 1, &n, 0);

    for (int64_t i = 0; !status && i < n; i++) {
        int64_t dims[INGOT_MAX_RANK];
        ingot_port elem = p->elem[p->dtype == INGOT_MAP ? i : 0];
        int64_t any[1] = {-1};
        ingot_tensor_want want = {
            .port = &elem, .dims = dims, .seed = r->want->seed * 31 + (uint64_t)i};
        RtReader inner = *r;
        for (int32_t k = 0; k < INGOT_MAX_RANK; k++)
            dims[k] = p->dtype == INGOT_MAP ? 3 : i + 1;
        if (elem.rank < 0) {
            elem.rank = 1;
            elem.dims = any;
            elem.symbols = NULL;
        }
        inner.want = &want;
        inner.out = (ingot_tensor *)r->out->data + i;
        status = read_random(&inner);
    }
    return status;
}

static int32_t read_random(const RtReader *r)
{
    int64_t dims[INGOT_MAX_RANK] = {0};
    uint64_t state = r->want ? r->want->seed : 0;
    int32_t status;

    if (r->want && r->want->port && r->want->port->elem) return random_list(r);
    status = ingot_rt_io_settle(r, -1, dims);
    if (!status) status = ingot_rt_io_take(r, r->want->port->dtype, r->want->port->rank, dims, 0);
    if (status) return status;
    for (const char *s = r->want->port->name; *s; s++) /* inputs of one model differ */
        state = (state ^ (uint64_t)(unsigned char)*s) * 0x100000001b3u;
    fill_random(r->out, state);
    return INGOT_OK;
}

static int32_t read_raw(const RtReader *r)
{
    int64_t dims[INGOT_MAX_RANK] = {0}, size;
    const ingot_port *p = r->want ? r->want->port : NULL;
    int32_t status = need_port(r);

    if (status) return status;
    size = ingot_rt_dtype_size(p->dtype);
    if (p->dtype == INGOT_STRING || size == 0) {
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "strings cannot be read from a raw file");
    }
    status = ingot_rt_io_settle(r, (int64_t)r->size % size ? -1 : (int64_t)r->size / size, dims);
    if (!status) status = ingot_rt_io_take(r, p->dtype, p->rank, dims, 0);
    if (status) return status;
    if ((size_t)r->out->capacity != r->size) {
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "has %zu bytes, '%s' needs %lld", r->size,
                                p->name, (long long)r->out->capacity);
    }
    if (r->size) memcpy(r->out->data, r->data, r->size);
    return INGOT_OK;
}

/* ---- which format ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcasecmp(s + n - m, end) == 0;
}

typedef struct Format {
    const char *magic; /* the first bytes, or NULL: told by the name only */
    const char *extension;
    int32_t (*read)(const RtReader *r);
    bool (*write)(RtSink *s, const ingot_tensor *t, const char *name, const char **why);
} Format;

static bool write_raw(RtSink *s, const ingot_tensor *t, const char *name, const char **why)
{
    (void)name;
    *why = "strings cannot be written to a raw file";
    if (t->dtype == INGOT_STRING) return false;
    ingot_rt_sink_put(s, t->data,
                      (size_t)(ingot_tensor_elements(t) * ingot_rt_dtype_size(t->dtype)));
    return true;
}

static const Format formats[] = {
    {NULL, ".raw", read_raw, write_raw},
    {NULL, ".bin", read_raw, write_raw},
    {NULL, ".pb", ingot_rt_read_pb, ingot_rt_write_pb},
    {NULL, ".txt", ingot_rt_read_text, ingot_rt_write_text},
    {NULL, ".csv", ingot_rt_read_text, NULL},
    {"\x93NUMPY", ".npy", ingot_rt_read_npy, ingot_rt_write_npy},
    {"PK\x03\x04", ".npz", ingot_rt_read_npz, ingot_rt_write_npz},
    {"\x89PNG", ".png", ingot_rt_read_png, NULL},
    {"P2", ".pgm", ingot_rt_read_pnm, ingot_rt_write_pnm},
    {"P5", ".pgm", ingot_rt_read_pnm, ingot_rt_write_pnm},
    {"P3", ".ppm", ingot_rt_read_pnm, ingot_rt_write_pnm},
    {"P6", ".pnm", ingot_rt_read_pnm, ingot_rt_write_pnm},
};

#define N_FORMATS (sizeof formats / sizeof *formats)

static const Format *find_format(const RtReader *r)
{
    for (size_t i = 0; i < N_FORMATS; i++) {
        const Format *f = &formats[i];
        size_t n = f->magic ? strlen(f->magic) : 0;
        if (!f->magic ? ends_with(r->path, f->extension)
                      : r->size >= n && memcmp(r->data, f->magic, n) == 0) {
            return f;
        }
    }
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (formats[i].magic && ends_with(r->path, formats[i].extension)) return &formats[i];
    }
    return NULL;
}

static int32_t read_bytes(const RtReader *r)
{
    const Format *f = find_format(r);
    int32_t status;

    if (r->want && r->want->port && r->want->port->elem && (!f || f->read != ingot_rt_read_pb)) {
        status = ingot_rt_io_fail(r, INGOT_ERR_USAGE,
                                  "'%s' is a list of tensors, which is read from a .pb file",
                                  r->want->port->name);
    } else if (f) {
        status = f->read(r);
    } else if (r->want && r->want->port && ingot_rt_io_most(r) == (int64_t)r->size) {
        status = read_raw(r);
    } else {
        status = ingot_rt_io_fail(
            r, INGOT_ERR_USAGE,
            "unknown format: .npy .npz .pb .png .pgm .ppm .txt .csv .raw can be read");
    }
    if (status) ingot_tensor_free(r->out);
    return status;
}

int32_t ingot_tensor_read_bytes(const char *path, const void *data, size_t size,
                                const ingot_tensor_want *want, ingot_tensor *out, char *error,
                                size_t error_size)
{
    RtReader r = {path, data, size, want, out, error, error_size};

    *out = (ingot_tensor){0};
    return read_bytes(&r);
}

/* The whole of a regular file (or pipe), at most a little over the limit. */
static int32_t load(RtReader *r, int fd)
{
    uint8_t *data = NULL;
    size_t size = 0, capacity = 0, most = (size_t)limit_of(r) + ((size_t)1 << 20);
    struct stat st;
    ssize_t n = 1;

    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode))
        return ingot_rt_io_fail(r, INGOT_ERR_IO, "is not a file");
    capacity = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size + 1 : 1 << 16;
    while (n > 0) {
        if (capacity > most) capacity = most;
        uint8_t *more = size < capacity ? realloc(data, capacity) : NULL;
        if (!more) {
            free(data);
            return ingot_rt_io_fail(r, INGOT_ERR_LIMIT, "the file is too large");
        }
        data = more;
        do {
            n = read(fd, data + size, capacity - size);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            free(data);
            return ingot_rt_io_fail(r, INGOT_ERR_IO, "%s", strerror(errno));
        }
        size += (size_t)n;
        if (size == capacity) capacity *= 2;
    }
    r->data = data;
    r->size = size;
    return INGOT_OK;
}

int32_t ingot_tensor_read(const char *path, const ingot_tensor_want *want, ingot_tensor *out,
                          char *error, size_t error_size)
{
    RtReader r = {path, NULL, 0, want, out, error, error_size};
    int32_t status;
    int fd;

    *out = (ingot_tensor){0};
    if (strcmp(path, "random") == 0) {
        status = read_random(&r);
        if (status) ingot_tensor_free(out);
        return status;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ingot_rt_io_fail(&r, INGOT_ERR_IO, "%s", strerror(errno));
    status = load(&r, fd);
    close(fd);
    if (!status) status = read_bytes(&r);
    free((void *)(uintptr_t)r.data);
    return status;
}

/* ---- writing ---- */

void ingot_rt_sink_put(RtSink *s, const void *data, size_t size)
{
    if (s->failed || size == 0) return;
    if (size > s->capacity - s->size) {
        size_t more = s->size + size + s->size / 2 + 256;
        uint8_t *p = realloc(s->data, more);
        if (!p) {
            s->failed = true;
            return;
        }
        s->data = p;
        s->capacity = more;
    }
    memcpy(s->data + s->size, data, size);
    s->size += size;
}

void ingot_rt_sink_text(RtSink *s, const char *format, ...)
{
    char text[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0) ingot_rt_sink_put(s, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void ingot_rt_sink_le(RtSink *s, uint64_t value, int bytes)
{
    uint8_t b[8];

    for (int i = 0; i < bytes; i++)
        b[i] = (uint8_t)(value >> 8 * i);
    ingot_rt_sink_put(s, b, (size_t)bytes);
}

/* To a temporary name beside `path`, then renamed: nobody sees half a file. Devices and pipes are
 * written directly. */
static int write_file(const char *path, const RtSink *s)
{
    char temporary[4096];
    struct stat st;
    bool direct = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    int n = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    int fd, error = 0;

    if (n < 0 || (size_t)n >= sizeof temporary) return ENAMETOOLONG;
    fd = open(direct ? path : temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    for (size_t at = 0; at < s->size && !error;) {
        ssize_t w = write(fd, s->data + at, s->size - at);
        if (w < 0 && errno != EINTR) error = errno;
        if (w > 0) at += (size_t)w;
    }
    if (close(fd) != 0 && !error) error = errno;
    if (!direct && !error && rename(temporary, path) != 0) error = errno;
    if (!direct && error) unlink(temporary);
    return error;
}

int32_t ingot_tensor_write(const char *path, const ingot_tensor *t, const char *name, char *error,
                           size_t error_size)
{
    RtReader r = {.path = path, .error = error, .error_size = error_size};
    RtSink s = {0};
    const Format *f = NULL;
    const char *why = "";
    int failure;

    for (size_t i = 0; i < N_FORMATS && !f; i++) {
        if (formats[i].write && ends_with(path, formats[i].extension)) f = &formats[i];
    }
    if (!f) {
        return ingot_rt_io_fail(
            &r, INGOT_ERR_USAGE,
            "unknown format: .npy .npz .pb .txt .pgm .ppm .raw .bin can be written");
    }
    if (ingot_tensor_elements(t) < 0)
        return ingot_rt_io_fail(&r, INGOT_ERR_USAGE, "impossible dims or dtype");
    if (ingot_tensor_is_list(t) && f->write != ingot_rt_write_pb)
        return ingot_rt_io_fail(&r, INGOT_ERR_USAGE,
                                "a list of tensors can be written to a .pb file only");
    if (!f->write(&s, t, name ? name : "", &why)) {
        free(s.data);
        return ingot_rt_io_fail(&r, INGOT_ERR_USAGE, "%s", why);
    }
    failure = s.failed ? ENOMEM : write_file(path, &s);
    free(s.data);
    if (failure)
        return ingot_rt_io_fail(&r, failure == ENOMEM ? INGOT_ERR_LIMIT : INGOT_ERR_IO, "%s",
                                strerror(failure));
    return INGOT_OK;
}
