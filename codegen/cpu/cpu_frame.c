/* cpu_frame.c: the border around a framed result: what no point of the stage writes. The call that
 * holds the first task writes them all; they are few. And the way out where there is no point. */
#include "codegen/cpu/cpu_emit.h"

static void fill_edge(CpuFn *f, const NestStage *s, const NestEdge *e)
{
    const StageOut *o = &s->stage->out[e->out];
    LLVMValueRef base = cpu_ptr(f, f->nest->abi.n_in + o->result), at = cpu_dim(f, e->at), p;
    LLVMValueRef pitch = cpu_dim(f, e->pitch), size = cpu_dim(f, e->size);
    LLVMValueRef bytes = cpu_i64(f->m, dtype_bytes(o->dtype));
    CpuLoop l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_dim(f, e->count), 1, 0, NULL);

    cpu_at(f, f->level);
    p = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, l.index, pitch, ""), at, "");
    p = cpu_element(f, o->dtype, base, p);
    LLVMBuildMemSet(f->b, p, LLVMConstInt(f->m->i8, (uint8_t)o->border, false),
                    LLVMBuildMul(f->b, size, bytes, ""), 1);
    cpu_loop_close(f, &l, NULL);
}

void cpu_fill_frames(CpuFn *f, const NestStage *s)
{
    LLVMValueRef first;
    CpuIf c;

    if (!s->n_edge) return;
    cpu_at(f, f->level);
    first = LLVMBuildICmp(f->b, LLVMIntEQ, f->begin, cpu_i64(f->m, 0), "");
    c = cpu_if_open(f, first);
    for (int i = 0; i < s->n_edge; i++)
        fill_edge(f, s, &s->edge[i]);
    cpu_if_close(f, &c);
}

void cpu_leave_if_empty(CpuFn *f, const NestStage *s, int n, LLVMBasicBlockRef leave)
{
    for (int l = 0; l < n; l++) {
        LLVMBasicBlockRef on;
        LLVMValueRef extent, empty;

        if (s->loop[l].extent->lo >= 1) continue;
        on = cpu_block(f);
        extent = cpu_dim(f, s->loop[l].extent);
        cpu_at(f, 0);
        empty = LLVMBuildICmp(f->b, LLVMIntSLT, extent, cpu_i64(f->m, 1), "");
        LLVMBuildCondBr(f->b, empty, leave, on);
        cpu_move(f, 0, on);
    }
}

void cpu_leave(CpuFn *f, LLVMBasicBlockRef leave)
{
    cpu_at(f, 0);
    LLVMBuildBr(f->b, leave);
    cpu_move(f, 0, leave);
}
