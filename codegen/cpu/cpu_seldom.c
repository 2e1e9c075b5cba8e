/* cpu_seldom.c: branches around what is seldom needed.
 *
 *     ... condition for each lane ... --> (some lane?) --> slow: all lanes --+
 *                                              |                             v
 *                                              +-------------------------> join: lanes chosen
 *
 * Every lane takes what its own condition says, so that a value depends on its arguments alone and
 * never on its neighbours. The slow arm of an expression is a function of its own, out of line:
 * what the two arms share is computed in front of the branch and passed. Lanes that are off ask for
 * nothing; what lies in them may be anything. */
#include "codegen/cpu/cpu_emit.h"

#include <string.h>

enum { MOST_SHARED = 6 };

CpuSeldom cpu_seldom_open(CpuFn *f, LLVMValueRef lanes)
{
    enum { OFTEN = 2000 };
    CpuModule *m = f->m;
    LLVMTypeRef t = LLVMTypeOf(lanes), whole;
    CpuSeldom s = {.from = LLVMGetInsertBlock(f->b)};
    LLVMValueRef fn = LLVMGetBasicBlockParent(s.from), jump;
    LLVMValueRef some = LLVMBuildFreeze(f->b, lanes, ""); /* lanes that are off may be poison */
    LLVMBasicBlockRef slow = LLVMAppendBasicBlockInContext(m->cx, fn, "");
    LLVMMetadataRef weight[3];

    s.join = LLVMAppendBasicBlockInContext(m->cx, fn, "");
    if (LLVMGetTypeKind(t) == LLVMVectorTypeKind) {
        whole = LLVMIntTypeInContext(m->cx, LLVMGetVectorSize(t));
        some = LLVMBuildBitCast(f->b, some, whole, "");
        some = LLVMBuildICmp(f->b, LLVMIntNE, some, LLVMConstNull(whole), "");
    }
    jump = LLVMBuildCondBr(f->b, some, slow, s.join);
    weight[0] = LLVMMDStringInContext2(m->cx, "branch_weights", strlen("branch_weights"));
    weight[1] = LLVMValueAsMetadata(cpu_i32(m, 1));
    weight[2] = LLVMValueAsMetadata(cpu_i32(m, OFTEN));
    LLVMSetMetadata(jump, LLVMGetMDKindIDInContext(m->cx, "prof", strlen("prof")),
                    LLVMMetadataAsValue(m->cx, LLVMMDNodeInContext2(m->cx, weight, 3)));
    LLVMPositionBuilderAtEnd(f->b, slow);
    return s;
}

LLVMValueRef cpu_seldom_close(CpuFn *f, const CpuSeldom *s, LLVMValueRef slow, LLVMValueRef usual)
{
    LLVMBasicBlockRef end = LLVMGetInsertBlock(f->b), from = s->from;
    LLVMValueRef r;

    LLVMBuildBr(f->b, s->join);
    cpu_move_from(f, from, s->join);
    LLVMPositionBuilderAtEnd(f->b, s->join);
    r = LLVMBuildPhi(f->b, LLVMTypeOf(usual), "");
    LLVMAddIncoming(r, &usual, &from, 1);
    LLVMAddIncoming(r, &slow, &end, 1);
    return r;
}

/* ---- The slow arm of an expression */

typedef struct Arm {
    CpuFn *f;
    Map before; /* what the condition and the usual arm have; any value */
    Map value;  /* LLVMValueRef by node, within the function */
    int lanes, n;
    const Sx *shared[MOST_SHARED]; /* parameters */
    bool fits;
} Arm;

static void note_before(void *context, const Sx *e)
{
    Arm *x = context;

    map_set(&x->before, e, x);
}

/* Memory, loops and results of earlier stages belong to the kernel. */
static bool is_outside(const Sx *e)
{
    return e->op == SX_LOAD || e->op == SX_INDEX || e->op == SX_DIM || e->op == SX_ACC ||
           e->op == SX_CHECK;
}

/* Finds the parameters below e. */
static void find_shared(Arm *x, const Sx *e)
{
    if (e->op == SX_CONST || map_has(&x->value, e)) return;
    map_set(&x->value, e, x); /* seen */
    if (is_outside(e) || map_has(&x->before, e)) {
        if (x->n < MOST_SHARED)
            x->shared[x->n++] = e;
        else
            x->fits = false;
        return;
    }
    for (int i = 0; i < e->n; i++)
        find_shared(x, e->arg[i]);
}

static LLVMValueRef arm_value(Arm *x, const Sx *e)
{
    CpuFn *f = x->f;
    LLVMValueRef v = map_get(&x->value, e), a[3] = {NULL};

    if (v) return v;
    if (e->op == SX_CONST) {
        v = cpu_splat_const(cpu_const(f->m, e->dtype, e->bits), x->lanes);
    } else {
        for (int i = 0; i < e->n; i++)
            a[i] = arm_value(x, e->arg[i]);
        v = cpu_apply(f, e, a);
    }
    map_set(&x->value, e, v);
    return v;
}

/* The function of e's slow arm, made when the kernel first asks for it. */
static LLVMValueRef arm_function(Arm *x, const Sx *e)
{
    CpuFn *f = x->f;
    CpuModule *m = f->m;
    LLVMTypeRef types[MOST_SHARED], type;
    LLVMBasicBlockRef back = LLVMGetInsertBlock(f->b);
    const char *key = arena_printf(f->arena, "%u of %d", (unsigned)e->id, x->lanes);
    const char *const attributes[] = {"noinline", "cold"};
    LLVMValueRef fn = map_get(&f->slow, key), v;

    if (fn) return fn;
    for (int i = 0; i < x->n; i++)
        types[i] = cpu_lanes_type(cpu_type(m, x->shared[i]->dtype), x->lanes);
    type = cpu_lanes_type(cpu_type(m, e->dtype), x->lanes);
    fn = cpu_function(m, "", LLVMFunctionType(type, types, (unsigned)x->n, 0), false);
    LLVMSetLinkage(fn, LLVMPrivateLinkage);
    map_set(&f->slow, key, fn);
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(attributes[i], strlen(attributes[i]));
        LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateEnumAttribute(m->cx, kind, 0));
    }
    map_init(&x->value, f->arena, false);
    for (int i = 0; i < x->n; i++)
        map_set(&x->value, x->shared[i], LLVMGetParam(fn, (unsigned)i));
    LLVMPositionBuilderAtEnd(f->b, LLVMAppendBasicBlockInContext(m->cx, fn, ""));
    v = arm_value(x, e->arg[2]);
    LLVMBuildRet(f->b, v);
    LLVMPositionBuilderAtEnd(f->b, back);
    return fn;
}

/* The lanes where e's first argument is not true, of those that are on: all, where the value is
 * kept for parts with other masks than this one's, or has other lanes. */
static LLVMValueRef lanes_asking(CpuFn *f, const CpuVal *info, LLVMValueRef usual, int u)
{
    LLVMValueRef slow = LLVMBuildNot(f->b, usual, ""), on = f->mask[u];

    if (!on || !info->varies || (!info->parts && on != f->mask[0])) return slow;
    return LLVMTypeOf(on) == LLVMTypeOf(slow) ? LLVMBuildAnd(f->b, slow, on, "") : slow;
}

LLVMValueRef cpu_mostly(CpuFn *f, const Sx *e, int u)
{
    const CpuVal *info = cpu_info(f, e);
    SxTable *t = &f->nest->module->sx;
    Arm x = {.f = f, .lanes = info->varies ? f->lanes : 1, .fits = true};
    LLVMValueRef a[3], shared[MOST_SHARED], fn;
    CpuSeldom s;

    map_init(&x.before, f->arena, false);
    map_init(&x.value, f->arena, false);
    sx_visit(t, e->arg[0], note_before, &x);
    sx_visit(t, e->arg[1], note_before, &x);
    find_shared(&x, e->arg[2]);
    if (!x.fits) return NULL;
    for (int i = 0; i < 2; i++)
        a[i] = info->varies ? cpu_vector(f, e->arg[i], u) : cpu_value(f, e->arg[i], u);
    for (int i = 0; i < x.n; i++)
        shared[i] = info->varies ? cpu_vector(f, x.shared[i], u) : cpu_value(f, x.shared[i], u);
    for (int i = 0; i < 2; i++) /* of all parts, each operation side by side */
        for (int k = u + 1; k < f->active && cpu_info(f, e->arg[i])->parts; k++)
            cpu_value(f, e->arg[i], k);
    cpu_at(f, info->depth);
    fn = arm_function(&x, e);
    s = cpu_seldom_open(f, lanes_asking(f, info, a[0], u));
    a[2] = LLVMBuildCall2(f->b, LLVMGlobalGetValueType(fn), fn, shared, (unsigned)x.n, "");
    a[2] = cpu_apply(f, e, a);
    return cpu_seldom_close(f, &s, a[2], a[1]);
}
