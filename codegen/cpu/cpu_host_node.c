/* cpu_host_node.c: nodes without regions: launches of kernels, views, concats, symbols bound from
 * data, calls of runtime functions. */
#include "codegen/cpu/cpu_host.h"

static LLVMValueRef differs(Host *h, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildICmp(h->m->b, LLVMIntNE, a, b, "");
}

static void make_results(Host *h, const Node *n)
{
    int origin = host_origin(h, n);

    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k]) continue;
        host_require_dims(h, n->out[k], origin);
        host_make(h, n->out[k]);
    }
}

/* ---- kernels ---- */

static void put_pointer(Host *h, LLVMValueRef to, int k, LLVMValueRef p)
{
    host_store(h, p, host_gep_c(h, to, 8 * (int64_t)k));
}

/* Operand k is `in` and the result is not there yet, in a band; else in is -1, within false. */
static void arguments(Host *h, const Node *n, LLVMValueRef ptr, LLVMValueRef dim, int in,
                      bool within)
{
    const EntryKernel *e = h->in->kernel[n->id];
    const KernelAbi *abi = e->abi;
    int at = 0;

    for (int k = 0; k < n->n_in; k++) {
        bool unread = k == in || (abi->unread && abi->unread[k]);
        put_pointer(h, ptr, at++, host_pointer(h, unread ? NULL : n->in[k]));
    }
    for (int k = 0; k < n->n_out; k++)
        put_pointer(h, ptr, at++, host_pointer(h, within ? NULL : n->out[k]));
    for (int k = 0; k < abi->n_pack; k++)
        put_pointer(h, ptr, at++, host_gep_c(h, h->weights, e->packed[k]));
    for (int k = 0; k < abi->n_dim; k++)
        host_store(h, host_dim(h, abi->dim[k]), host_gep_c(h, dim, 8 * (int64_t)k));
}

static LLVMValueRef function_of(Host *h, const EntryKernel *e)
{
    if (e->function) return host_kernel(h, e->function);
    return host_load(h, h->m->ptr, host_gep_c(h, h->kernels, 8 * (int64_t)e->number));
}

static void parallel(Host *h, LLVMValueRef f, LLVMValueRef args, LLVMValueRef tasks,
                     LLVMValueRef grain, LLVMValueRef scratch)
{
    LLVMValueRef rc = host_runtime(h, "ingot_rt_parallel", h->m->i32, 6,
                                   (LLVMValueRef[]){h->call, f, args, tasks, grain, scratch});

    host_leave_if(h, differs(h, rc, cpu_i32(h->m, 0)), rc);
}

static void launch(Host *h, const Node *n)
{
    const EntryKernel *e = h->in->kernel[n->id];
    const KernelAbi *abi = e->abi;
    CpuModule *m = h->m;
    LLVMValueRef tasks, grain, scratch;
    int origin = host_origin(h, n);

    make_results(h, n);
    arguments(h, n, h->kernel_ptr, h->kernel_dim, -1, false);
    tasks = host_dim(h, abi->tasks);
    grain = host_dim(h, abi->grain);
    scratch = host_dim(h, abi->scratch);
    host_check(h, origin);
    host_store(h, cpu_i32(m, origin), host_gep_c(h, h->kernel_args, 24));
    host_store(h, cpu_i32(m, e->name), host_gep_c(h, h->kernel_args, 28));
    if (abi->alternates && h->loop) /* see CpuGemm.alternates */
        host_store(h, host_load(h, m->i32, h->loop->parity),
                   host_gep_c(h, h->kernel_args, BACKWARD));
    parallel(h, function_of(h, e), h->kernel_args, tasks, grain, scratch);
}

/* ---- bands ---- */

static void put_value(Host *h, LLVMValueRef to, size_t at, LLVMValueRef v)
{
    host_store(h, v, host_gep_c(h, to, (int64_t)at));
}

static void put_i32(Host *h, LLVMValueRef to, size_t at, int v)
{
    host_store(h, cpu_i32(h->m, v), host_gep_c(h, to, (int64_t)at));
}

/* Kernel i, as an ingot_band_kernel. */
static void band_kernel(Host *h, const Band *b, int i, LLVMValueRef to)
{
    const Node *n = b->node[i];
    const EntryKernel *e = h->in->kernel[n->id];
    bool within = i + 1 < b->n;
    Dim none = dim_const(&h->graph->dims, 0);

    host_require_dims(h, n->out[0], host_origin(h, n));
    arguments(h, n, h->band_ptr[i], h->band_dim[i], b->in[i], within);
    host_store(h, function_of(h, e), to);
    put_value(h, to, offsetof(ingot_band_kernel, ptr), h->band_ptr[i]);
    put_value(h, to, offsetof(ingot_band_kernel, dim), h->band_dim[i]);
    put_i32(h, to, offsetof(ingot_band_kernel, n_ptr),
            e->abi->n_in + e->abi->n_out + e->abi->n_pack);
    put_i32(h, to, offsetof(ingot_band_kernel, in), b->in[i]);
    put_i32(h, to, offsetof(ingot_band_kernel, out), within ? e->abi->n_in : -1);
    put_i32(h, to, offsetof(ingot_band_kernel, name), e->name);
    put_i32(h, to, offsetof(ingot_band_kernel, origin), host_origin(h, n));
    put_value(h, to, offsetof(ingot_band_kernel, tasks),
              e->abi->of_band ? host_dim(h, e->abi->of_band) : host_i64(h, -1));
    put_value(h, to, offsetof(ingot_band_kernel, row), host_dim(h, within ? b->row[i] : none));
    put_value(h, to, offsetof(ingot_band_kernel, scratch), host_dim(h, e->abi->scratch));
}

static void launch_band(Host *h, const Band *b)
{
    const Node *n = b->node[b->n - 1];
    int origin = host_origin(h, n);
    LLVMValueRef to = h->bands, tasks, grain, scratch;

    make_results(h, n);
    for (int i = 0; i < b->n; i++)
        band_kernel(h, b, i,
                    host_gep_c(h, to,
                               (int64_t)(offsetof(ingot_bands, kernel) +
                                         (size_t)i * sizeof(ingot_band_kernel))));
    put_value(h, to, offsetof(ingot_bands, outer), host_dim(h, b->shape.outer));
    put_value(h, to, offsetof(ingot_bands, rows), host_dim(h, b->shape.rows));
    put_value(h, to, offsetof(ingot_bands, band), host_i64(h, b->rows));
    put_value(h, to, offsetof(ingot_bands, in_task), host_i64(h, b->in_task));
    put_value(h, to, offsetof(ingot_bands, n_kernels), host_i64(h, b->n));
    tasks = host_dim(h, b->tasks);
    grain = host_dim(h, b->grain);
    scratch = host_dim(h, b->scratch);
    host_check(h, origin);
    put_value(h, h->band_args, offsetof(ingot_kernel_args, call), h->call);
    put_value(h, h->band_args, offsetof(ingot_kernel_args, ptr), to);
    put_i32(h, h->band_args, offsetof(ingot_kernel_args, origin), origin);
    put_i32(h, h->band_args, offsetof(ingot_kernel_args, kernel), -1);
    put_i32(h, h->band_args, offsetof(ingot_kernel_args, backward), 0);
    parallel(h, host_kernel(h, "ingot_rt_bands"), h->band_args, tasks, grain, scratch);
}

/* A kernel that is part of a band is launched with the last one. */
static void kernel(Host *h, const Node *n)
{
    const Band *b = band_of(h->in->band, n);

    if (!b)
        launch(h, n);
    else if (band_ends(b, n))
        launch_band(h, b);
}

/* ---- views and concats ---- */

static void reshape(Host *h, const Node *n)
{
    const Value *v = n->in[0], *out = n->out[0];
    DimTable *t = &h->graph->dims;
    int origin = host_origin(h, n);

    if (type_count(t, &v->type) != type_count(t, &out->type)) {
        LLVMValueRef have = host_elements(h, v->type.rank, v->type.dim);
        LLVMValueRef want = host_elements(h, out->type.rank, out->type.dim);
        host_check(h, origin);
        host_fail_if(h, differs(h, have, want), INGOT_ERR_DATA, origin,
                     "%lld elements cannot become %lld", have, want);
    }
    host_require_dims(h, out, origin);
    if (!band_of(h->in->band, n)) host_point(h, out, host_pointer(h, v));
}

/* Dims of the pieces against those of the whole. */
static void check_concat(Host *h, const Node *n, int origin)
{
    const Value *out = n->out[0];
    DimTable *t = &h->graph->dims;
    Dim sum = dim_const(t, 0);

    for (int i = 0; i < n->n_in; i++) {
        sum = dim_add(t, sum, n->in[i]->type.dim[n->axis]);
        for (int k = 0; k < out->type.rank; k++)
            if (k != n->axis && n->in[i]->type.dim[k] != out->type.dim[k])
                host_require(h, out->type.dim[k], host_dim(h, n->in[i]->type.dim[k]),
                             INGOT_ERR_DATA, origin, "concat: a dim is %lld, another is %lld");
    }
    if (sum != out->type.dim[n->axis])
        host_require(h, sum, host_dim(h, out->type.dim[n->axis]), INGOT_ERR_DATA, origin,
                     "concat: the axis is %lld, the pieces have %lld");
}

static void concat(Host *h, const Node *n)
{
    const NodePlan *np = h->plan->node[n->id];
    const Value *out = n->out[0];
    int origin = host_origin(h, n), rest = out->type.rank - n->axis;
    LLVMValueRef count, step, at = host_i64(h, 0), size, to;

    if (!n->whole) check_concat(h, n, origin);
    make_results(h, n);
    if (n->whole) return; /* its pieces are made in their place */
    size = host_i64(h, dtype_bytes(out->type.dtype));
    count = host_elements(h, n->axis, out->type.dim);
    step = host_mul(h, size, host_elements(h, rest, out->type.dim + n->axis));
    for (int i = 0; i < n->n_in; i++) {
        LLVMValueRef run = host_mul(h, size, host_elements(h, rest, n->in[i]->type.dim + n->axis));
        if (!np->direct[0][i]) {
            to = host_gep(h, host_pointer(h, out), at);
            host_copy_runs(h, to, step, host_pointer(h, n->in[i]), run, run, count);
        }
        at = host_add(h, at, run);
    }
    host_check(h, origin);
}

/* ---- symbols from data ---- */

static LLVMValueRef load_integer(Host *h, const Value *v, int element)
{
    DType t = v->type.dtype;
    int bytes = dtype_bytes(t);
    LLVMTypeRef type = LLVMIntTypeInContext(h->m->cx, (unsigned)(8 * bytes));
    LLVMValueRef x =
        host_load(h, type, host_gep_c(h, host_pointer(h, v), (int64_t)element * bytes));

    LLVMSetAlignment(x, (unsigned)bytes);
    if (bytes == 8) return x;
    return dtype_is_signed(t) ? LLVMBuildSExt(h->m->b, x, h->m->i64, "")
                              : LLVMBuildZExt(h->m->b, x, h->m->i64, "");
}

/* A symbol that can only be 0 is the difference of two sizes: see build_require_equal. */
static const char *bound_text(Dim symbol)
{
    if (symbol->lo == 0 && symbol->hi == 0) return "sizes that must fit each other differ by %lld";
    return "the size %lld is out of range, the limit is %lld";
}

static void bind(Host *h, const Node *n)
{
    const Value *v = n->in[0];
    int origin = host_origin(h, n);
    LLVMValueRef count = host_elements(h, v->type.rank, v->type.dim);

    host_check(h, origin);
    for (int i = 0; i < n->bind->n; i++) {
        LLVMValueRef need = host_i64(h, n->bind->element[i]);
        if (!LLVMIsAConstantInt(count))
            host_fail_if(h, LLVMBuildICmp(h->m->b, LLVMIntSLE, count, need, ""), INGOT_ERR_DATA,
                         origin, "%lld elements, element %lld is wanted", count, need);
        else if (LLVMConstIntGetSExtValue(count) <= n->bind->element[i])
            host_bug(h, n, "an element that is not there is bound");
        host_bind(h, n->bind->symbol[i], load_integer(h, v, n->bind->element[i]), INGOT_ERR_DATA,
                  origin, bound_text(n->bind->symbol[i]));
    }
}

/* ---- calls ---- */

static LLVMValueRef constant_ints(Host *h, const CallInfo *c)
{
    LLVMValueRef *v = ARENA_ARRAY(h->arena, LLVMValueRef, c->n_ints);

    for (int i = 0; i < c->n_ints; i++)
        v[i] = host_i64(h, c->ints[i]);
    return host_array(h, h->m->i64, c->n_ints, v);
}

static LLVMValueRef constant_floats(Host *h, const CallInfo *c)
{
    LLVMValueRef *v = ARENA_ARRAY(h->arena, LLVMValueRef, c->n_floats);

    for (int i = 0; i < c->n_floats; i++)
        v[i] = LLVMConstReal(h->m->f64, c->floats[i]);
    return host_array(h, h->m->f64, c->n_floats, v);
}

static void clear_tensor(Host *h, LLVMValueRef at)
{
    LLVMBuildMemSet(h->m->b, at, LLVMConstInt(h->m->i8, 0, 0), host_i64(h, TENSOR_SIZE), 8);
}

static void call_operands(Host *h, const Node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        LLVMValueRef at = host_gep_c(h, h->call_in, (int64_t)i * TENSOR_SIZE);
        if (n->in[i])
            host_put_box(h, at, n->in[i]);
        else
            clear_tensor(h, at);
    }
}

static void call_results(Host *h, const Node *n)
{
    for (int k = 0; k < n->n_out; k++) {
        const Value *v = n->out[k];
        LLVMValueRef at = host_gep_c(h, h->call_out, (int64_t)k * TENSOR_SIZE);
        clear_tensor(h, at);
        if (!v || type_is_boxed(&v->type)) continue;
        if (h->plan->place[v->id].kind != PLACE_POINTER) {
            LLVMValueRef bytes = host_bytes(h, v);
            host_store(h, host_make(h, v), at);
            host_store(h, bytes, host_gep_c(h, at, 8));
        }
        host_describe(h, at, v, false);
    }
}

static bool defines(const Node *n, Dim d)
{
    for (int i = 0; i < n->n_define; i++)
        if (n->define[i] == d) return true;
    return false;
}

/* What the call says of its results: symbols that it defines, and dims that must be as expected. */
static void call_dims(Host *h, const Node *n, int origin)
{
    Map seen;

    map_init(&seen, h->arena, false);
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < n->n_out; k++)
            for (int i = 0;
                 n->out[k] && !type_is_boxed(&n->out[k]->type) && i < n->out[k]->type.rank; i++) {
                Dim d = n->out[k]->type.dim[i];
                LLVMValueRef found = host_load(
                    h, h->m->i64,
                    host_gep_c(h, h->call_out, (int64_t)k * TENSOR_SIZE + TENSOR_DIMS + 8 * i));
                bool fresh = defines(n, d) && !map_has(&seen, d);
                if (pass == 0 && fresh) {
                    map_set(&seen, d, found);
                    host_bind(h, d, found, INGOT_ERR_DATA, origin,
                              "a result has %lld elements, the limit is %lld");
                } else if (pass == 1 && !dim_is_const(d)) {
                    host_require(h, d, found, INGOT_ERR_BUG, origin,
                                 "a call gave a dim of %lld, expected %lld");
                }
            }
}

static LLVMValueRef segment_numbers(Host *h, const Node *n)
{
    const NodePlan *np = h->plan->node[n->id];
    LLVMValueRef *v = ARENA_ARRAY(h->arena, LLVMValueRef, n->n_out);

    for (int k = 0; k < n->n_out; k++)
        v[k] = cpu_i32(h->m, np->segment[k]);
    return host_array(h, h->m->i32, n->n_out, v);
}

static void call(Host *h, const Node *n)
{
    const CallInfo *c = n->call;
    int origin = host_origin(h, n);
    LLVMValueRef field[] = {h->call,
                            h->call_in,
                            h->call_out,
                            cpu_i32(h->m, n->n_in),
                            cpu_i32(h->m, n->n_out),
                            constant_ints(h, c),
                            constant_floats(h, c),
                            cpu_i32(h->m, c->n_ints),
                            cpu_i32(h->m, c->n_floats),
                            segment_numbers(h, n),
                            cpu_i32(h->m, origin)};
    LLVMValueRef rc;

    call_operands(h, n);
    call_results(h, n);
    host_check(h, origin);
    for (unsigned i = 0; i < sizeof field / sizeof *field; i++)
        host_store(h, field[i],
                   LLVMBuildStructGEP2(h->m->b, h->call_args_type, h->call_args, i, ""));
    rc = host_runtime(h, arena_printf(h->arena, "ingot_call_%s", c->name), h->m->i32, 1,
                      &h->call_args);
    host_leave_if(h, differs(h, rc, cpu_i32(h->m, 0)), rc);
    call_dims(h, n, origin);
    for (int k = 0; k < n->n_out; k++) {
        LLVMValueRef at = host_gep_c(h, h->call_out, (int64_t)k * TENSOR_SIZE);
        if (!n->out[k] || h->plan->place[n->out[k]->id].kind != PLACE_POINTER) continue;
        if (type_is_boxed(&n->out[k]->type))
            host_set_box(h, n->out[k], at);
        else
            host_point(h, n->out[k], host_load(h, h->m->ptr, at));
    }
}

void host_node(Host *h, const Node *n)
{
    switch (n->kind) {
    case NODE_KERNEL:
        kernel(h, n);
        break;
    case NODE_RESHAPE:
        reshape(h, n);
        break;
    case NODE_CONCAT:
        concat(h, n);
        break;
    case NODE_CALL:
        call(h, n);
        break;
    case NODE_BIND:
        bind(h, n);
        break;
    case NODE_IF:
        host_if(h, n);
        break;
    case NODE_LOOP:
        host_loop(h, n);
        break;
    case NODE_OP:
        host_bug(h, n, "an operator was not lowered");
        break;
    }
}

void host_region(Host *h, const Region *r)
{
    for (const Node *n = r->first; n && h->failed == OK; n = n->next)
        host_node(h, n);
}
