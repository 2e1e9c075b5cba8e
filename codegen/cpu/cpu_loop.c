/* cpu_loop.c: loops and branches as levels.
 *
 *     tail of the level outside --> header (index, carried values; index < hi?) --> exit: new tail
 *                                     ^   |                                          outside
 *                                     |   v
 *                                   tail of the level inside
 *
 * The branch into the header is written when the loop is closed, since until then hoisted code
 * still goes in front of it. A loop that is written out has levels too, one a turn, which share
 * their block with the level outside; they move on together. */
#include "codegen/cpu/cpu_emit.h"

LLVMBasicBlockRef cpu_block(CpuFn *f)
{
    return LLVMAppendBasicBlockInContext(f->m->cx, f->fn, "");
}

void cpu_move_from(CpuFn *f, LLVMBasicBlockRef from, LLVMBasicBlockRef to)
{
    for (int i = 0; i <= f->level; i++) {
        if (f->tail[i] == from) f->tail[i] = to;
    }
}

void cpu_move(CpuFn *f, int level, LLVMBasicBlockRef to)
{
    cpu_move_from(f, f->tail[level], to);
}

static void push(CpuFn *f, LLVMBasicBlockRef tail)
{
    if (f->level + 1 >= CPU_LEVELS) {
        cpu_bug(f, "loops are nested too deeply");
        return;
    }
    f->tail[++f->level] = tail;
}

static void pop(CpuFn *f, LLVMBasicBlockRef exit)
{
    cpu_drop(f, f->level);
    f->level--;
    cpu_move(f, f->level, exit);
}

void cpu_turn_open(CpuFn *f)
{
    push(f, f->tail[f->level]);
}

void cpu_turn_close(CpuFn *f)
{
    cpu_drop(f, f->level);
    f->level--;
}

LLVMValueRef cpu_take(CpuFn *f, LLVMValueRef *number, Dim count)
{
    LLVMValueRef n, at;

    if (dim_is(count, 1)) return cpu_i64(f->m, 0);
    n = cpu_dim(f, count);
    cpu_at(f, f->level);
    at = LLVMBuildURem(f->b, *number, n, "");
    *number = LLVMBuildUDiv(f->b, *number, n, "");
    return at;
}

CpuLoop cpu_loop_open(CpuFn *f, LLVMValueRef lo, LLVMValueRef hi, int64_t step, int n_carry,
                      LLVMValueRef *init)
{
    CpuLoop l = {.n = n_carry, .step = cpu_i64(f->m, step)};
    LLVMBasicBlockRef body;
    LLVMValueRef more;

    l.header = cpu_block(f);
    body = cpu_block(f);
    l.exit = cpu_block(f);
    l.carry = ARENA_ARRAY(f->arena, LLVMValueRef, n_carry);
    l.init = ARENA_ARRAY(f->arena, LLVMValueRef, n_carry + 1);
    LLVMPositionBuilderAtEnd(f->b, l.header);
    l.index = LLVMBuildPhi(f->b, f->m->i64, "");
    l.init[0] = lo;
    for (int i = 0; i < n_carry; i++) {
        l.init[i + 1] = init[i];
        l.carry[i] = LLVMBuildPhi(f->b, LLVMTypeOf(init[i]), "");
    }
    more = LLVMBuildICmp(f->b, LLVMIntSLT, l.index, hi, "");
    LLVMBuildCondBr(f->b, more, body, l.exit);
    push(f, body);
    return l;
}

static void add_incoming(LLVMValueRef phi, LLVMValueRef v, LLVMBasicBlockRef from)
{
    LLVMAddIncoming(phi, &v, &from, 1);
}

void cpu_loop_close(CpuFn *f, CpuLoop *l, LLVMValueRef *next)
{
    LLVMBasicBlockRef latch = f->tail[f->level], before = f->tail[f->level - 1];
    LLVMValueRef i;

    LLVMPositionBuilderAtEnd(f->b, latch);
    i = LLVMBuildNSWAdd(f->b, l->index, l->step, "");
    LLVMBuildBr(f->b, l->header);
    LLVMPositionBuilderAtEnd(f->b, before);
    LLVMBuildBr(f->b, l->header);
    add_incoming(l->index, l->init[0], before);
    add_incoming(l->index, i, latch);
    for (int k = 0; k < l->n; k++) {
        add_incoming(l->carry[k], l->init[k + 1], before);
        add_incoming(l->carry[k], next[k], latch);
    }
    pop(f, l->exit);
}

CpuIf cpu_if_open(CpuFn *f, LLVMValueRef condition)
{
    LLVMBasicBlockRef then = cpu_block(f);
    CpuIf c = {.test = cpu_block(f), .join = cpu_block(f)};

    LLVMPositionBuilderAtEnd(f->b, c.test);
    LLVMBuildCondBr(f->b, condition, then, c.join);
    push(f, then);
    return c;
}

void cpu_if_close(CpuFn *f, CpuIf *c)
{
    cpu_at(f, f->level);
    LLVMBuildBr(f->b, c->join);
    cpu_at(f, f->level - 1);
    LLVMBuildBr(f->b, c->test);
    pop(f, c->join);
}
