/* cpu_host_box.c: boxed values in the host program.
 *
 * A boxed value is an ingot_tensor of its own in the frame of the function: assignments copy that,
 * never the elements. What elements point to lives until the run ends (the bump region of the
 * instance, inputs, weights), but for tensors of unknown rank that a branch has made: those lie in
 * the plan's memory, and a loop that carries one copies it into the region first. */
#include "codegen/cpu/cpu_host.h"

LLVMValueRef host_new_box(Host *h)
{
    return host_slot(h, h->m->i64, TENSOR_SIZE / 8);
}

LLVMValueRef host_box(Host *h, const Value *v)
{
    const Region *main = h->graph->main;

    if (v->region == main) return host_gep_c(h, h->inputs, (int64_t)v->index * TENSOR_SIZE);
    if (!h->box[v->id]) h->box[v->id] = host_new_box(h);
    return h->box[v->id];
}

static void copy_box(Host *h, LLVMValueRef to, LLVMValueRef from)
{
    LLVMBuildMemCpy(h->m->b, to, 8, from, 8, host_i64(h, TENSOR_SIZE));
}

void host_set_box(Host *h, const Value *v, LLVMValueRef tensor)
{
    copy_box(h, host_box(h, v), tensor);
}

void host_put_box(Host *h, LLVMValueRef tensor, const Value *v)
{
    if (type_is_boxed(&v->type)) {
        copy_box(h, tensor, host_box(h, v));
        return;
    }
    LLVMBuildMemSet(h->m->b, tensor, LLVMConstInt(h->m->i8, 0, 0), host_i64(h, TENSOR_SIZE), 8);
    host_store(h, host_pointer(h, v), tensor);
    host_describe(h, tensor, v, true);
}

void host_keep_box(Host *h, LLVMValueRef tensor)
{
    LLVMValueRef rc =
        host_runtime(h, "ingot_rt_keep", h->m->i32, 2, (LLVMValueRef[]){h->call, tensor});

    host_leave_if(h, LLVMBuildICmp(h->m->b, LLVMIntNE, rc, cpu_i32(h->m, 0), ""), rc);
}

void host_output_box(Host *h, int k, const Value *v)
{
    LLVMValueRef rc = host_runtime(h, "ingot_rt_output_boxed", h->m->i32, 3,
                                   (LLVMValueRef[]){h->call, cpu_i32(h->m, k), host_box(h, v)});

    host_leave_if(h, LLVMBuildICmp(h->m->b, LLVMIntNE, rc, cpu_i32(h->m, 0), ""), rc);
}
