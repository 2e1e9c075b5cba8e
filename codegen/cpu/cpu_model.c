/* cpu_model.c: the description of the model, SYMBOL_model: an ingot_model of constants. */
#include "codegen/cpu/cpu_host.h"

#include <string.h>

static LLVMValueRef record(Host *h, LLVMValueRef *field, unsigned n)
{
    return LLVMConstStructInContext(h->m->cx, field, n, 0);
}

static LLVMValueRef ports(Host *h, int n, const ingot_port *list);

static LLVMValueRef port(Host *h, const ingot_port *p)
{
    LLVMValueRef dims[MAX_RANK], symbols[MAX_RANK];
    int rank = p->rank > 0 ? p->rank : 0;

    for (int i = 0; i < rank; i++) {
        dims[i] = host_i64(h, p->dims[i]);
        symbols[i] = host_string(h, p->symbols[i]);
    }
    LLVMValueRef field[] = {host_string(h, p->name),
                            cpu_i32(h->m, p->dtype),
                            cpu_i32(h->m, p->rank),
                            host_array(h, h->m->i64, rank, dims),
                            host_array(h, h->m->ptr, rank, symbols),
                            cpu_i32(h->m, p->optional),
                            ports(h, p->dtype == INGOT_MAP ? 2 : p->elem != NULL, p->elem)};
    return record(h, field, sizeof field / sizeof *field);
}

static LLVMValueRef ports(Host *h, int n, const ingot_port *list)
{
    LLVMValueRef *p = ARENA_ARRAY(h->arena, LLVMValueRef, n);

    for (int i = 0; i < n; i++)
        p[i] = port(h, &list[i]);
    return n ? host_array(h, LLVMTypeOf(p[0]), n, p) : LLVMConstNull(h->m->ptr);
}

static LLVMValueRef names(Host *h, int n, const char *const *name)
{
    LLVMValueRef *p = ARENA_ARRAY(h->arena, LLVMValueRef, n);

    for (int i = 0; i < n; i++)
        p[i] = host_string(h, name[i]);
    return host_array(h, h->m->ptr, n, p);
}

static Status most_scratch(void *context, Node *n)
{
    void **cx = context;
    const Host *h = cx[0];
    int64_t *most = cx[1];

    if (n->kind == NODE_KERNEL) {
        Dim s = h->in->kernel[n->id]->abi->scratch;
        if (dim_is_const(s) && s->value > *most) *most = s->value;
    }
    return OK;
}

void host_model(Host *h)
{
    const Region *r = h->graph->main;
    const char *name = h->graph->name ? h->graph->name : "";
    const ingot_port *in, *out;
    int64_t scratch = 0;
    LLVMValueRef model, g;

    if (module_visit(h->graph, most_scratch, (void *[]){h, &scratch}) != OK) return;
    codegen_ports(h->graph, h->arena, &in, &out);
    LLVMValueRef field[] = {
        cpu_i32(h->m, INGOT_ABI_VERSION),
        cpu_i32(h->m, r->n_arg),
        cpu_i32(h->m, r->n_result),
        ports(h, r->n_arg, in),
        ports(h, r->n_result, out),
        host_string(h, name),
        host_string(h, h->m->isa->name),
        host_i64(h, (int64_t)h->m->isa->features),
        host_i64(h, plan_size(h->plan)),
        host_i64(h, scratch),
        cpu_i32(h->m, h->plan->n_segment),
        cpu_i32(h->m, h->n_origin),
        names(h, h->n_origin, h->origin),
        host_i64(h, h->in->weights_size),
        h->run,
        cpu_i32(h->m, h->in->n_kernel_names),
        names(h, h->in->n_kernel_names, h->in->kernel_name),
        cpu_i32(h->m, h->in->flush_subnormals ? INGOT_MODEL_FLUSH_SUBNORMALS : 0)};
    model = record(h, field, sizeof field / sizeof *field);
    g = LLVMAddGlobal(h->m->module, LLVMTypeOf(model),
                      arena_printf(h->arena, "%s_model", h->in->symbol));
    LLVMSetInitializer(g, model);
    LLVMSetGlobalConstant(g, 1);
    LLVMSetAlignment(g, 8);
}
