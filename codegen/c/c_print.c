/* c_print.c: a Nest as a function of C or of a language of its family: the simplest loops that do
 * its tasks. What differs from C is in a CDialect. */
#include "codegen/c/c_print.h"

#include <stdio.h>

#include "codegen/codegen.h"

static const Sx *expand(void *context, SxTable *t, const Sx *e)
{
    (void)context;
    return sx_expand(t, e, (SxHas){0});
}

const char *c_dim_text(CPrint *p, Dim d)
{
    Text t;

    text_init(&t, p->arena);
    c_dim(p, &t, d);
    return t.s;
}

/* ---- Accumulators: an array of 64 lanes, or of one */

static const char *identity(CPrint *p, const Acc *a)
{
    SxTable *t = &p->nest->module->sx;
    DType d = a->dtype;

    if (nest_is_arg(a->monoid)) return "0";
    return arena_printf(p->arena, "v%d",
                        c_value(p, sx_const_bits(t, d, monoid_identity(a->monoid, d))));
}

static void start_accumulators(CPrint *p)
{
    const Stage *s = p->s->stage;
    int lanes = s->order == ORDER_LANES64 ? 64 : 1;

    for (int a = 0; a < s->n_acc; a++) {
        const char *id = identity(p, &s->acc[a]);
        c_line(p, "%s lane%d[%d];", c_type(s->acc[a].dtype), a, lanes);
        c_line(p, "for (int k = 0; k < %d; k++) lane%d[k] = %s;", lanes, a, id);
        if (nest_is_arg(s->acc[a].monoid))
            c_line(p, "%s best%d = k_zero_%s;", c_type(s->acc[a].body->dtype), a,
                   c_name(s->acc[a].body->dtype));
    }
    c_line(p, "int64_t point = 0;");
}

static const char *combined(CPrint *p, const Acc *a, const char *acc, const char *x)
{
    static const char *const name[] = {
        [MONOID_SUM] = "k_add", [MONOID_DOT] = "k_add", [MONOID_PROD] = "k_mul",
        [MONOID_MIN] = "k_min", [MONOID_MAX] = "k_max", [MONOID_MAX_NUMBER] = "k_top",
        [MONOID_AND] = "k_and", [MONOID_OR] = "k_or"};

    return arena_printf(p->arena, "%s_%s(%s, %s)", name[a->monoid], c_name(a->dtype), acc, x);
}

static void add_arg(CPrint *p, const Acc *a, int k)
{
    bool last = a->monoid == MONOID_ARGMIN_LAST || a->monoid == MONOID_ARGMAX_LAST;
    bool least = a->monoid == MONOID_ARGMIN_FIRST || a->monoid == MONOID_ARGMIN_LAST;
    int v = c_value(p, a->body);

    c_line(p, "if (point == 0 || v%d %s%s best%d || (v%d != v%d%s)) {", v, least ? "<" : ">",
           last ? "=" : "", k, v, v,
           last ? "" : arena_printf(p->arena, " && best%d == best%d", k, k));
    c_open(p);
    c_line(p, "lane%d[0] = point;", k);
    c_line(p, "best%d = v%d;", k, v);
    c_close(p);
}

static void add_accumulators(CPrint *p, const char *lane)
{
    const Stage *s = p->s->stage;

    for (int a = 0; a < s->n_acc; a++) {
        const Acc *x = &s->acc[a];
        const char *slot = arena_printf(p->arena, "lane%d[%s]", a, lane);
        int v;

        if (nest_is_arg(x->monoid)) {
            add_arg(p, x, a);
            continue;
        }
        v = c_value(p, x->body);
        if (x->monoid == MONOID_DOT) {
            int w = c_value(p, x->body2);
            c_line(p, "%s = k_fma_%s(v%d, v%d, %s);", slot, c_name(x->dtype), v, w, slot);
        } else {
            c_line(p, "%s = %s;", slot, combined(p, x, slot, arena_printf(p->arena, "v%d", v)));
        }
    }
    c_line(p, "point++;");
}

static void fold_lanes(CPrint *p)
{
    const Stage *s = p->s->stage;

    for (int a = 0; a < s->n_acc && s->order == ORDER_LANES64; a++) {
        char own[32], other[48];
        if (nest_is_arg(s->acc[a].monoid)) continue;
        snprintf(own, sizeof own, "lane%d[k]", a);
        snprintf(other, sizeof other, "lane%d[k + half]", a);
        c_line(p, "for (int half = 32; half; half /= 2)");
        c_line(p, "    for (int k = 0; k < half; k++) %s = %s;", own,
               combined(p, &s->acc[a], own, other));
    }
}

static void publish(CPrint *p)
{
    const Stage *s = p->s->stage;

    for (int a = 0; a < s->n_acc; a++)
        c_line(p, "const %s acc%d = lane%d[0];", c_type(s->acc[a].dtype), a, a);
}

/* ---- Points */

static void store(CPrint *p, int j)
{
    const StageOut *o = &p->s->stage->out[j];
    int stage = (int)(p->s - p->nest->stage);
    const char *to = o->result >= 0 ? arena_printf(p->arena, "out%d", o->result)
                                    : arena_printf(p->arena, "local%d", stage);
    const char *offset;

    if (j == 0 && p->s->local == LOCAL_REGISTER) {
        c_line(p, "%s = v%d;", to, c_value(p, p->s->value[j]));
        return;
    }
    if (!o->dst) {
        int v = c_value(p, p->s->value[j]);
        c_line(p, "%s[%s] = v%d;", to, c_offset(p, p->s->store[j]), v);
        return;
    }
    if (o->dst_guard)
        c_line(p, "if (v%d) {", c_value(p, o->dst_guard));
    else
        c_line(p, "{");
    c_open(p);
    offset = c_offset(p, p->s->store[j]);
    if (!nest_scatters(o)) {
        c_line(p, "%s[%s] = v%d;", to, offset, c_value(p, p->s->value[j]));
        c_close(p);
        return;
    }
    c_line(p, "const %s old = %s[%s]%s;", c_type(o->dtype), to, offset,
           o->dtype == DT_BOOL ? " != 0" : "");
    c_line(p, "(void)old;");
    c_line(p, "%s[%s] = v%d;", to, offset, c_value(p, p->s->value[j]));
    c_close(p);
}

/* All values before the first store: a result may have an operand's memory. */
static void stores(CPrint *p)
{
    const Stage *s = p->s->stage;

    for (int j = 0; j < s->n_out; j++)
        if (!s->out[j].dst) c_value(p, p->s->value[j]);
    for (int j = 0; j < s->n_out; j++)
        store(p, j);
}

static void open_loop(CPrint *p, int l)
{
    int k = p->s->loop[l].last;

    c_line(p, "for (int64_t i%d = 0; i%d < %s; i%d++) {", k, k, c_dim_text(p, p->s->loop[l].extent),
           k);
    c_open(p);
}

static void point(CPrint *p)
{
    const NestStage *s = p->s;
    const char *lane = "0";

    if (s->stage->n_acc == 0) {
        stores(p);
        return;
    }
    start_accumulators(p);
    if (s->scan >= 0) {
        open_loop(p, s->scan);
        add_accumulators(p, lane);
        publish(p);
        stores(p);
        c_close(p);
        return;
    }
    for (int l = s->n_domain; l < s->n_loop; l++)
        open_loop(p, l);
    if (s->lanes) lane = arena_printf(p->arena, "i%d %% 64", s->n_index - 1);
    add_accumulators(p, lane);
    for (int l = s->n_domain; l < s->n_loop; l++)
        c_close(p);
    fold_lanes(p);
    publish(p);
    stores(p);
}

static void domain(CPrint *p, int l)
{
    const Nest *n = p->nest;
    int k;

    if (l == p->s->n_domain || l == p->s->scan) {
        point(p);
        return;
    }
    k = p->s->loop[l].last;
    if (l == n->n_task && n->block) {
        c_line(p, "for (int64_t i%d = from; i%d < to; i%d++) {", k, k, k);
        c_open(p);
    } else {
        open_loop(p, l);
    }
    domain(p, l + 1);
    c_close(p);
}

/* ---- Stages and tasks */

static void stages(CPrint *p, int first)
{
    const Nest *n = p->nest;

    for (int i = 0; i < n->kernel->n_stage; i++) {
        p->s = &n->stage[i];
        c_line(p, "{");
        c_open(p);
        domain(p, first);
        c_close(p);
    }
}

static void outer(CPrint *p, int l)
{
    p->s = &p->nest->stage[0];
    if (p->nest->kernel->n_stage == 1 || l == p->nest->n_outer) {
        stages(p, l);
        return;
    }
    int k = p->s->loop[l].last;
    if (l == p->nest->n_task && p->nest->block) {
        c_line(p, "for (int64_t i%d = from; i%d < to; i%d++) {", k, k, k);
        c_open(p);
    } else {
        open_loop(p, l);
    }
    outer(p, l + 1);
    c_close(p);
}

static void tasks(CPrint *p)
{
    const Nest *n = p->nest;
    const NestStage *s = &n->stage[0];

    p->s = s;
    c_line(p, "%s", p->dialect->task_loop);
    c_open(p);
    c_line(p, "int64_t rest = t;");
    if (n->block) {
        const char *blocks = c_dim_text(p, n->blocks);
        c_line(p, "const int64_t from = rest %% %s * %lld;", blocks, (long long)n->block);
        c_line(p, "const int64_t to = k_least(from + %lld, %s);", (long long)n->block,
               c_dim_text(p, s->loop[n->n_task].extent));
        c_line(p, "rest /= %s;", blocks);
    }
    for (int l = n->n_task - 1; l >= 0; l--) {
        const char *extent = c_dim_text(p, s->loop[l].extent);
        c_line(p, "const int64_t i%d = rest %% %s;", s->loop[l].last, extent);
        c_line(p, "rest /= %s;", extent);
    }
    c_line(p, "(void)rest;");
    outer(p, n->n_task);
    c_close(p);
}

static void locals(CPrint *p)
{
    const Nest *n = p->nest;

    for (int i = 0; i < n->kernel->n_stage; i++) {
        const NestStage *s = &n->stage[i];
        const char *type = c_type(s->stage->out[0].dtype);

        if (s->local == LOCAL_REGISTER) c_line(p, "%s local%d;", type, i);
        if (s->local == LOCAL_SCRATCH)
            c_line(p, "%s *local%d = (%s *)((char *)scratch + %s);", type, i, type,
                   c_dim_text(p, s->local_at));
    }
}

static void edges(CPrint *p)
{
    const NestStage *s = &p->nest->stage[0];

    for (int i = 0; i < s->n_edge; i++) {
        const NestEdge *e = &s->edge[i];
        const StageOut *o = &s->stage->out[e->out];
        int out = o->result;
        const char *base;

        if (*p->dialect->once) c_line(p, "if (%s1)", p->dialect->once);
        c_line(p, "for (int64_t edge = 0; edge < %s; edge++)", c_dim_text(p, e->count));
        base = arena_printf(p->arena, "out%d + edge * %s + %s", out, c_dim_text(p, e->pitch),
                            c_dim_text(p, e->at));
        c_line(p, "    memset(%s, %d, sizeof *out%d * (uint64_t)%s);", base, (uint8_t)o->border,
               out, c_dim_text(p, e->size));
    }
}

/* A frame is made even around no points: then there is no task to find. */
static void leave_if_empty(CPrint *p)
{
    const NestStage *s = &p->nest->stage[0];

    for (int l = 0; nest_is_framed(s) && l < s->n_domain; l++)
        if (s->loop[l].extent->lo < 1)
            c_line(p, "if (%s < 1) return;", c_dim_text(p, s->loop[l].extent));
}

static void copies(CPrint *p)
{
    for (int i = 0; i < p->nest->kernel->n_stage; i++) {
        const NestStage *s = &p->nest->stage[i];
        for (int j = 0; j < s->stage->n_out; j++) {
            const StageOut *o = &s->stage->out[j];
            if (!nest_scatters(o)) continue;
            c_line(p, "if (%sout%d != (const void *)in%d)", p->dialect->once, o->result, o->init);
            c_line(p, "    memcpy(out%d, in%d, sizeof *out%d * (uint64_t)%s);", o->result, o->init,
                   o->result, c_dim_text(p, s->copied[j]));
        }
    }
}

/* One task a point of the loops that may run side by side. */
static void make_points(Nest *n)
{
    const NestStage *s = &n->stage[0];
    Dim tasks = dim_const(&n->module->dims, 1);

    n->n_task = n->serial ? 0 : n->kernel->n_stage > 1 ? n->n_outer : s->n_domain - (s->scan >= 0);
    for (int l = 0; l < n->n_task; l++)
        tasks = dim_mul(&n->module->dims, tasks, s->loop[l].extent);
    n->block = 0;
    n->blocks = NULL;
    n->abi.tasks = tasks = nest_tasks(n, s, tasks);
    n->abi.grain = dim_const(&n->module->dims, 1);
    nest_need(n, tasks);
    nest_need(n, n->abi.scratch);
}

Status c_print_function(const CDialect *dialect, Arena *arena, Module *m, const Node *n,
                        const char *name, Text *out, Diag *d, const KernelAbi **abi)
{
    CPrint p = {.dialect = dialect, .arena = arena, .out = out};
    Nest *nest;

    TRY(nest_build(arena, m, n, expand, NULL, d, &nest));
    if (dialect->points) make_points(nest);
    p.nest = nest;
    map_init(&p.variable, arena, false);
    c_line(&p, "/* %s */", nest->kernel->label ? nest->kernel->label : "");
    dialect->start(&p, name);
    c_open(&p);
    locals(&p);
    copies(&p);
    edges(&p);
    leave_if_empty(&p);
    tasks(&p);
    c_close(&p);
    text_char(out, '\n');
    if (abi) *abi = &nest->abi;
    if (p.bug) return diag(d, ERR_BUG, node_where(n), "printing C: %s", p.bug);
    return OK;
}

/* ---- A module */

typedef struct PrintAll {
    const CDialect *dialect;
    Arena *arena;
    Module *module;
    Text *out;
    Diag *diag;
    Map printed; /* text of a kernel: equal ones are printed once */
    int n;
} PrintAll;

static Status print_node(void *context, Node *n)
{
    PrintAll *x = context;
    Text key;

    if (n->kind != NODE_KERNEL) return OK;
    text_init(&key, x->arena);
    kernel_print(n, &key);
    if (map_has(&x->printed, key.s)) return OK;
    map_set(&x->printed, key.s, n);
    return c_print_function(x->dialect, x->arena, x->module, n,
                            arena_printf(x->arena, "kernel_%d", x->n++), x->out, x->diag, NULL);
}

Status c_print_module(const CDialect *dialect, Module *m, Arena *arena, Text *out, int *n, Diag *d)
{
    PrintAll x = {.dialect = dialect, .arena = arena, .module = m, .out = out, .diag = d};
    Status s;

    map_init(&x.printed, arena, true);
    c_print_helpers(dialect, out);
    s = module_visit(m, print_node, &x);
    *n = x.n;
    return s;
}

/* ---- C itself: a function has the signature of ingot_kernel */

static void start(CPrint *p, const char *name)
{
    const Node *node = p->nest->node;
    const char *arguments =
        "(const ingot_kernel_args *args, int64_t begin, int64_t end, void *scratch)";

    c_line(p, "void %s%s;", name, arguments);
    c_line(p, "void %s%s", name, arguments);
    c_line(p, "{");
    p->depth++;
    c_line(p, "const int64_t *dim = args->dim;");
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i])
            c_line(p, "const %s *in%d = args->ptr[%d];", c_type(node->in[i]->type.dtype), i, i);
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i])
            c_line(p, "%s *out%d = args->ptr[%d];", c_type(node->out[i]->type.dtype), i,
                   node->n_in + i);
    c_line(p, "(void)dim, (void)scratch;");
    p->depth--;
}

static const CDialect plain_c = {
    .head = "#include <math.h>\n"
            "#include <stdint.h>\n"
            "#include <string.h>\n"
            "#include \"ingot/ingot_rt.h\"\n"
            "\n"
            "#define K_FN static inline\n"
            "#define K_CONST static const\n"
            "#define K_CLZ __builtin_clzll\n"
            "#define K_POPCNT __builtin_popcountll\n"
            "\n",
    .check = "static inline int64_t k_check(const ingot_kernel_args *args, int64_t i, int64_t n)\n"
             "{\n"
             "    int64_t at = i < 0 ? k_add_i64(i, n) : i;\n"
             "    if (at >= 0 && at < n) return at;\n"
             "    ingot_rt_fail(args->call, INGOT_ERR_DATA, args->origin,\n"
             "                  \"index %lld out of range for an axis of %lld\", i, n);\n"
             "    return -1;\n"
             "}\n"
             "\n",
    .told = "args",
    .task_loop = "for (int64_t t = begin; t < end; t++) {",
    .once = "",
    .start = start,
};

void c_print_prelude(Text *out)
{
    c_print_helpers(&plain_c, out);
}

Status c_print_kernel(Arena *arena, Module *m, const Node *n, const char *name, Text *out, Diag *d,
                      const KernelAbi **abi)
{
    return c_print_function(&plain_c, arena, m, n, name, out, d, abi);
}

Status codegen_print_c(Module *m, Arena *arena, Text *out, Diag *d)
{
    int n;

    return c_print_module(&plain_c, m, arena, out, &n, d);
}
