/* cpu_entry.c: the host program: `int32_t SYMBOL_host(ingot_call *)`.
 *
 *     slots, symbols from the dims of the inputs, segment 0, outputs of constant size
 *     the nodes of the main region, in order
 *     outputs that were not made in place are copied; dims of the outputs are stored
 *
 * Where something goes wrong the function returns at once. It is long, and does little between two
 * launches: with many of them it is compiled without optimisation, which costs the machine a few
 * nanoseconds a launch and would cost the compiler more than all kernels together. With few it is
 * compiled for size: in a small model's program it would outweigh the kernels. */
#include "codegen/cpu/cpu_entry.h"

#include <string.h>

#include "codegen/cpu/cpu_host.h"

/* ---- what the shared arrays must hold ---- */

static int most(int a, int b)
{
    return a > b ? a : b;
}

static Status measure(void *context, Node *n)
{
    Host *h = context;

    if (n->kind == NODE_KERNEL) {
        const KernelAbi *abi = h->in->kernel[n->id]->abi;
        if (band_of(h->in->band, n)) {
            h->has_bands = true;
            h->band_dims = most(h->band_dims, abi->n_dim);
            return OK;
        }
        h->max_ptr = most(h->max_ptr, abi->n_in + abi->n_out + abi->n_pack);
        h->max_dim = most(h->max_dim, abi->n_dim);
        h->alternates |= abi->alternates;
    } else if (n->kind == NODE_CALL) {
        h->max_in = most(h->max_in, n->n_in);
        h->max_out = most(h->max_out, n->n_out);
    }
    return OK;
}

static void band_arrays(Host *h)
{
    LLVMTypeRef i64 = h->m->i64;

    if (!h->has_bands) return;
    h->bands = host_slot(h, i64, (int64_t)sizeof(ingot_bands) / 8);
    h->band_args = host_slot(h, i64, (int64_t)sizeof(ingot_kernel_args) / 8);
    for (int i = 0; i < INGOT_BAND_KERNELS; i++) {
        h->band_ptr[i] = host_slot(h, h->m->ptr, INGOT_BAND_POINTERS);
        h->band_dim[i] = host_slot(h, i64, h->band_dims ? h->band_dims : 1);
    }
}

static void shared_arrays(Host *h)
{
    CpuModule *m = h->m;
    LLVMTypeRef p = m->ptr, i = m->i32;
    LLVMTypeRef call[] = {p, p, p, i, i, p, p, i, i, p, i};

    h->kernel_ptr = host_slot(h, p, h->max_ptr);
    h->kernel_dim = host_slot(h, m->i64, h->max_dim);
    h->kernel_args = host_slot(h, m->i64, (int64_t)sizeof(ingot_kernel_args) / 8);
    h->call_args_type = LLVMStructTypeInContext(m->cx, call, sizeof call / sizeof *call, 0);
    h->call_args = host_slot(h, h->call_args_type, 1);
    h->call_in = host_slot(h, m->i64, (int64_t)h->max_in * TENSOR_SIZE / 8);
    h->call_out = host_slot(h, m->i64, (int64_t)h->max_out * TENSOR_SIZE / 8);
    host_store(h, h->call, h->kernel_args);
    if (h->alternates) host_store(h, cpu_i32(m, 0), host_gep_c(h, h->kernel_args, BACKWARD));
    host_store(h, h->kernel_ptr, host_gep_c(h, h->kernel_args, 8));
    host_store(h, h->kernel_dim, host_gep_c(h, h->kernel_args, 16));
    band_arrays(h);
}

/* ---- weights ---- */

enum { NEAR = 1 << 30 };

/* Far data is reached through a pointer that the loader fills in: code reaches 2 GiB. */
static void find_weights(Host *h)
{
    CpuModule *m = h->m;
    LLVMValueRef g, far;

    h->weights = LLVMConstNull(m->ptr);
    if (h->in->weights_size == 0) return;
    g = LLVMAddGlobal(m->module, m->i8, arena_printf(h->arena, "%s_weights", h->in->symbol));
    LLVMSetGlobalConstant(g, 1);
    LLVMSetVisibility(g, LLVMHiddenVisibility);
    LLVMSetAlignment(g, 64);
    h->weights = g;
    if (h->in->weights_size < NEAR) return;
    far = LLVMAddGlobal(m->module, m->ptr, "weights_at");
    LLVMSetInitializer(far, g);
    LLVMSetLinkage(far, LLVMInternalLinkage);
    LLVMSetExternallyInitialized(far, 1); /* or the optimiser looks through it */
    h->weights = host_load(h, m->ptr, far);
}

/* ---- inputs and outputs ---- */

static void inputs(Host *h)
{
    const Region *r = h->graph->main;

    for (int i = 0; i < r->n_arg; i++) {
        if (type_is_boxed(&r->arg[i]->type)) continue; /* the box is the caller's */
        host_point(h, r->arg[i],
                   host_load(h, h->m->ptr, host_gep_c(h, h->inputs, (int64_t)i * TENSOR_SIZE)));
    }
}

static void outputs(Host *h)
{
    const Region *r = h->graph->main;

    for (int k = 0; k < r->n_result; k++) {
        const Value *v = r->result[k];
        LLVMValueRef tensor = host_gep_c(h, h->outputs, (int64_t)k * TENSOR_SIZE), bytes, p;
        if (type_is_boxed(&v->type)) {
            host_output_box(h, k, v);
            continue;
        }
        host_describe(h, tensor, v, true);
        host_check(h, -1);
        if (h->plan->direct[k]) continue;
        bytes = host_bytes(h, v);
        host_check(h, -1);
        p = host_runtime(h, "ingot_rt_output", h->m->ptr, 3,
                         (LLVMValueRef[]){h->call, cpu_i32(h->m, k), bytes});
        host_leave_if(h, LLVMBuildIsNull(h->m->b, p, ""), cpu_i32(h->m, INGOT_ERR_LIMIT));
        host_copy(h, p, host_pointer(h, v), bytes);
    }
}

/* ---- the function ---- */

static void for_size(Host *h, const char *attribute)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(attribute, strlen(attribute));

    LLVMAddAttributeAtIndex(h->run, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(h->m->cx, kind, 0));
}

static void open_function(Host *h)
{
    CpuModule *m = h->m;
    LLVMBasicBlockRef first, start;

    h->run = cpu_function(m, arena_printf(h->arena, "%s_host", h->in->symbol),
                          LLVMFunctionType(m->i32, &m->ptr, 1, 0), true);
    h->call = LLVMGetParam(h->run, 0);
    for_size(h, "optsize");
    for_size(h, "minsize");
    /* its frame may be larger than the page that guards the stack */
    LLVMAddAttributeAtIndex(h->run, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(m->cx, "probe-stack", 11, "inline-asm", 10));
    first = host_block(h);
    start = host_block(h);
    LLVMPositionBuilderAtEnd(h->slots, first);
    host_enter(h, start);
    shared_arrays(h);
    h->inputs = host_load(h, m->ptr, host_gep_c(h, h->call, offsetof(ingot_call, in)));
    h->outputs = host_load(h, m->ptr, host_gep_c(h, h->call, offsetof(ingot_call, out)));
    if (h->in->n_function)
        h->kernels = host_load(h, m->ptr, host_gep_c(h, h->call, offsetof(ingot_call, kernels)));
}

static void close_function(Host *h)
{
    LLVMBasicBlockRef first = LLVMGetEntryBasicBlock(h->run);

    LLVMBuildRet(h->m->b, cpu_i32(h->m, 0));
    LLVMBuildBr(h->slots, LLVMGetNextBasicBlock(first));
}

static void emit(Host *h)
{
    open_function(h);
    find_weights(h);
    inputs(h);
    host_bind_inputs(h);
    host_check(h, -1);
    host_segment_zero(h);
    host_output_memory(h);
    host_region(h, h->graph->main);
    if (h->failed == OK) outputs(h);
    close_function(h);
    host_model(h);
}

Status cpu_entry_emit(CpuModule *m, const EntryInput *in, Diag *d)
{
    Module *g = in->graph;
    Host h = {.m = m,
              .graph = g,
              .in = in,
              .plan = in->plan,
              .arena = m->arena,
              .diag = d,
              .max_ptr = 2,
              .max_dim = 3,
              .max_in = 1,
              .max_out = 1};

    map_init(&h.symbols, h.arena, false);
    map_init(&h.strings, h.arena, true);
    map_init(&h.origins, h.arena, false);
    h.pointer = arena_try(h.arena, (size_t)g->next_id + 1, sizeof *h.pointer);
    h.box = arena_try(h.arena, (size_t)g->next_id + 1, sizeof *h.box);
    h.output = ARENA_ARRAY(h.arena, LLVMValueRef, g->main->n_result);
    if (!h.pointer || !h.box) return diag(d, ERR_LIMIT, (Where){.file = g->file}, "no memory");
    TRY(module_visit(g, measure, &h));
    h.slots = LLVMCreateBuilderInContext(m->cx);
    emit(&h);
    LLVMDisposeBuilder(h.slots);
    return h.failed;
}
