/* cpu_planes_impl.h: between the files of convolutions of planes.
 *
 *     task = one point of the outer indices (image, channel), a block of rows and of columns
 *         lay the block's part of x into scratch, with zeros around it      (cpu_planes_lay.c)
 *         for each few rows h, for each few vectors of columns w            (cpu_planes.c)
 *             for each line of scratch that they read, for each tap q along it
 *                 x = the line from w + q on
 *                 for each row h that has a tap r there: acc[h][w] = fma(x, weight[r][q],
 * acc[h][w]) epilogue and store of each row
 *
 * So what rows have in common is loaded once, no tap asks for an edge, and each sum is one chain
 * over the taps in row-major order, as everywhere. With steps along the columns a line is laid out
 * in that many parts (phases), so that taps find their columns next to each other:
 *
 *     line   [phase][pitch], column j of phase f being x at j * step + f; behind what tiles read, a
 *            pitch has room for what whole vectors write too much */
#ifndef INGOT_CODEGEN_CPU_PLANES_IMPL_H
#define INGOT_CODEGEN_CPU_PLANES_IMPL_H

#include "codegen/cpu/cpu_emit.h"
#include "codegen/cpu/cpu_planes.h"
#include "ir/planes.h"

enum { PLANES_X, PLANES_WEIGHT, PLANES_OUT, PLANES_STAGES };
enum {
    PLANES_UNIT = 16, /* columns of the longest vector */
    PLANES_STEPS = 4  /* along columns, at most */
};

struct CpuPlanes {
    Nest *nest;
    Planes form;
    int rank; /* of the domain */
    int64_t phases;
    int64_t block_rows, block_columns; /* results of a task */
    int64_t lines, pitch;              /* of scratch: lines of `phases` parts */
    Dim rows, columns;                 /* results of a plane */
    Dim blocks_rows, blocks_columns;
};

typedef struct PlanesTask {
    CpuFn *f;
    const CpuPlanes *p;
    int lanes;                    /* of tiles */
    int level;                    /* of what follows */
    LLVMValueRef outer[MAX_RANK]; /* NULL: no outer index */
    LLVMValueRef row, rows;       /* first one and how many; */
    LLVMValueRef column, columns;
} PlanesTask;

/* The stage's expressions, at the task's outer point. */
void planes_stage(PlanesTask *t, int stage);
void planes_at(CpuFn *f, int index, LLVMValueRef v); /* where it has a loop */
LLVMValueRef planes_element(CpuFn *f, LLVMValueRef base, LLVMValueRef offset);
/* What n results read more than n columns of a phase, or lines. */
int64_t planes_beyond(const PlaneAxis *a);
/* cpu_planes_lay.c: all lines of the task. */
void planes_lay(PlanesTask *t);

#endif
