/* link_late.c: weights that never pass through the linker, which would copy them twice.
 *
 * Their object has only their size (SHT_NOBITS), and a script beside the linker's own puts that
 * section behind .bss, a page apart, so that it becomes a segment of its own: read-only, and with
 * no bytes in the file. What the linker made is small, and is written anew with
 *
 *     [what the linker made] [zeros, to the segment's place in a huge page] [weights]
 *
 * and with the segment and its section said to be those bytes. Where the file's large pages can be
 * mapped as such, weights come faster from memory: nets that read them once take 3 to 4 % less. A
 * file in which that segment is not found (another linker, another script) is an error, after which
 * link_job_do lets the linker do it. */
#include <elf.h>
#include <string.h>

#include "codegen/link/link_impl.h"
#include "support/checked.h"

#define PAGE      4096
#define HUGE_PAGE (UINT64_C(2) << 20)

static const char script[] =
    "SECTIONS {\n"
    "  " LINK_LATE " (ALIGN(CONSTANT(MAXPAGESIZE)) + CONSTANT(MAXPAGESIZE)) :\n"
    "    { *(" LINK_LATE ") }\n"
    "} INSERT AFTER .bss;\n";

LinkFile link_late_script(void)
{
    return (LinkFile){.name = "late.ld", .piece = {{script, sizeof script - 1}}, .n_pieces = 1};
}

/* A table of `n` entries of `size` bytes at `at` in an image; NULL when it does not lie in it. */
static void *table_at(uint8_t *image, size_t bytes, uint64_t at, size_t n, size_t size)
{
    return at <= bytes && n <= (bytes - at) / size && at % 8 == 0 ? image + at : NULL;
}

/* The one segment that has the weights' size and no bytes; NULL when there is none, or another
 * follows it in memory. */
static Elf64_Phdr *find_segment(Elf64_Phdr *table, int n, uint64_t size)
{
    Elf64_Phdr *found = NULL;

    for (int i = 0; i < n; i++) {
        if (table[i].p_type != PT_LOAD) continue;
        if (found) return NULL;
        if (table[i].p_filesz == 0 && table[i].p_memsz == size && table[i].p_flags == PF_R)
            found = &table[i];
    }
    return found;
}

static Elf64_Shdr *find_section(Elf64_Shdr *table, int n, const Elf64_Phdr *segment)
{
    for (int i = 0; i < n; i++)
        if (table[i].sh_type == SHT_NOBITS && table[i].sh_addr == segment->p_vaddr &&
            table[i].sh_size == segment->p_memsz)
            return &table[i];
    return NULL;
}

/* Gives the segment bytes in the file, behind all `bytes` of the image; *at is where. */
static bool place_weights(uint8_t *image, size_t bytes, uint64_t size, size_t *at)
{
    const Elf64_Ehdr *head = (const void *)image;
    Elf64_Phdr *segment, *segments;
    Elf64_Shdr *section, *sections;
    uint64_t align;

    if (bytes < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
        head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_phentsize != sizeof *segment ||
        head->e_shentsize != sizeof *section)
        return false;
    segments = table_at(image, bytes, head->e_phoff, head->e_phnum, sizeof *segment);
    sections = table_at(image, bytes, head->e_shoff, head->e_shnum, sizeof *section);
    if (!segments || !sections) return false;
    segment = find_segment(segments, head->e_phnum, size);
    section = segment ? find_section(sections, head->e_shnum, segment) : NULL;
    if (!section) return false;
    align = segment->p_align > HUGE_PAGE ? segment->p_align : HUGE_PAGE;
    if ((align & (align - 1)) != 0 || segment->p_vaddr % PAGE != 0) return false;
    *at = bytes + ((segment->p_vaddr - bytes) & (align - 1));
    segment->p_align = align;
    segment->p_offset = section->sh_offset = *at;
    segment->p_filesz = size;
    section->sh_type = SHT_PROGBITS;
    return true;
}

static Status put_file(void *to, const void *data, size_t size)
{
    return file_write(to, data, size);
}

static Status write_all(FileWriter *to, const uint8_t *image, size_t bytes, size_t at,
                        const Weights *w, Diag *d)
{
    static const uint8_t zeros[PAGE];

    TRY(file_write(to, image, bytes));
    for (size_t n; bytes < at; bytes += n) {
        n = at - bytes < sizeof zeros ? at - bytes : sizeof zeros;
        TRY(file_write(to, zeros, n));
    }
    return weights_write(w, put_file, to, d);
}

Status link_late_write(const LinkJob *j, FileWriter *to)
{
    const Weights *w = &j->in->weights;
    FileBytes made;
    uint8_t *image;
    size_t at = 0;
    Status s;

    TRY(file_read(file_temporary(to), &made, j->d));
    image = arena_try(j->arena, made.size, 8);
    if (!image) {
        file_close(&made);
        return diag(j->d, ERR_LIMIT, (Where){0}, "no memory to link");
    }
    memcpy(image, made.data, made.size);
    s = place_weights(image, made.size, w->size, &at)
            ? file_reopen(to)
            : diag(j->d, ERR_TARGET, (Where){.file = j->argv[0]},
                   "did not give the weights a segment of their own");
    if (s == OK) s = write_all(to, image, made.size, at, w, j->d);
    file_close(&made);
    return s;
}
