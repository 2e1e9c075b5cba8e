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

LLVMValueRef host_kernel(Host *h, const char *name)
{
    CpuModule *m = h->m;
    LLVMTypeRef arg[] = {m->ptr, m->i64, m->i64, m->ptr};
    LLVMValueRef f = LLVMGetNamedFunction(m->module, name);

    if (f) return f;
    f = LLVMAddFunction(m->module, name, LLVMFunctionType(m->void_type, arg, 4, 0));
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

/* The functions of one level. */
static LLVMValueRef kernels(Host *h, int level)
{
    const EntryInput *in = h->in;
    LLVMValueRef *f = ARENA_ARRAY(h->arena, LLVMValueRef, in->n_function);

    for (int i = 0; i < in->n_function; i++)
        f[i] = host_kernel(h, in->function_name(in->context, level, i));
    return host_array(h, h->m->ptr, in->n_function, f);
}

static LLVMValueRef levels(Host *h)
{
    const CpuIsas *l = h->in->levels;
    LLVMValueRef row[CPU_MOST_ISAS];

    for (int i = 0; i < l->n; i++)
        row[i] = record(h,
                        (LLVMValueRef[]){host_string(h, l->isa[i]->name),
                                         host_i64(h, (int64_t)l->isa[i]->features), kernels(h, i)},
                        3);
    return host_array(h, LLVMTypeOf(row[0]), l->n, row);
}

/* "x86-64-v4,x86-64-v3" */
static LLVMValueRef target(Host *h)
{
    const CpuIsas *l = h->in->levels;
    const char *text = l->isa[0]->name;

    for (int i = 1; i < l->n; i++)
        text = arena_printf(h->arena, "%s,%s", text, l->isa[i]->name);
    return host_string(h, text);
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
        target(h),
        levels(h),
        host_i64(h, plan_size(h->plan)),
        host_i64(h, scratch),
        cpu_i32(h->m, h->in->levels->n),
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
