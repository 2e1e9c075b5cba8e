/* rt_npz.c: numpy's .npz, a zip archive of .npy files. Of the archive the central directory is
 * read, then one member, stored or deflated. Its declared size is believed only as far as deflate
 * can expand (1032 times), and as the tensor may be large, before memory is taken for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_io.h"

#define HEADER_MOST (1 << 20)

typedef struct Member {
    const char *name; /* not terminated */
    size_t name_size;
    int method; /* 0 stored, 8 deflated */
    bool encrypted;
    uint32_t crc;
    uint64_t packed, size, header_at;
} Member;

static uint32_t le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static uint32_t le32(const uint8_t *p)
{
    return le16(p) | le16(p + 2) << 16;
}
static uint64_t le64(const uint8_t *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* Sizes of 2^32 - 1 in a header stand, as 64-bit numbers, in its extra field 1, in this order. */
static void zip64_sizes(const uint8_t *extra, size_t n, Member *m)
{
    uint64_t *const slots[] = {&m->size, &m->packed, &m->header_at};

    for (size_t at = 0; at + 4 <= n;) {
        size_t length = le16(extra + at + 2), field = at + 4;
        if (length > n - field) return;
        for (size_t k = 0; le16(extra + at) == 1 && k < 3; k++) {
            if (*slots[k] != 0xffffffff) continue;
            if (field + 8 > at + 4 + length) return;
            *slots[k] = le64(extra + field);
            field += 8;
        }
        at += 4 + length;
    }
}

/* The entry of the central directory at *at; false at its end. */
static bool next_member(const RtReader *r, size_t *at, Member *m)
{
    const uint8_t *p = r->data + *at;
    size_t left = r->size - *at, name, extra, comment;

    if (left < 46 || le32(p) != 0x02014b50) return false;
    name = le16(p + 28);
    extra = le16(p + 30);
    comment = le16(p + 32);
    if (46 + name + extra + comment > left) return false;
    *m = (Member){.name = (const char *)p + 46,
                  .name_size = name,
                  .method = (int)le16(p + 10),
                  .encrypted = p[8] & 1,
                  .crc = le32(p + 16),
                  .packed = le32(p + 20),
                  .size = le32(p + 24),
                  .header_at = le32(p + 42)};
    zip64_sizes(p + 46 + name, extra, m);
    *at += 46 + name + extra + comment;
    return true;
}

/* Where the central directory begins; SIZE_MAX when there is none. */
static size_t find_directory(const RtReader *r)
{
    size_t least = r->size > 65557 ? r->size - 65557 : 0;

    for (size_t at = r->size >= 22 ? r->size - 22 + 1 : 0; at-- > least;) {
        if (le32(r->data + at) != 0x06054b50) continue;
        uint64_t start = le32(r->data + at + 16);
        if (start == 0xffffffff && at >= 20 && le32(r->data + at - 20) == 0x07064b50) {
            uint64_t end64 = le64(r->data + at - 20 + 8);
            if (end64 > r->size || r->size - end64 < 56) return SIZE_MAX;
            start = le64(r->data + end64 + 48);
        }
        return start <= r->size ? (size_t)start : SIZE_MAX;
    }
    return SIZE_MAX;
}

static bool is_named(const Member *m, const char *name)
{
    size_t n = strlen(name);

    if (m->name_size == n + 4 && memcmp(m->name + n, ".npy", 4) == 0)
        return memcmp(m->name, name, n) == 0;
    return m->name_size == n && memcmp(m->name, name, n) == 0;
}

/* The member that is wanted by name, else the only one. */
static int32_t choose_member(const RtReader *r, Member *chosen)
{
    const ingot_tensor_want *w = r->want;
    const char *name = w && w->member ? w->member : w && w->port ? w->port->name : NULL;
    size_t at = find_directory(r), count = 0;
    Member m;
    char list[160] = "";
    size_t n = 0;

    if (at == SIZE_MAX) return ingot_rt_io_fail(r, INGOT_ERR_DATA, "is no whole zip archive");
    for (; next_member(r, &at, &m); count++) {
        if (name && is_named(&m, name)) {
            *chosen = m;
            return INGOT_OK;
        }
        if (!count) *chosen = m;
        if (n < sizeof list) {
            int shown = m.name_size < 40 ? (int)m.name_size : 40;
            n += (size_t)snprintf(list + n, sizeof list - n, " %.*s", shown, m.name);
        }
    }
    if (count == 1 && !(w && w->member)) return INGOT_OK;
    return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "has no member '%s', but %zu others:%s",
                            name ? name : "", count, list);
}

/* The member's bytes within the file; NULL and a message when they are not there. */
static const uint8_t *locate(const RtReader *r, const Member *m)
{
    const uint8_t *p = r->data + m->header_at;
    uint64_t left;

    if (m->header_at > r->size || r->size - m->header_at < 30 || le32(p) != 0x04034b50) return NULL;
    left = r->size - m->header_at - 30;
    uint64_t skip = (uint64_t)le16(p + 26) + le16(p + 28);
    return skip <= left && m->packed <= left - skip ? p + 30 + skip : NULL;
}

static int32_t unpack(const RtReader *r, const Member *m, const uint8_t *packed, uint8_t **unpacked,
                      RtReader *member)
{
    member->size = (size_t)m->size;
    member->data = packed;
    if (m->method == 8) {
        uint64_t most = (uint64_t)ingot_rt_io_most(r) *
                        (r->want && r->want->port && r->want->port->dtype == INGOT_STRING ? 4 : 1);
        if (m->size / INGOT_RT_DEFLATE_MOST > m->packed ||
            (m->size > HEADER_MOST && m->size - HEADER_MOST > most)) {
            return ingot_rt_io_fail(r, INGOT_ERR_LIMIT,
                                    "member '%.*s' says that it has %llu bytes, too many",
                                    (int)m->name_size, m->name, (unsigned long long)m->size);
        }
        *unpacked = malloc((size_t)m->size + 1);
        if (!*unpacked)
            return ingot_rt_io_fail(r, INGOT_ERR_LIMIT, "no memory for %llu bytes",
                                    (unsigned long long)m->size);
        member->data = *unpacked;
        if (!ingot_rt_inflate(packed, (size_t)m->packed, *unpacked, (size_t)m->size)) {
            return ingot_rt_io_fail(r, INGOT_ERR_DATA,
                                    "member '%.*s' does not inflate to %llu bytes",
                                    (int)m->name_size, m->name, (unsigned long long)m->size);
        }
    }
    if (ingot_rt_crc32(0, member->data, member->size) != m->crc) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "member '%.*s' is damaged (wrong checksum)",
                                (int)m->name_size, m->name);
    }
    return ingot_rt_read_npy(member);
}

int32_t ingot_rt_read_npz(const RtReader *r)
{
    Member m = {0};
    RtReader member = *r;
    uint8_t *unpacked = NULL;
    const uint8_t *packed;
    int32_t status = choose_member(r, &m);

    if (status) return status;
    packed = locate(r, &m);
    if (!packed || (m.method != 0 && m.method != 8) || m.encrypted ||
        (m.method == 0 && m.size != m.packed)) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA,
                                "member '%.*s' is not there, or is packed by method %d",
                                (int)m.name_size, m.name, m.method);
    }
    status = unpack(r, &m, packed, &unpacked, &member);
    free(unpacked);
    return status;
}

/* ---- writing: one member, stored ---- */

/* What the local header and the central directory have in common. 1980-01-01, so that equal tensors
 * give equal files. */
static void put_entry(RtSink *s, uint32_t crc, uint64_t size, size_t name)
{
    ingot_rt_sink_le(s, 0, 2); /* flags */
    ingot_rt_sink_le(s, 0, 2); /* stored */
    ingot_rt_sink_le(s, 0x00210000, 4);
    ingot_rt_sink_le(s, crc, 4);
    ingot_rt_sink_le(s, size, 4);
    ingot_rt_sink_le(s, size, 4);
    ingot_rt_sink_le(s, name, 2);
}

bool ingot_rt_write_npz(RtSink *s, const ingot_tensor *t, const char *name, const char **why)
{
    RtSink body = {0};
    char file[256];
    size_t n = (size_t)snprintf(file, sizeof file, "%s.npy", *name ? name : "arr_0"), directory;
    uint32_t crc;

    *why = "a name this long, or a tensor of 4 GiB or more, cannot go into .npz: use .npy";
    if (n >= sizeof file) return false;
    ingot_rt_write_npy(&body, t, name, why);
    if (body.failed || body.size >= 0xffffff00) {
        s->failed = body.failed;
        free(body.data);
        return s->failed;
    }
    crc = ingot_rt_crc32(0, body.data, body.size);
    ingot_rt_sink_le(s, 0x04034b50, 4);
    ingot_rt_sink_le(s, 20, 2);
    put_entry(s, crc, body.size, n);
    ingot_rt_sink_le(s, 0, 2);
    ingot_rt_sink_put(s, file, n);
    ingot_rt_sink_put(s, body.data, body.size);
    free(body.data);
    directory = s->size;
    ingot_rt_sink_le(s, 0x02014b50, 4);
    ingot_rt_sink_le(s, 20 | 20u << 16, 4);
    put_entry(s, crc, body.size, n);
    ingot_rt_sink_put(s, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                      16); /* extra, comment, disk, attributes, offset 0 */
    ingot_rt_sink_put(s, file, n);
    ingot_rt_sink_le(s, 0x06054b50, 4);
    ingot_rt_sink_le(s, 0, 4);
    ingot_rt_sink_le(s, 1u | 1u << 16, 4);
    ingot_rt_sink_le(s, s->size - 12 - directory, 4);
    ingot_rt_sink_le(s, directory, 4);
    ingot_rt_sink_le(s, 0, 2);
    return true;
}
