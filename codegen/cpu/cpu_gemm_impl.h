/* cpu_gemm_impl.h: between the files of the contraction generator.
 *
 * A contraction C[o, m, n] = value(sum over k of A[o, m, k] * B[o, k, n]) is emitted as
 *
 *     task = one outer point o, a block of rows, a block of columns
 *         pack the columns' block of B as [k][column], unless it was packed while compiling or one
 *         panel of rows reads it where it lies
 *         pack the rows of A as panels [k][row], unless packed before or readable in place
 *         for each panel of up to `mr` rows, for each panel of `nr` columns
 *             tile: all of K in registers, one chain of FMA for each element (cpu_gemm_tile.c)
 *             epilogue: the stage's value for each row of the tile, stored    (cpu_gemm_rows.c)
 *
 * K is in one piece, or cut where sums go on from memory (cpu_gemm_cut.c): the order of each sum
 * is k = 0, 1, 2, ... whatever the tiles are.
 *
 * Levels that share an artifact share tasks, panels and packed operands, which the widest one (the
 * lead) chooses for itself. The others cut its panels into tiles of their own, of `width` columns,
 * which divides nr, and as many rows as their registers hold.
 *
 * The index sets. n: the innermost domain indices that only one operand uses and that results see
 * as one contiguous loop; m: those that only the other operand uses; k: the reduction; o: all
 * others. The expressions live in a Nest of three stages, whose indices are those of the kernel's
 * stage: */
#ifndef INGOT_CODEGEN_CPU_GEMM_IMPL_H
#define INGOT_CODEGEN_CPU_GEMM_IMPL_H

#include "codegen/cpu/cpu_emit.h"
#include "codegen/cpu/cpu_gemm.h"

enum { STAGE_A, STAGE_B, STAGE_OUT, GEMM_STAGES };
enum { SET_O = 1, SET_M, SET_N, SET_K };
enum { MAX_VARIANTS = 6, GEMM_ROWS = 32, GEMM_VECTORS = 8, GEMM_K_LOOPS = 4 };
enum {
    AMX_ROWS = 32,
    AMX_VECTORS = 2,
    AMX_GROUPS = 16,
    AMX_BYTES = 64,
    AMX_PARTS = 2
}; /* of tiles */
enum { FETCH_STREAMS = 4 };
enum { PANELS_OF_ROW = 2 }; /* of columns, that one row takes at once */

typedef struct GemmSide {
    int pack;      /* number in abi.pack, or -1: not packed while compiling */
    bool in_place; /* a plain load; A: rows a constant apart, B: columns next to each other */
    int64_t row;   /* A in place: elements between rows */
    int n_k;       /* in place: the loops that k is, outermost first: */
    Dim k_extent[GEMM_K_LOOPS], k_step[GEMM_K_LOOPS];
    uint32_t uses; /* outer indices that the operand depends on: packed once for each */
    Dim size;      /* elements of one packed matrix */
} GemmSide;

/* One axis of a window, in place, whose products count where 0 <= at + m * m_step + k * k_step <
 * end; m is an index of M, k of K. */
typedef struct GemmEdge {
    int m, k; /* k -1: there is none */
    int64_t m_step, k_step, at;
    Dim end;      /* NULL: as far as it goes */
    int loop;     /* of k in place: number in k_extent, */
    int64_t unit; /* which goes on by so many points with each k */
    bool joined; /* across: tiles walk along several lines as if they were one, or along M itself */
} GemmEdge;

struct CpuGemm {
    Nest *nest;
    const TileChoice *tile; /* what is not as the shape has it */
    uint8_t group[NEST_INDICES];
    Dim extent[NEST_INDICES];
    int rank, n_index;
    GemmSide a, b;
    Dim size_o, size_m, size_n, size_k;
    int unit;                  /* bytes of an element: 8 for f64, else 4 */
    int lanes, vectors, width; /* of a tile: width = lanes * vectors columns, */
    int tile_rows;             /* and at most so many rows */
    int nr;                    /* columns of a panel; the lead's width */
    int rows[MAX_VARIANTS];    /* heights of panels, the largest first */
    int n_rows;
    int most_rows;    /* of a panel */
    int64_t tall;     /* static lines: so many panels of rows[0] come first; else -1 */
    Dim line, lines;  /* rows that panels run over, and how many such lines M is */
    int64_t run;      /* A in place: rows that are `row` apart; */
    int64_t run_step; /* so many elements further the next run begins. 0: a line is one run */
    int64_t block_n;  /* columns of a task, a multiple of nr */
    int64_t block_m;  /* of a task: lines when there are several, else panels of a static M, else
                         rows; 0: all */
    int64_t band;     /* 0, or rows of a band (codegen/bands.h), and of a task */
    bool rows_first;  /* neighbouring tasks have the same rows, and other columns */
    Dim blocks_m, blocks_n;
    /* In a loop, every other turn goes through the tasks backward: what of the weights the caches
     * hold at the end of a turn is what the next one begins with. In one order, a cache that is a
     * little too small for all of them would hold none when it is wanted. */
    bool alternates;
    const Sx *where;        /* which products count, or NULL: all */
    GemmEdge across, along; /* lines; rows within a known line, of few panels */
    bool ahead;             /* tiles fetch a share of the block of B that comes next */
    int64_t pitch;          /* B packed at run time: columns between k */
    int64_t a_pitch;        /* A packed at run time as [row][a_pitch]; 0: as panels */
    Dim a_at;               /* rows packed at run time: bytes from the start of scratch */
    Dim block_size;         /* in a band: bytes of a packed block of B; all of them are kept */
    /* 8-bit integers (cpu_gemm_bytes.c): steps of A are bytes, elements of B four of them */
    bool bytes;
    const Sx *a_load, *a_zero, *b_load; /* a_zero NULL: 0 */
    int b_zero;
    /* the same, B packed by each run (cpu_gemm_open.c): bytes between k and between columns, and
     * what all of B is less, or NULL */
    bool open;
    Dim open_k, open_n;
    const Sx *open_zero;
    /* bf16 (cpu_gemm_pairs.c): elements, and all that is counted along k, are pairs; a_load too */
    bool pairs;
    int parts; /* 2: numbers are sums of two bf16, the second ones at a_low, b_low */
    const Sx *a_low, *b_low;
    int64_t k_run; /* elements along k that are contiguous in A */
    int64_t depth; /* rows of a packed panel of B */
    bool tiles;    /* there are tiles of AMX */
    bool amx;      /* and are taken (cpu_gemm_amx.c): sums come out in memory */
    /* K is cut (cpu_gemm_cut.c), and sums are kept in scratch: so many points of its outermost loop
     * at once; 0: all */
    int64_t k_cut;
    /* Panels of columns are the outer loop (cpu_gemm_stream.c): */
    bool streams;
    int64_t k_steps;   /* steps of AMX_BYTES along K at once, 0: all; the sums of */
    int64_t sums_n;    /* so many columns then are kept in scratch */
    int fetch_lines;   /* that each step fetches of the next panel, */
    int fetch_panels;  /* while the first so many panels of rows pass */
    Dim sums;          /* bytes of scratch for kept sums, 0, or NULL: there are none; */
    Dim tiles_of_rows; /* behind those, for a block of K of A as tiles; NULL: it stays in place */
    int64_t l2;        /* CpuIsa's */
};

/* cpu_gemm_blocks.c */
/* Blocks of rows and of columns, which tasks are; once tiles are chosen and weights packed. */
void gemm_choose_blocks(CpuGemm *g);
/* Rows of a task, at most; how many tasks are worth a thread. */
Dim gemm_rows_of_task(const CpuGemm *g);
Dim gemm_worth_a_thread(const CpuGemm *g);

static inline bool gemm_in(const CpuGemm *g, int set, int index)
{
    return g->group[index] == set;
}

/* The expression that a side (STAGE_A or STAGE_B) is. */
static inline const Sx *gemm_side(const CpuGemm *g, int side)
{
    return g->nest->stage[side].value[0];
}

/* cpu_gemm_pack.c */
/* Whether a side is made of constants alone, and its packed bytes: of f32. */
bool gemm_constant(const CpuGemm *g, int side);
Status gemm_pack_constant(CpuGemm *g, int side, Diag *d) MUST_USE;
/* Columns of the last panel of B as it is packed while compiling: N is known. */
int64_t gemm_last_width(const CpuGemm *g);

/* cpu_gemm_copy.c */
/* Whether B is contiguous along k, and packing it transposes. */
bool gemm_columns_are_turned(const CpuGemm *g);
/* Emit packing of the block of columns [n0, n1). */
void gemm_emit_pack_b(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef n0,
                      LLVMValueRef n1);
/* Panels of so many rows that are best packed together. */
int gemm_panels_at_once(const CpuGemm *g, int rows);
/* Emit packing of the panels of `rows` rows that begin in [m0, m1): no more than are packed at
 * once. */
void gemm_emit_pack_a(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef m0, LLVMValueRef m1,
                      int rows);

/* cpu_gemm_tile.c: acc[row * vectors + j] = sum over k; pointers to the first element, steps in
 * elements. k is a nest of loops, the last one innermost; B goes on by b_step with every k, or by
 * b_steps with those of each loop where it is in place. */
typedef struct GemmTile {
    int rows, vectors;
    LLVMValueRef a;         /* element (row, k) at a[row_at[row] + sum of k loop i * k_step[i]] */
    LLVMValueRef a_low;     /* the same of the second part, if there is one */
    LLVMValueRef b, b_step; /* vector j of k at b[k*b_step + j*lanes]; */
    const Dim *b_steps;     /* NULL: not in place */
    LLVMValueRef columns;   /* in place: so many there are, no more may be read; NULL: all */
    int in_panel;           /* or, not 0: so many of a panel, the next one b_panel further */
    LLVMValueRef b_panel;
    int64_t row_at[GEMM_ROWS];
    int n_k;
    LLVMValueRef k_extent[GEMM_K_LOOPS], k_step[GEMM_K_LOOPS];
    int64_t in_line;                /* number of its first row within the line, or -1: not known */
    LLVMValueRef k_from;            /* of the first loop, or NULL: 0. It ends at k_extent */
    LLVMValueRef ahead, ahead_step; /* each k fetches the line at ahead[k * ahead_step], in bytes;
                                     * NULL: none */
    LLVMValueRef zero;              /* bytes: the zero point of A, or NULL */
    LLVMValueRef k_block;           /* of AMX, when K is cut: its number; NULL: all of K */
    LLVMValueRef sums;              /* else: from where sums go on, [row][width]; NULL: zero */
    LLVMValueRef a_row, a_step;     /* and where A may have been packed: bytes from row to row and
                                     * from step to step; NULL: it is in place */
    LLVMValueRef
        fetch[FETCH_STREAMS]; /* lines of the next panel of columns; each row of B fetches */
    LLVMValueRef fetch_row;   /* so many bytes further; NULL: none */
    LLVMValueRef terms;       /* i32 for each row, where its sums start; NULL: 0 */
} GemmTile;
void gemm_emit_tile(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef *acc);
/* Into memory, as [row][width]. */
void gemm_spill_tile(CpuFn *f, const CpuGemm *g, const GemmTile *t, const LLVMValueRef *acc,
                     LLVMValueRef to);

typedef struct GemmLate GemmLate;

/* cpu_gemm_rows.c: results. A task is a block of rows and columns at one outer point. */
typedef struct GemmTask {
    CpuFn *f;
    const CpuGemm *g;
    LLVMValueRef o, m0, m1, n0, n1, k, M, N;
    LLVMValueRef scratch_a, scratch_b, tile, beside, terms;
    LLVMValueRef pack_a, pack_b; /* of this outer point */
    LLVMValueRef column, next; /* when columns stream: the panel at hand, the one that comes next */
    LLVMValueRef k_block;      /* when K is cut */
    GemmLate *late;            /* NULL: rows are stored as soon as a tile is finished */
} GemmTask;
/* cpu_gemm_emit.c */
/* The packed operand at the task's outer point, or NULL. */
LLVMValueRef gemm_packed(GemmTask *t, const GemmSide *s);
/* t->m0, t->m1. */
void gemm_rows_of_block(GemmTask *t, LLVMValueRef block);

/* cpu_gemm_panels.c */
/* All panels of rows of the task, with its columns; when columns stream, with the panel at hand. */
void gemm_all_panels(GemmTask *t);

/* cpu_gemm_cut.c */
/* Whether K is cut; once blocks are chosen. */
void gemm_choose_cut(CpuGemm *g);
/* All panels of rows and columns of the task, for one block of K after the other. */
void gemm_emit_cut(GemmTask *t);
/* The tile's outermost loop of K, as far as it is of the block at hand. */
void gemm_cut_k(GemmTask *t, GemmTile *x);
/* Elements of K in a block; where, in floats of packed B, the block begins that comes behind the
 * one at hand of the panel at n. */
int64_t gemm_block_depth(const CpuGemm *g);
LLVMValueRef gemm_next_block(GemmTask *t, LLVMValueRef n);
/* Blocks that K is cut into, streamed or not; whether the one at hand is the last; where the sums
 * of a tile are kept. */
int64_t gemm_k_blocks(const CpuGemm *g);
LLVMValueRef gemm_is_last_block(GemmTask *t);
LLVMValueRef gemm_sums_at(GemmTask *t, LLVMValueRef m, LLVMValueRef n);

/* cpu_gemm_stream.c */
/* The tasks from f->begin to f->end. */
void gemm_emit_stream(GemmTask *t);
/* x->a: tiles of the panel of rows at m, if there are; they are made on the way to the first panel
 * of columns. */
void gemm_stream_rows(GemmTask *t, GemmTile *x, LLVMValueRef m);
/* x->fetch: what the panel of rows at m fetches. */
void gemm_stream_fetches(GemmTask *t, GemmTile *x, LLVMValueRef m);
/* From t->tile: all columns of the panel; or as many as there are, in one vector after the other,
 * or side by side under masks (cpu_can_mask). */
typedef enum GemmColumns { GEMM_FULL, GEMM_PART, GEMM_MASKED } GemmColumns;
void gemm_rows_loop(GemmTask *t, LLVMValueRef m, LLVMValueRef rows, LLVMValueRef n,
                    GemmColumns columns);
/* One row after the other, from registers. `last` lanes of the last vector count; 0: all. */
void gemm_rows_written_out(GemmTask *t, const GemmTile *x, const LLVMValueRef *acc, LLVMValueRef m,
                           LLVMValueRef n, int64_t last);

/* cpu_gemm_late.c: rows of a tile of AMX that are stored while the next tile is multiplied. */
/* At the entry of a kernel: t->late, if this contraction does so. */
void gemm_late_open(GemmTask *t);
/* In front of a tile: it calls so many times. */
void gemm_late_calls(CpuFn *f, const GemmLate *x, LLVMValueRef calls);
/* So many rows of the tile before; with the last call, all of them. */
void gemm_late_rows(CpuFn *f, const GemmLate *x);
/* t->tile is finished, of so many rows, or none; those of the one before are stored. */
void gemm_late_tile(GemmTask *t, LLVMValueRef rows, LLVMValueRef m, LLVMValueRef n);
/* Behind the last tile. */
void gemm_late_close(GemmTask *t);

/* cpu_gemm_skip.c: products that do not count. */
/* Finds g->across and g->along from what the accumulator says, once rows are found in place;
 * `image`: they are several lines. */
void gemm_find_edges(CpuGemm *g, bool image);
int64_t gemm_panels_of_line(const CpuGemm *g); /* of a line that is not known: INT64_MAX */
/* The rows of a tile for which column `k` of the window counts; bit r: row r. */
uint32_t gemm_rows_counted(const CpuGemm *g, const GemmTile *t, int64_t k);
/* From and to which k of the first loop some row counts of rows m .. m + rows. */
void gemm_lines_counted(CpuFn *f, const CpuGemm *g, GemmTile *t, LLVMValueRef m);

/* cpu_gemm_bytes.c: contractions of 8-bit integers. */
/* Whether the operands are for it; finds a_load and the like. */
bool gemm_bytes_fit(CpuGemm *g);
/* Whether the rows found in place are; finds k_run and depth. */
bool gemm_bytes_rows(CpuGemm *g);
/* Whether row 0 of a packed panel of bytes is what every row starts with, not the sums of columns.
 */
bool gemm_start_is_packed(const CpuGemm *g);
Status gemm_pack_bytes(CpuGemm *g, Diag *d) MUST_USE;
void gemm_emit_bytes(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef *acc);
/* n bytes, `step` apart, as the low ones of an i32. */
LLVMValueRef gemm_some_bytes(CpuFn *f, LLVMValueRef p, LLVMValueRef step, int n);
/* acc + the four products u8 * i8 of each lane. */
LLVMValueRef gemm_dot_bytes(CpuFn *f, const CpuGemm *g, LLVMValueRef acc, LLVMValueRef a,
                            LLVMValueRef b);

/* cpu_gemm_open.c: the same where each run packs B. */
/* Whether rows have terms of their own. */
bool gemm_has_row_terms(const CpuGemm *g);
/* The block of columns [n0, n1), once stage B stands at the outer point. */
void gemm_emit_pack_open(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef n0,
                         LLVMValueRef n1);
/* t->terms, of the rows of a panel, into `to`. */
void gemm_row_terms(CpuFn *f, const CpuGemm *g, GemmTile *t, LLVMValueRef to);

/* B as groups of four bytes along k, g->depth rows of them in a panel: what is needed to fill that
 * while weights are written. */
typedef struct GroupPack {
    const CpuGemm *g;
    int64_t base, copies, panels;
    size_t size;
    int64_t *outer, *column, *k; /* what each point of o, n and k adds to the place */
} GroupPack;
/* Offers it as the only packed operand (A is read in place); `fill` gets a GroupPack. There are
 * `beyond` bytes behind the last panel. */
Status gemm_pack_groups(CpuGemm *g, void (*fill)(const void *context, void *to), size_t beyond,
                        Diag *d) MUST_USE;

/* cpu_gemm_amx.c: the same, and pairs, on the tiles of AMX. */
/* Bytes of a run of A, which tiles go through in steps of AMX_BYTES. */
int64_t gemm_run_bytes(const CpuGemm *g);
/* Whether tiles are there, and worth it; k_run is known. */
bool gemm_amx_fits(const CpuGemm *g);
/* Tiles of panels of so many rows follow; whether other panels have the same; no more tiles. */
void gemm_amx_shape(CpuFn *f, int rows);
bool gemm_amx_same_shape(int a, int b);
void gemm_amx_release(CpuFn *f);
/* Copies the steps [from, end) of A's rows to `to`: [step][part][row][AMX_BYTES]. */
void gemm_amx_copy_steps(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef from,
                         LLVMValueRef end, LLVMValueRef to);
/* Bytes between rows of A in place. */
int64_t gemm_amx_pitch(const CpuGemm *g);
/* Products that a step of K adds to each tile of sums. */
static inline int gemm_amx_products(const CpuGemm *g)
{
    return g->parts > 1 ? 3 : 1;
}
/* Sums to `to`, as [row][width], and meanwhile the rows of `late`, unless NULL. `beside` has room
 * for AMX_ROWS times 64 bytes, for each part. */
void gemm_emit_amx(CpuFn *f, const CpuGemm *g, const GemmTile *t, const GemmLate *late,
                   LLVMValueRef beside, LLVMValueRef to);
/* `groups` filled up to whole tiles. */
static inline int64_t gemm_tile_rows(int64_t groups)
{
    return (groups + AMX_GROUPS - 1) / AMX_GROUPS * AMX_GROUPS;
}

/* cpu_gemm_pairs.c: contractions of bf16. */
/* Whether the operands are for it; finds a_load and the like. */
bool gemm_pairs_fit(CpuGemm *g);
/* Whether the rows found in place are; then all counts are in pairs, and amx is decided. */
bool gemm_pairs_rows(CpuGemm *g);
/* B for tiles of AMX. */
Status gemm_pack_pair_tiles(CpuGemm *g, Diag *d) MUST_USE;
/* A panel of n pairs: base + k[2n] + line[lines] are the places of elements. */
void gemm_pack_pairs(const Tensor *t, int64_t base, int64_t n, const int64_t *k, int64_t lines,
                     const int64_t *line, int64_t width, float *to);
/* The load of bf16 that e widens to f32, as the backend has written that out, or NULL. */
const Sx *gemm_widened_load(SxTable *t, const Sx *e);
/* How many such loads e is the sum of: 1 or 2; 0: none. */
int gemm_widened_loads(SxTable *t, const Sx *e, const Sx *load[AMX_PARTS]);
/* Whether two loads of a side have the same places, each in its tensor. */
bool gemm_lie_alike(const CpuGemm *g, int side, const Sx *high, const Sx *low);
/* acc + the two products of each lane. */
LLVMValueRef gemm_dot_pair(CpuFn *f, const CpuGemm *g, LLVMValueRef a, LLVMValueRef b,
                           LLVMValueRef acc);

/* cpu_gemm.c */
int64_t gemm_round_up(int64_t v, int64_t step);

/* cpu_gemm_emit.c */
/* Index `index` at the point of `set` whose row-major number is flat. */
LLVMValueRef gemm_index(CpuFn *f, const CpuGemm *g, int set, int index, LLVMValueRef flat);
/* Loops of stage s that belong to `set` stand at the point whose row-major number within the set is
 * flat. */
void gemm_place(CpuFn *f, const CpuGemm *g, int s, int set, LLVMValueRef flat);
void gemm_stage(CpuFn *f, const CpuGemm *g, int s);
/* Row-major number within the outer indices of `mask` (a bit set), from the outer loops' values. */
LLVMValueRef gemm_mul(CpuFn *f, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef gemm_smin(CpuFn *f, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef gemm_add(CpuFn *f, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef gemm_float_at(CpuFn *f, LLVMValueRef base, LLVMValueRef offset);

#endif
