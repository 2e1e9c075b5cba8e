/* link_weights.c: constants as an ELF64 relocatable object, written by hand: they may be gigabytes,
 * and never pass through LLVM or an assembler.
 *
 *     [file header][padding to 64] [weights] [symbols][strings][section names][section table]
 *      `------- piece 0 --------'   piece 1   `--------------- piece 2 --------------------'
 *
 * Sections: 1 the weights (.rodata, .lrodata when large, or LINK_LATE without their bytes, see
 * link_late.c), 2 .symtab, 3 .strtab, 4 .shstrtab, 5 .note.GNU-stack (or the linker would make the
 * stack executable). */
#include <elf.h>
#include <string.h>

#include "codegen/link/link_impl.h"
#include "support/checked.h"

#define ALIGN_WEIGHTS     64
#define SECTIONS          6
#define SHF_LARGE_SECTION 0x10000000 /* SHF_X86_64_LARGE */

/* The offsets in this text are the sh_name fields. */
static const char section_names[] =
    "\0.rodata\0.lrodata\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack\0" LINK_LATE;

enum {
    NAME_RODATA = 1,
    NAME_LRODATA = 9,
    NAME_SYMTAB = 18,
    NAME_STRTAB = 26,
    NAME_SHSTRTAB = 34,
    NAME_STACK = 44,
    NAME_LATE = 60
};

typedef struct Tail {
    Elf64_Sym symbols[2];
    const char *strings; /* NUL, symbol, NUL */
    size_t strings_size;
    Elf64_Shdr table[SECTIONS];
} Tail;

static Elf64_Shdr weights_section(uint64_t at, uint64_t size, bool late)
{
    bool large = size > LINK_LARGE;

    if (late)
        return (Elf64_Shdr){.sh_name = NAME_LATE,
                            .sh_type = SHT_NOBITS,
                            .sh_flags = SHF_ALLOC,
                            .sh_offset = at,
                            .sh_size = size,
                            .sh_addralign = ALIGN_WEIGHTS};
    return (Elf64_Shdr){.sh_name = large ? NAME_LRODATA : NAME_RODATA,
                        .sh_type = SHT_PROGBITS,
                        .sh_flags = SHF_ALLOC | (large ? SHF_LARGE_SECTION : 0),
                        .sh_offset = at,
                        .sh_size = size,
                        .sh_addralign = ALIGN_WEIGHTS};
}

/* What stands behind the weights, which end at `end` in the file. */
static void fill_sections(Tail *t, uint64_t end)
{
    uint64_t symbols = end + (-end & 7), strings = symbols + sizeof t->symbols;
    uint64_t names = strings + t->strings_size;

    t->table[2] = (Elf64_Shdr){.sh_name = NAME_SYMTAB,
                               .sh_type = SHT_SYMTAB,
                               .sh_offset = symbols,
                               .sh_size = sizeof t->symbols,
                               .sh_link = 3,
                               .sh_info = 1,
                               .sh_addralign = 8,
                               .sh_entsize = sizeof(Elf64_Sym)};
    t->table[3] = (Elf64_Shdr){.sh_name = NAME_STRTAB,
                               .sh_type = SHT_STRTAB,
                               .sh_offset = strings,
                               .sh_size = t->strings_size,
                               .sh_addralign = 1};
    t->table[4] = (Elf64_Shdr){.sh_name = NAME_SHSTRTAB,
                               .sh_type = SHT_STRTAB,
                               .sh_offset = names,
                               .sh_size = sizeof section_names,
                               .sh_addralign = 1};
    t->table[5] = (Elf64_Shdr){.sh_name = NAME_STACK,
                               .sh_type = SHT_PROGBITS,
                               .sh_offset = names + sizeof section_names,
                               .sh_addralign = 1};
}

static void put(uint8_t *to, size_t *n, const void *data, size_t size)
{
    memcpy(to + *n, data, size);
    *n += size;
}

Status link_weights(const LinkInput *in, bool late, Arena *a, LinkFile *out, Diag *d)
{
    const char *symbol = arena_printf(a, "%c%s_weights", 0, in->name);
    size_t size = in->weights.size, head_size = ALIGN_WEIGHTS, tail_at, n = 0, end;
    Tail t = {.strings = symbol, .strings_size = strlen(in->name) + sizeof "_weights" + 1};
    Elf64_Ehdr *head = arena_alloc(a, head_size);
    uint8_t *tail = arena_alloc(a, 1024 + t.strings_size);

    if (!checked_add(size, 4096 + t.strings_size, &end)) {
        return diag(d, ERR_LIMIT, (Where){0}, "%zu bytes of weights do not fit an object", size);
    }
    t.symbols[1] = (Elf64_Sym){.st_name = 1,
                               .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
                               .st_other = STV_HIDDEN,
                               .st_shndx = 1,
                               .st_size = size};
    tail_at = late ? head_size : head_size + size;
    t.table[1] = weights_section(head_size, size, late);
    fill_sections(&t, tail_at);
    n = -tail_at & 7;
    put(tail, &n, t.symbols, sizeof t.symbols);
    put(tail, &n, t.strings, t.strings_size);
    put(tail, &n, section_names, sizeof section_names);
    n += -(tail_at + n) & 7;
    *head = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_REL,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_shoff = tail_at + n,
        .e_ehsize = sizeof *head,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTIONS,
        .e_shstrndx = 4};
    put(tail, &n, t.table, sizeof t.table);
    *out = (LinkFile){.name = "weights.o",
                      .n_pieces = 3,
                      .piece = {{head, head_size}, {NULL, size}, {tail, n}},
                      .weights = &in->weights};
    if (late) {
        out->piece[1] = out->piece[2];
        out->n_pieces = 2;
    }
    return OK;
}

Status link_file_write(const LinkFile *f, LinkPut put, void *context, Diag *d)
{
    for (int i = 0; i < f->n_pieces; i++) {
        if (f->weights && !f->piece[i].data)
            TRY(weights_write(f->weights, put, context, d));
        else
            TRY(put(context, f->piece[i].data, f->piece[i].size));
    }
    return OK;
}
