/* cpu_host.c: what all parts of the host program's emitter use: slots, blocks, constants, and the
 * ways out of a run. */
#include "codegen/cpu/cpu_host.h"

#include <string.h>

#include "support/vec.h"

LLVMValueRef host_slot(Host *h, LLVMTypeRef type, int64_t count)
{
    LLVMValueRef p;

    if (count == 1)
        p = LLVMBuildAlloca(h->slots, type, "");
    else
        p = LLVMBuildAlloca(h->slots, LLVMArrayType2(type, (uint64_t)(count > 0 ? count : 1)), "");
    LLVMSetAlignment(p, 8);
    return p;
}

LLVMBasicBlockRef host_block(Host *h)
{
    return LLVMAppendBasicBlockInContext(h->m->cx, h->run, "");
}

void host_enter(Host *h, LLVMBasicBlockRef block)
{
    LLVMPositionBuilderAtEnd(h->m->b, block);
}

static LLVMValueRef constant_global(Host *h, LLVMTypeRef type, LLVMValueRef v)
{
    LLVMValueRef g = LLVMAddGlobal(h->m->module, type, "");

    LLVMSetInitializer(g, v);
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
    return g;
}

LLVMValueRef host_string(Host *h, const char *s)
{
    LLVMValueRef g, text;
    size_t n;

    if (!s) return LLVMConstNull(h->m->ptr);
    g = map_get(&h->strings, s);
    if (g) return g;
    n = strlen(s);
    text = LLVMConstStringInContext2(h->m->cx, s, n, 0);
    g = constant_global(h, LLVMArrayType2(h->m->i8, n + 1), text);
    map_set(&h->strings, arena_strdup(h->arena, s), g);
    return g;
}

LLVMValueRef host_array(Host *h, LLVMTypeRef type, int n, LLVMValueRef *v)
{
    if (n == 0) return LLVMConstNull(h->m->ptr);
    return constant_global(h, LLVMArrayType2(type, (uint64_t)n),
                           LLVMConstArray2(type, v, (uint64_t)n));
}

int host_origin(Host *h, const Node *n)
{
    const Origin *o = n->origin;
    uintptr_t index;

    if (!o) return -1;
    index = (uintptr_t)map_get(&h->origins, o);
    if (!index) {
        const char *name = o->node && o->node[0] ? o->node : o->op ? o->op : "";
        VEC_PUSH(h->arena, h->origin, h->n_origin, h->cap_origin, name);
        index = (uintptr_t)h->n_origin;
        map_set(&h->origins, o, (void *)index);
    }
    return (int)index - 1;
}

LLVMValueRef host_runtime(Host *h, const char *name, LLVMTypeRef result, int n,
                          LLVMValueRef *argument)
{
    LLVMTypeRef types[8], type;
    LLVMValueRef f = LLVMGetNamedFunction(h->m->module, name);

    for (int i = 0; i < n; i++)
        types[i] = LLVMTypeOf(argument[i]);
    type = LLVMFunctionType(result, types, (unsigned)n, 0);
    if (!f) {
        f = LLVMAddFunction(h->m->module, name, type);
        LLVMSetVisibility(f, LLVMHiddenVisibility);
    }
    return LLVMBuildCall2(h->m->b, type, f, argument, (unsigned)n, "");
}

void host_leave_if(Host *h, LLVMValueRef bad, LLVMValueRef status)
{
    LLVMBasicBlockRef leave = host_block(h), on = host_block(h);

    LLVMBuildCondBr(h->m->b, bad, leave, on);
    host_enter(h, leave);
    LLVMBuildRet(h->m->b, status);
    host_enter(h, on);
}

void host_fail_if(Host *h, LLVMValueRef bad, int code, int origin, const char *text, LLVMValueRef a,
                  LLVMValueRef b)
{
    LLVMBasicBlockRef fail = host_block(h), on = host_block(h);

    LLVMBuildCondBr(h->m->b, bad, fail, on);
    host_enter(h, fail);
    LLVMValueRef argument[] = {h->call,
                               cpu_i32(h->m, code),
                               cpu_i32(h->m, origin),
                               host_string(h, text),
                               a ? a : host_i64(h, 0),
                               b ? b : host_i64(h, 0)};
    LLVMBuildRet(h->m->b, host_runtime(h, "ingot_rt_fail", h->m->i32, 6, argument));
    host_enter(h, on);
}

LLVMValueRef host_gep(Host *h, LLVMValueRef p, LLVMValueRef bytes)
{
    return LLVMBuildGEP2(h->m->b, h->m->i8, p, &bytes, 1, "");
}

LLVMValueRef host_gep_c(Host *h, LLVMValueRef p, int64_t bytes)
{
    return bytes ? host_gep(h, p, host_i64(h, bytes)) : p;
}

LLVMValueRef host_load(Host *h, LLVMTypeRef type, LLVMValueRef p)
{
    return LLVMBuildLoad2(h->m->b, type, p, "");
}

void host_store(Host *h, LLVMValueRef v, LLVMValueRef p)
{
    LLVMBuildStore(h->m->b, v, p);
}

static void note_failure(Host *h, Status s)
{
    if (h->failed == OK) h->failed = s;
}

void host_bug(Host *h, const Node *n, const char *text)
{
    note_failure(h, diag(h->diag, ERR_BUG, n ? node_where(n) : (Where){.file = h->graph->file},
                         "host program: %s", text));
}

void host_unsupported(Host *h, const Node *n, const char *text)
{
    note_failure(h, diag(h->diag, ERR_UNSUPPORTED,
                         n ? node_where(n) : (Where){.file = h->graph->file}, "%s", text));
}
