/* link_ar.c: ar archives in GNU's form, read and written.
 *
 *     "!<arch>\n"  [header "/"  symbol table]  [header "//" long names]  [header, object] ...
 *
 * Headers are 60 characters of text; members begin at even offsets. Times, owners and modes are
 * constants, so that equal objects give equal archives. The symbol table (offset of a member for
 * each global symbol that it defines) is what makes a linker take a member; beyond 4 GiB it has
 * 64-bit offsets ("/SYM64/"). */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/link/link_impl.h"
#include "support/checked.h"
#include "support/io.h"
#include "support/vec.h"

enum { MAGIC = 8, HEADER = 60 };

/* ---- reading ---- */

/* The decimal number that begins a field of text. */
static bool field_number(const char *s, size_t width, size_t *out)
{
    size_t v = 0, i = 0;

    for (; i < width && s[i] >= '0' && s[i] <= '9'; i++)
        v = v * 10 + (size_t)(s[i] - '0');
    *out = v;
    return i > 0;
}

/* Name of a member: up to '/', in the header or in the table of long names. */
static const char *member_name(LinkBytes archive, const char *header, Arena *a)
{
    const char *s = header, *all = archive.data;
    size_t n = 0, most = 16, at, size, offset;

    if (header[0] == '/' && field_number(header + 1, 15, &offset)) {
        for (at = MAGIC; archive.size - at >= HEADER; at += HEADER + size + size % 2) {
            if (!field_number(all + at + 48, 10, &size) || size > archive.size - at - HEADER)
                return "?";
            if (memcmp(all + at, "// ", 3) != 0) continue;
            if (offset > size) return "?";
            s = all + at + HEADER + offset;
            most = size - offset;
            break;
        }
    }
    while (n < most && s[n] != '/' && s[n] != '\n')
        n++;
    return arena_strndup(a, s, n);
}

bool link_ar_next(LinkBytes archive, size_t *at, const char **name, LinkBytes *member, Arena *a)
{
    const char *all = archive.data, *header;
    size_t size;

    if (*at == 0) *at = MAGIC;
    for (; *at < archive.size && archive.size - *at >= HEADER; *at += size + size % 2) {
        header = all + *at;
        if (!field_number(header + 48, 10, &size) || size > archive.size - *at - HEADER)
            return false;
        *at += HEADER;
        if (header[0] == '/' && (header[1] == ' ' || header[1] == '/' || header[1] == 'S'))
            continue;
        *name = member_name(archive, header, a);
        *member = (LinkBytes){all + *at, size};
        *at += size + size % 2;
        return true;
    }
    return false;
}

/* ---- the symbols that an object defines ---- */

typedef struct Symbol {
    const char *name;
    int file;
} Symbol;

typedef struct Symbols {
    Arena *arena;
    Symbol *item;
    int n, cap;
} Symbols;

/* [offset, offset + size) of a file in pieces, if it lies in one of them; headers and tables do. */
static const void *view(const LinkFile *f, uint64_t offset, uint64_t size)
{
    for (int i = 0; i < f->n_pieces; i++) {
        if (offset < f->piece[i].size) {
            if (!f->piece[i].data) return NULL;
            return size <= f->piece[i].size - offset ? (const char *)f->piece[i].data + offset
                                                     : NULL;
        }
        offset -= f->piece[i].size;
    }
    return NULL;
}

static void add_symbols(Symbols *s, int file, const LinkFile *f, const Elf64_Shdr *table,
                        const Elf64_Shdr *strings)
{
    const char *text = view(f, strings->sh_offset, strings->sh_size);

    for (uint64_t i = 1; text && i < table->sh_size / sizeof(Elf64_Sym); i++) {
        const void *p = view(f, table->sh_offset + i * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
        Elf64_Sym y;

        if (!p) return;
        memcpy(&y, p, sizeof y); /* pieces need not be aligned */
        if (ELF64_ST_BIND(y.st_info) == STB_LOCAL || y.st_shndx == SHN_UNDEF) continue;
        if (y.st_name >= strings->sh_size ||
            !memchr(text + y.st_name, 0, strings->sh_size - y.st_name))
            continue;
        VEC_PUSH(s->arena, s->item, s->n, s->cap, (Symbol){text + y.st_name, file});
    }
}

static Status read_symbols(Symbols *s, int file, const LinkFile *f, Diag *d)
{
    const void *head = view(f, 0, sizeof(Elf64_Ehdr)), *table;
    Elf64_Ehdr e;
    Elf64_Shdr h, strings;

    if (head) memcpy(&e, head, sizeof e);
    if (!head || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_ident[EI_CLASS] != ELFCLASS64 ||
        e.e_shentsize != sizeof h ||
        !(table = view(f, e.e_shoff, (uint64_t)e.e_shnum * sizeof h))) {
        return diag(d, ERR_BUG, (Where){.file = f->name}, "this object is not ELF of 64 bits");
    }
    for (int i = 0; i < e.e_shnum; i++) {
        memcpy(&h, (const char *)table + (size_t)i * sizeof h, sizeof h);
        if (h.sh_type != SHT_SYMTAB || h.sh_link >= e.e_shnum) continue;
        memcpy(&strings, (const char *)table + (size_t)h.sh_link * sizeof h, sizeof strings);
        add_symbols(s, file, f, &h, &strings);
    }
    return OK;
}

/* ---- weak symbols ---- */

/* The tables come from objects that this build made; a malformed one is left as it is. */
LinkBytes link_weaken(LinkBytes object, Arena *a)
{
    char *p = arena_copy(a, object.data, object.size);
    LinkFile f = {.name = "", .piece = {{p, object.size}}, .n_pieces = 1};
    Elf64_Ehdr e;
    Elf64_Shdr h;

    if (!view(&f, 0, sizeof e)) return object;
    memcpy(&e, p, sizeof e);
    for (uint64_t i = 0; i < e.e_shnum && view(&f, e.e_shoff + i * sizeof h, sizeof h); i++) {
        memcpy(&h, p + e.e_shoff + i * sizeof h, sizeof h);
        if (h.sh_type != SHT_SYMTAB || !view(&f, h.sh_offset, h.sh_size)) continue;
        for (uint64_t k = 0; k < h.sh_size / sizeof(Elf64_Sym); k++) {
            Elf64_Sym y;
            char *at = p + h.sh_offset + k * sizeof y;
            memcpy(&y, at, sizeof y);
            if (ELF64_ST_BIND(y.st_info) != STB_GLOBAL || y.st_shndx == SHN_UNDEF) continue;
            y.st_info = ELF64_ST_INFO(STB_WEAK, ELF64_ST_TYPE(y.st_info));
            memcpy(at, &y, sizeof y);
        }
    }
    return (LinkBytes){p, object.size};
}

/* ---- writing ---- */

typedef struct ArWriter {
    const LinkFile *files;
    int count;
    Symbols symbols;
    uint64_t *offset;  /* [count] of each member's header */
    size_t *long_name; /* [count] offset in `names`, or SIZE_MAX */
    Text names;
    bool wide;
    FileWriter *file;
    Diag *d;
} ArWriter;

static uint64_t file_size(const LinkFile *f)
{
    uint64_t n = 0;

    for (int i = 0; i < f->n_pieces; i++)
        n += f->piece[i].size;
    return n;
}

static uint64_t even(uint64_t n)
{
    return n + n % 2;
}

static uint64_t symbol_table_size(const ArWriter *w)
{
    uint64_t word = w->wide ? 8 : 4, n = word * (1 + (uint64_t)w->symbols.n);

    for (int i = 0; i < w->symbols.n; i++)
        n += strlen(w->symbols.item[i].name) + 1;
    return n;
}

static void lay_out(ArWriter *w)
{
    uint64_t at = MAGIC + HEADER + even(symbol_table_size(w));

    if (w->names.n) at += HEADER + even(w->names.n);
    for (int i = 0; i < w->count; i++) {
        w->offset[i] = at;
        at += HEADER + even(file_size(&w->files[i]));
    }
}

static Status write_member_header(ArWriter *w, const char *name, uint64_t size)
{
    char text[HEADER + 40];

    snprintf(text, sizeof text, "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name, 0, 0, 0, "644",
             (unsigned long long)size);
    return file_write(w->file, text, HEADER);
}

static Status write_pad(ArWriter *w, uint64_t size)
{
    return size % 2 ? file_write(w->file, "\n", 1) : OK;
}

static Status write_number(ArWriter *w, uint64_t v)
{
    uint8_t b[8];
    int n = w->wide ? 8 : 4;

    for (int i = 0; i < n; i++)
        b[i] = (uint8_t)(v >> 8 * (n - 1 - i));
    return file_write(w->file, b, (size_t)n);
}

static Status write_symbol_table(ArWriter *w)
{
    TRY(write_member_header(w, w->wide ? "/SYM64/" : "/", even(symbol_table_size(w))));
    TRY(write_number(w, (uint64_t)w->symbols.n));
    for (int i = 0; i < w->symbols.n; i++)
        TRY(write_number(w, w->offset[w->symbols.item[i].file]));
    for (int i = 0; i < w->symbols.n; i++)
        TRY(file_write(w->file, w->symbols.item[i].name, strlen(w->symbols.item[i].name) + 1));
    return symbol_table_size(w) % 2 ? file_write(w->file, "", 1) : OK;
}

static Status put_member(void *context, const void *data, size_t size)
{
    return file_write(context, data, size);
}

static Status write_all(ArWriter *w)
{
    char name[32];

    TRY(file_write(w->file, "!<arch>\n", MAGIC));
    TRY(write_symbol_table(w));
    if (w->names.n) {
        TRY(write_member_header(w, "//", w->names.n));
        TRY(file_write(w->file, w->names.s, w->names.n));
        TRY(write_pad(w, w->names.n));
    }
    for (int i = 0; i < w->count; i++) {
        const LinkFile *f = &w->files[i];
        if (w->long_name[i] == SIZE_MAX) {
            snprintf(name, sizeof name, "%.15s/", f->name);
        } else {
            snprintf(name, sizeof name, "/%zu", w->long_name[i]);
        }
        TRY(write_member_header(w, name, file_size(f)));
        TRY(link_file_write(f, put_member, w->file, w->d));
        TRY(write_pad(w, file_size(f)));
    }
    return OK;
}

Status link_ar_write(const char *path, const LinkFile *files, int count, Arena *a, Diag *d)
{
    ArWriter w = {.files = files,
                  .count = count,
                  .d = d,
                  .symbols.arena = a,
                  .offset = ARENA_ARRAY(a, uint64_t, count),
                  .long_name = ARENA_ARRAY(a, size_t, count)};
    Status status;

    text_init(&w.names, a);
    for (int i = 0; i < count; i++) {
        w.long_name[i] = SIZE_MAX;
        if (file_size(&files[i]) > 9999999999u) {
            return diag(d, ERR_LIMIT, (Where){.file = path},
                        "a member of %llu bytes is too large for an archive",
                        (unsigned long long)file_size(&files[i]));
        }
        if (strlen(files[i].name) > 15) {
            w.long_name[i] = w.names.n;
            text_f(&w.names, "%s/\n", files[i].name);
        }
        TRY(read_symbols(&w.symbols, i, &files[i], d));
    }
    if (!arena_ok(a)) return diag(d, ERR_LIMIT, (Where){0}, "no memory for an archive");
    lay_out(&w);
    if (count && w.offset[count - 1] > UINT32_MAX) {
        w.wide = true;
        lay_out(&w);
    }
    TRY(file_create(path, 0644, &w.file, d));
    status = write_all(&w);
    if (status == OK) return file_commit(w.file);
    file_abandon(w.file);
    return status;
}
