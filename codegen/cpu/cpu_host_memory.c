/* cpu_host_memory.c: pointers in the host program: places made, sizes, copies. */
#include "codegen/cpu/cpu_host.h"

#include <string.h>

LLVMValueRef host_elements(Host *h, int n, const Dim *dim)
{
    LLVMValueRef size = host_i64(h, 1);

    for (int i = 0; i < n; i++)
        size = host_mul(h, size, host_dim(h, dim[i]));
    return size;
}

LLVMValueRef host_bytes(Host *h, const Value *v)
{
    return host_mul(h, host_elements(h, v->type.rank, v->type.dim),
                    host_i64(h, dtype_bytes(v->type.dtype)));
}

/* A string constant: an array of ingot_string in the object. */
static LLVMValueRef string_constant(Host *h, const Tensor *t)
{
    LLVMTypeRef type =
        LLVMStructTypeInContext(h->m->cx, (LLVMTypeRef[]){h->m->ptr, h->m->i64}, 2, 0);
    LLVMValueRef *v = arena_try(h->arena, (size_t)t->count + 1, sizeof *v);

    if (!v) {
        host_bug(h, NULL, "no memory for a string constant");
        return LLVMConstNull(h->m->ptr);
    }
    for (int64_t i = 0; i < t->count; i++) {
        const StringRef *s = (const StringRef *)t->data + i;
        LLVMValueRef part[] = {host_string(h, arena_strndup(h->arena, s->s, (size_t)s->n)),
                               host_i64(h, s->n)};
        v[i] = LLVMConstStructInContext(h->m->cx, part, 2, 0);
    }
    return host_array(h, type, (int)t->count, v);
}

static LLVMValueRef constant_pointer(Host *h, const Value *v)
{
    int64_t at = h->in->constant[v->id];

    if (v->data->dtype == DT_STRING) return string_constant(h, v->data);
    if (at < 0) {
        host_bug(h, NULL, "a constant is not among the weights");
        return LLVMConstNull(h->m->ptr);
    }
    return host_gep_c(h, h->weights, at);
}

static LLVMValueRef pointer_slot(Host *h, const Value *v)
{
    if (!h->pointer[v->id]) h->pointer[v->id] = host_slot(h, h->m->ptr, 1);
    return h->pointer[v->id];
}

LLVMValueRef host_pointer(Host *h, const Value *v)
{
    if (!v) return LLVMConstNull(h->m->ptr);
    if (v->data) return constant_pointer(h, v);
    if (h->pointer[v->id]) return host_load(h, h->m->ptr, h->pointer[v->id]);
    host_bug(h, v->def, "a value is read before it is made");
    return LLVMConstNull(h->m->ptr);
}

void host_point(Host *h, const Value *v, LLVMValueRef p)
{
    host_store(h, p, pointer_slot(h, v));
}

/* NULL memory means that the runtime has said why. */
static LLVMValueRef got(Host *h, LLVMValueRef p)
{
    LLVMValueRef none = LLVMBuildIsNull(h->m->b, p, "");

    host_leave_if(h, none, cpu_i32(h->m, INGOT_ERR_LIMIT));
    return p;
}

LLVMValueRef host_segment(Host *h, LLVMValueRef number, LLVMValueRef bytes)
{
    host_check(h, -1);
    return got(h, host_runtime(h, "ingot_rt_segment", h->m->ptr, 3,
                               (LLVMValueRef[]){h->call, number, bytes}));
}

static LLVMValueRef carry_segment(Host *h, const Place *p, LLVMValueRef bytes)
{
    for (const HostLoop *l = h->loop; l; l = l->up)
        if (l->node == p->loop) {
            LLVMValueRef turn = host_load(h, h->m->i32, l->parity);
            return host_segment(h, LLVMBuildAdd(h->m->b, cpu_i32(h->m, p->index), turn, ""), bytes);
        }
    host_bug(h, NULL, "a carried value is made outside of its loop");
    return LLVMConstNull(h->m->ptr);
}

static LLVMValueRef output(Host *h, int k, LLVMValueRef bytes)
{
    const Value *v = h->graph->main->result[k];
    LLVMValueRef tensor = host_gep_c(h, h->outputs, (int64_t)k * TENSOR_SIZE);

    host_check(h, -1);
    host_describe(h, tensor, v, false);
    return got(h, host_runtime(h, "ingot_rt_output", h->m->ptr, 3,
                               (LLVMValueRef[]){h->call, cpu_i32(h->m, k), bytes}));
}

LLVMValueRef host_make(Host *h, const Value *v)
{
    const Place *p = &h->plan->place[v->id];
    LLVMValueRef at = NULL, bytes = p->open ? host_bytes(h, v) : NULL;

    host_check(h, v->def ? host_origin(h, v->def) : -1);
    switch (p->kind) {
    case PLACE_POINTER:
        host_bug(h, v->def, "a value without a place is made");
        return LLVMConstNull(h->m->ptr);
    case PLACE_SEGMENT:
        at = p->open ? host_segment(h, cpu_i32(h->m, p->index), bytes)
                     : host_gep_c(h, h->base, p->offset);
        break;
    case PLACE_OUTPUT:
        at = p->open ? output(h, p->index, bytes) : host_gep_c(h, h->output[p->index], p->offset);
        break;
    case PLACE_CARRY:
        at = carry_segment(h, p, bytes);
        break;
    }
    host_point(h, v, at);
    return at;
}

void host_segment_zero(Host *h)
{
    if (h->plan->size[0] > 0)
        h->base = host_segment(h, cpu_i32(h->m, 0), host_i64(h, h->plan->size[0]));
    else
        h->base = LLVMConstNull(h->m->ptr);
}

/* Outputs of constant size that nodes write in place are asked for at entry, so that parts of them
 * can be made in any order. */
void host_output_memory(Host *h)
{
    const Region *r = h->graph->main;

    for (int k = 0; k < r->n_result; k++)
        if (h->plan->direct[k] && plan_bytes(r->result[k]) >= 0)
            h->output[k] = output(h, k, host_bytes(h, r->result[k]));
}

static void look_bound(void *context, Dim symbol)
{
    const Host **h = context;

    if (*h && !host_is_bound(*h, symbol)) *h = NULL;
}

static bool all_bound(const Host *h, const Value *v)
{
    for (int i = 0; i < v->type.rank; i++)
        dim_symbols(v->type.dim[i], look_bound, &h);
    return h != NULL;
}

void host_describe(Host *h, LLVMValueRef tensor, const Value *v, bool all)
{
    int rank = v->type.kind == TYPE_TENSOR && v->type.rank > 0 ? v->type.rank : 0;
    int dtype = v->type.kind == TYPE_TENSOR ? dtype_onnx(v->type.dtype) : 0;

    host_store(h, cpu_i32(h->m, dtype), host_gep_c(h, tensor, TENSOR_DTYPE));
    host_store(h, cpu_i32(h->m, rank), host_gep_c(h, tensor, TENSOR_RANK));
    if (!all && !all_bound(h, v)) return;
    for (int i = 0; i < rank; i++)
        host_store(h, host_dim(h, v->type.dim[i]), host_gep_c(h, tensor, TENSOR_DIMS + 8 * i));
}

/* ---- copies ---- */

void host_copy(Host *h, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes)
{
    LLVMBuildMemCpy(h->m->b, to, 1, from, 1, bytes);
}

/* for i in [begin, end): copy one run; runs of 4 and 8 bytes by a load and a store. */
static void copy_loop(Host *h, LLVMValueRef f, LLVMTypeRef element, const LLVMValueRef *x,
                      LLVMBasicBlockRef done)
{
    CpuModule *m = h->m;
    LLVMBasicBlockRef from = LLVMGetInsertBlock(m->b);
    LLVMBasicBlockRef loop = LLVMAppendBasicBlockInContext(m->cx, f, "");
    LLVMBuildBr(m->b, loop);
    LLVMPositionBuilderAtEnd(m->b, loop);
    LLVMValueRef i = LLVMBuildPhi(m->b, m->i64, "");
    LLVMValueRef src = host_gep(h, x[0], LLVMBuildMul(m->b, i, x[2], ""));
    LLVMValueRef dst = host_gep(h, x[1], LLVMBuildMul(m->b, i, x[3], ""));
    if (element) {
        LLVMValueRef v = host_load(h, element, src);
        LLVMSetAlignment(v, 1);
        LLVMSetAlignment(LLVMBuildStore(m->b, v, dst), 1);
    } else {
        host_copy(h, dst, src, x[4]);
    }
    LLVMValueRef next = LLVMBuildAdd(m->b, i, host_i64(h, 1), "");
    LLVMAddIncoming(i, (LLVMValueRef[]){x[5], next}, (LLVMBasicBlockRef[]){from, loop}, 2);
    LLVMBuildCondBr(m->b, LLVMBuildICmp(m->b, LLVMIntSLT, next, x[6], ""), loop, done);
}

/* A kernel like those of the model: ptr = from, to; dim = from_step, to_step, run; a task a run. */
static LLVMValueRef copy_kernel(Host *h)
{
    CpuModule *m = h->m;
    LLVMTypeRef type =
        LLVMFunctionType(m->void_type, (LLVMTypeRef[]){m->ptr, m->i64, m->i64, m->ptr}, 4, 0);
    LLVMBasicBlockRef back = LLVMGetInsertBlock(m->b), block[5];
    LLVMValueRef f = cpu_function(m, "copy_runs", type, false), x[7], ptr, dim, is4, is8;

    for (int i = 0; i < 5; i++)
        block[i] = LLVMAppendBasicBlockInContext(m->cx, f, "");
    LLVMPositionBuilderAtEnd(m->b, block[0]);
    ptr = host_load(h, m->ptr, host_gep_c(h, LLVMGetParam(f, 0), 8));
    dim = host_load(h, m->ptr, host_gep_c(h, LLVMGetParam(f, 0), 16));
    for (int i = 0; i < 2; i++)
        x[i] = host_load(h, m->ptr, host_gep_c(h, ptr, 8 * i));
    for (int i = 0; i < 3; i++)
        x[2 + i] = host_load(h, m->i64, host_gep_c(h, dim, 8 * i));
    x[5] = LLVMGetParam(f, 1);
    x[6] = LLVMGetParam(f, 2);
    is4 = LLVMBuildICmp(m->b, LLVMIntEQ, x[4], host_i64(h, 4), "");
    is8 = LLVMBuildICmp(m->b, LLVMIntEQ, x[4], host_i64(h, 8), "");
    LLVMBasicBlockRef not4 = LLVMAppendBasicBlockInContext(m->cx, f, "");
    LLVMBuildCondBr(m->b, is4, block[1], not4);
    LLVMPositionBuilderAtEnd(m->b, not4);
    LLVMBuildCondBr(m->b, is8, block[2], block[3]);
    for (int i = 1; i <= 3; i++) {
        LLVMPositionBuilderAtEnd(m->b, block[i]);
        copy_loop(h, f, i == 1 ? m->i32 : i == 2 ? m->i64 : NULL, x, block[4]);
    }
    LLVMPositionBuilderAtEnd(m->b, block[4]);
    LLVMBuildRetVoid(m->b);
    if (back) LLVMPositionBuilderAtEnd(m->b, back);
    return f;
}

void host_copy_runs(Host *h, LLVMValueRef to, LLVMValueRef to_step, LLVMValueRef from,
                    LLVMValueRef from_step, LLVMValueRef run, LLVMValueRef count)
{
    CpuModule *m = h->m;
    LLVMValueRef ptr[] = {from, to}, dim[] = {from_step, to_step, run}, rc, grain;

    host_check(h, -1);
    if (LLVMIsAConstantInt(count) && LLVMConstIntGetSExtValue(count) == 1) {
        host_copy(h, to, from, run);
        return;
    }
    if (!h->copy_kernel) h->copy_kernel = copy_kernel(h);
    for (int i = 0; i < 2; i++)
        host_store(h, ptr[i], host_gep_c(h, h->kernel_ptr, 8 * i));
    for (int i = 0; i < 3; i++)
        host_store(h, dim[i], host_gep_c(h, h->kernel_dim, 8 * i));
    host_store(h, cpu_i32(m, -1), host_gep_c(h, h->kernel_args, 24));
    host_store(h, cpu_i32(m, -1), host_gep_c(h, h->kernel_args, 28));
    grain =
        LLVMBuildSDiv(m->b, host_i64(h, 1 << 17), LLVMBuildAdd(m->b, run, host_i64(h, 8), ""), "");
    grain = LLVMBuildAdd(m->b, grain, host_i64(h, 1), "");
    rc = host_runtime(
        h, "ingot_rt_parallel", m->i32, 6,
        (LLVMValueRef[]){h->call, h->copy_kernel, h->kernel_args, count, grain, host_i64(h, 0)});
    host_leave_if(h, LLVMBuildICmp(m->b, LLVMIntNE, rc, cpu_i32(m, 0), ""), rc);
}
