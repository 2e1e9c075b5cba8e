/* rt_instance.c: an instance of a compiled model: its memory, the checks at its door, its last
 * error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_text.h"

#ifndef INGOT_VERSION
#define INGOT_VERSION "0.1.0"
#endif

/* ---- memory ---- */

void *ingot_rt_allocate(const RtMemory *m, size_t size)
{
    void *p = NULL;

    if (size == 0 || size > (size_t)PTRDIFF_MAX) return NULL;
    if (m->allocate) return m->allocate(m->context, size, INGOT_RT_ALIGN);
    return posix_memalign(&p, INGOT_RT_ALIGN, size) == 0 ? p : NULL;
}

void ingot_rt_release(const RtMemory *m, RtBlock *b)
{
    if (!b->data) return;
    if (m->release) {
        m->release(m->context, b->data, b->size);
    } else if (!m->allocate) {
        free(b->data);
    }
    *b = (RtBlock){0};
}

bool ingot_rt_grow(const RtMemory *m, RtBlock *b, size_t size)
{
    void *p;

    if (size <= b->size) return true;
    p = ingot_rt_allocate(m, size);
    if (!p) return false;
    ingot_rt_release(m, b);
    *b = (RtBlock){p, size};
    return true;
}

/* ---- types ---- */

static const struct {
    char name[15]; /* no pointers: nothing to relocate */
    uint8_t size;
} dtypes[] = {
    [INGOT_F32] = {"f32", 4},
    [INGOT_U8] = {"u8", 1},
    [INGOT_I8] = {"i8", 1},
    [INGOT_U16] = {"u16", 2},
    [INGOT_I16] = {"i16", 2},
    [INGOT_I32] = {"i32", 4},
    [INGOT_I64] = {"i64", 8},
    [INGOT_STRING] = {"string", sizeof(ingot_string)},
    [INGOT_BOOL] = {"bool", 1},
    [INGOT_F16] = {"f16", 2},
    [INGOT_F64] = {"f64", 8},
    [INGOT_U32] = {"u32", 4},
    [INGOT_U64] = {"u64", 8},
    [INGOT_C64] = {"c64", 8},
    [INGOT_C128] = {"c128", 16},
    [INGOT_BF16] = {"bf16", 2},
    [INGOT_F8E4M3FN] = {"f8e4m3fn", 1},
    [INGOT_F8E4M3FNUZ] = {"f8e4m3fnuz", 1},
    [INGOT_F8E5M2] = {"f8e5m2", 1},
    [INGOT_F8E5M2FNUZ] = {"f8e5m2fnuz", 1},
    [INGOT_U4] = {"u4", 1},
    [INGOT_I4] = {"i4", 1},
    [INGOT_F4E2M1] = {"f4e2m1", 1},
    [INGOT_F8E8M0] = {"f8e8m0", 1},
    [INGOT_U2] = {"u2", 1},
    [INGOT_I2] = {"i2", 1},
    [INGOT_F6E2M3] = {"f6e2m3", 1},
    [INGOT_F6E3M2] = {"f6e3m2", 1},
};

int64_t ingot_rt_dtype_size(int32_t dtype)
{
    if (ingot_rt_is_list(dtype)) return (int64_t)sizeof(ingot_tensor);
    return dtype >= 0 && dtype <= INGOT_F6E3M2 ? dtypes[dtype].size : 0;
}

const char *ingot_rt_dtype_name(int32_t dtype)
{
    static const char *const lists[] = {"sequence", "optional", "map"};

    if (ingot_rt_is_list(dtype)) return lists[dtype - INGOT_SEQUENCE];
    return ingot_rt_dtype_size(dtype) ? dtypes[dtype].name : "?";
}

int64_t ingot_rt_elements(int32_t dtype, int32_t rank, const int64_t *dims)
{
    int64_t n = 1, bytes, size = ingot_rt_dtype_size(dtype);
    bool empty = false;

    if (size == 0 || rank < 0 || rank > INGOT_MAX_RANK) return -1;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0) return -1;
        if (dims[i] == 0) empty = true;
    }
    if (empty) return 0;
    for (int32_t i = 0; i < rank; i++) {
        if (__builtin_mul_overflow(n, dims[i], &n)) return -1;
    }
    return __builtin_mul_overflow(n, size, &bytes) ? -1 : n;
}

/* Appends to out[*n..size), always terminated. */
static void append(char *out, size_t size, size_t *n, const char *text)
{
    while (*text && *n + 1 < size)
        out[(*n)++] = *text++;
    if (size) out[*n] = 0;
}

void ingot_rt_dims_text(int32_t rank, const int64_t *dims, const char *const *symbols, char *out,
                        size_t size)
{
    size_t n = 0;
    char number[24];

    append(out, size, &n, "[");
    if (rank < 0) append(out, size, &n, "...");
    for (int32_t i = 0; i < rank; i++) {
        if (i) append(out, size, &n, ",");
        snprintf(number, sizeof number, "%lld", (long long)dims[i]);
        if (dims[i] >= 0) {
            append(out, size, &n, number);
        } else {
            append(out, size, &n, symbols && symbols[i] ? symbols[i] : "?");
        }
    }
    append(out, size, &n, "]");
}

/* ---- create and destroy ---- */

/* Cuts `count * size` bytes, aligned to 16, from `base` at *at; NULL when only the size is asked
 * for. */
static void *cut(char *base, size_t *at, size_t count, size_t size)
{
    void *p = base ? base + *at : NULL;

    *at += (count * size + 15) & ~(size_t)15;
    return p;
}

static int32_t total_dims(const ingot_model *model)
{
    int32_t n = 0;

    for (int32_t i = 0; i < model->n_inputs; i++)
        n += model->inputs[i].rank > 0 ? model->inputs[i].rank : 0;
    return n;
}

/* The struct and its arrays in one block; with base == NULL, only how large that is. */
static size_t lay_out(ingot_instance *m, const ingot_model *model, char *base)
{
    size_t segments = (size_t)model->n_segments, outputs = (size_t)model->n_outputs;
    size_t dims = (size_t)total_dims(model);
    size_t at = 0;
    ingot_instance sink;

    if (!m) m = &sink;
    cut(base, &at, 1, sizeof *m);
    m->segments = cut(base, &at, segments, sizeof *m->segments);
    m->segment_cut = cut(base, &at, segments, sizeof *m->segment_cut);
    m->lent = cut(base, &at, outputs, sizeof *m->lent);
    m->lending = cut(base, &at, outputs, sizeof *m->lending);
    m->symbol_of = cut(base, &at, dims, sizeof *m->symbol_of);
    m->symbol_value = cut(base, &at, dims, sizeof *m->symbol_value);
    m->symbol_name = cut(base, &at, dims, sizeof *m->symbol_name);
    return at;
}

/* Numbers the symbols of the inputs, so that a run compares integers only. */
static void number_symbols(ingot_instance *m)
{
    int32_t at = 0;

    for (int32_t i = 0; i < m->model->n_inputs; i++) {
        const ingot_port *p = &m->model->inputs[i];
        for (int32_t k = 0; k < p->rank; k++, at++) {
            const char *name = p->symbols ? p->symbols[k] : NULL;
            int32_t id = 0;

            m->symbol_of[at] = -1;
            if (!name || p->dims[k] >= 0) continue;
            while (id < m->n_symbols && strcmp(m->symbol_name[id], name) != 0)
                id++;
            if (id == m->n_symbols) m->symbol_name[m->n_symbols++] = name;
            m->symbol_of[at] = id;
        }
    }
}

/* Memory that runs will need for certain: with static shapes a run then allocates nothing. */
static int32_t reserve_memory(ingot_instance *m, const ingot_options *o)
{
    const ingot_model *model = m->model;

    if (model->arena_size > 0) {
        size_t slack = (size_t)model->n_segments * INGOT_RT_ALIGN;
        if (o->memory_limit > 0 && model->arena_size > o->memory_limit) return INGOT_ERR_LIMIT;
        if (!ingot_rt_grow(&m->memory, &m->reserve, (size_t)model->arena_size + slack))
            return INGOT_ERR_LIMIT;
        m->memory_used = model->arena_size;
    }
    for (int32_t i = 0; i < model->n_outputs; i++) {
        const ingot_port *p = &model->outputs[i];
        int64_t n = p->rank >= 0 ? ingot_rt_elements(p->dtype, p->rank, p->dims) : -1;
        if (n < 0) continue;
        if (!ingot_rt_grow(&m->memory, &m->lent[i],
                           (size_t)(n * ingot_rt_dtype_size(p->dtype)) + 1)) {
            return INGOT_ERR_LIMIT;
        }
    }
    if (model->scratch_size > 0) {
        if (!ingot_rt_grow(&m->memory, &m->scratch, (size_t)model->scratch_size))
            return INGOT_ERR_LIMIT;
        /* A shared pool that is busy grows its scratch at the first fork instead. */
        if (!ingot_rt_pool_reserve(m->pool, model->scratch_size) && m->owns_pool)
            return INGOT_ERR_LIMIT;
    }
    return INGOT_OK;
}

static int32_t check_model(const ingot_model *model, char *text, size_t size)
{
    if (!model) {
        snprintf(text, size, "no model was given");
        return INGOT_ERR_USAGE;
    }
    if (model->abi_version != INGOT_ABI_VERSION) {
        snprintf(
            text, size,
            "the model was compiled for version %d of the runtime's interface, this is version %d",
            (int)model->abi_version, INGOT_ABI_VERSION);
        return INGOT_ERR_TARGET;
    }
    return INGOT_OK;
}

int32_t ingot_create_explained(const ingot_model *model, const ingot_options *options,
                               ingot_instance **out, char *text, size_t size)
{
    static const ingot_options defaults;
    const ingot_options *o = options ? options : &defaults;
    RtMemory memory = {o->allocate, o->release, o->context};
    RtBlock self = {0};
    const ingot_isa *isa = NULL;
    ingot_instance *m;
    int32_t status = INGOT_ERR_USAGE;

    if (!out) return INGOT_ERR_USAGE;
    *out = NULL;
    status = check_model(model, text, size);
    if (!status) status = ingot_rt_choose_isa(model, o->isa, &isa, text, size);
    if (status) return status;
    snprintf(text, size, "not enough memory for an instance of the model");
    if (!ingot_rt_grow(&memory, &self, lay_out(NULL, model, NULL))) return INGOT_ERR_LIMIT;
    m = memset(self.data, 0, self.size);
    lay_out(m, model, self.data);
    m->self = self;
    m->model = model;
    m->isa = isa;
    m->memory = memory;
    m->memory_limit = o->memory_limit;
    m->fp_mode = ingot_rt_fp_mode((model->flags & INGOT_MODEL_FLUSH_SUBNORMALS) != 0);
    m->owns_pool = !o->pool;
    m->pool = o->pool ? o->pool : ingot_rt_pool_make(o->threads, &memory);
    number_symbols(m);
    status = m->pool ? reserve_memory(m, o) : INGOT_ERR_LIMIT;
    if (status) {
        ingot_destroy(m);
        return status;
    }
    *out = m;
    return INGOT_OK;
}

int32_t ingot_create(const ingot_model *model, const ingot_options *options, ingot_instance **out)
{
    char text[256];

    return ingot_create_explained(model, options, out, text, sizeof text);
}

void ingot_destroy(ingot_instance *m)
{
    if (!m) return;
    if (m->owns_pool) ingot_pool_destroy(m->pool);
    for (int32_t i = 0; i < m->model->n_segments; i++) {
        if (!m->segment_cut[i]) ingot_rt_release(&m->memory, &m->segments[i]);
    }
    for (int32_t i = 0; i < m->model->n_outputs; i++)
        ingot_rt_release(&m->memory, &m->lent[i]);
    ingot_rt_text_reset(m, true);
    ingot_rt_region_release(&m->memory, &m->region);
    ingot_rt_release(&m->memory, &m->reserve);
    ingot_rt_release(&m->memory, &m->scratch);
    RtBlock profile = {m->profile, (size_t)m->model->n_kernels * sizeof *m->profile};
    ingot_rt_release(&m->memory, &profile);
    RtMemory memory = m->memory;
    RtBlock self = m->self;
    ingot_rt_release(&memory, &self);
}

const char *ingot_error(const ingot_instance *m)
{
    return m ? m->error : "there is no instance";
}

const char *ingot_level(const ingot_instance *m)
{
    return m && m->isa ? m->isa->name : "";
}

const char *ingot_version(void)
{
    return INGOT_VERSION;
}

void ingot_profile(ingot_instance *m, int64_t *nanoseconds)
{
    size_t size = (size_t)m->model->n_kernels * sizeof *m->profile;

    if (!size) return;
    if (!m->profile) {
        m->profile = ingot_rt_allocate(&m->memory, size);
        if (m->profile) memset(m->profile, 0, size);
        memset(nanoseconds, 0, size);
        return;
    }
    memcpy(nanoseconds, m->profile, size);
    memset(m->profile, 0, size);
}

/* ---- run ---- */

/* Says what is wrong with input i: "input 'x': rank is 3, must be 4 ([N,3,H,W])". */
static int32_t input_error(ingot_instance *m, int32_t i, const char *what, const ingot_tensor *t)
{
    const ingot_port *p = &m->model->inputs[i];
    char got[160], want[160];
    bool ranked = t->rank >= 0 && t->rank <= INGOT_MAX_RANK;

    ingot_rt_dims_text(ranked ? t->rank : -1, t->dims, NULL, got, sizeof got);
    ingot_rt_dims_text(p->rank, p->dims, p->symbols, want, sizeof want);
    snprintf(m->error, sizeof m->error, "input '%s': %s: found %s%s, expected %s%s", p->name, what,
             ingot_rt_dtype_name(t->dtype), got, ingot_rt_dtype_name(p->dtype), want);
    return INGOT_ERR_USAGE;
}

/* ---- lists ---- */

static int32_t list_error(ingot_instance *m, const ingot_port *port, const char *what,
                          const ingot_tensor *t)
{
    snprintf(m->error, sizeof m->error, "input '%s': %s: found %s of rank %d", port->name, what,
             ingot_rt_dtype_name(t->dtype), (int)t->rank);
    return INGOT_ERR_USAGE;
}

static int32_t check_elements(ingot_instance *m, const ingot_port *port, const ingot_port *p,
                              const ingot_tensor *list);

/* One element of a list that goes in; `port` is the model's input, p what the element shall be. */
static int32_t check_element(ingot_instance *m, const ingot_port *port, const ingot_port *p,
                             const ingot_tensor *t)
{
    int64_t n = ingot_rt_elements(t->dtype, t->rank, t->dims), size = ingot_rt_dtype_size(p->dtype);

    if (t->dtype != p->dtype) return list_error(m, port, "an element has another dtype", t);
    if (n < 0) return list_error(m, port, "an element has impossible dims", t);
    if (n > 0 && !t->data) return list_error(m, port, "an element has no data", t);
    if ((uintptr_t)t->data % (uintptr_t)(size > 8 ? 8 : size))
        return list_error(m, port, "an element is not aligned", t);
    if (p->rank >= 0 && t->rank != p->rank)
        return list_error(m, port, "an element has another rank", t);
    for (int32_t k = 0; k < p->rank; k++)
        if (p->dims[k] >= 0 && t->dims[k] != p->dims[k])
            return list_error(m, port, "an element has another size", t);
    return ingot_rt_is_list(p->dtype) ? check_elements(m, port, p, t) : INGOT_OK;
}

static int32_t check_elements(ingot_instance *m, const ingot_port *port, const ingot_port *p,
                              const ingot_tensor *list)
{
    const ingot_tensor *item = list->data;
    int64_t n = list->dims[0];

    if ((p->dtype == INGOT_OPTIONAL && n > 1) || (p->dtype == INGOT_MAP && n != 2))
        return list_error(m, port, "a wrong number of elements", list);
    for (int64_t i = 0; p->elem && i < n; i++) {
        int32_t status =
            check_element(m, port, p->dtype == INGOT_MAP ? &p->elem[i] : p->elem, &item[i]);
        if (status) return status;
    }
    return INGOT_OK;
}

/* Dims against the port, and symbols against what earlier inputs said of them. */
static int32_t check_dims(ingot_instance *m, int32_t i, const ingot_tensor *t,
                          const int32_t *symbol_of)
{
    const ingot_port *p = &m->model->inputs[i];

    for (int32_t k = 0; k < p->rank; k++) {
        int32_t id = symbol_of[k];

        if (p->dims[k] >= 0) {
            if (t->dims[k] != p->dims[k]) return input_error(m, i, "wrong size", t);
        } else if (id >= 0) {
            if (m->symbol_value[id] < 0) {
                m->symbol_value[id] = t->dims[k];
            } else if (m->symbol_value[id] != t->dims[k]) {
                snprintf(
                    m->error, sizeof m->error,
                    "input '%s': dim %d ('%s') is %lld, but an earlier dim of that name is %lld",
                    p->name, (int)k, m->symbol_name[id], (long long)t->dims[k],
                    (long long)m->symbol_value[id]);
                return INGOT_ERR_USAGE;
            }
        }
    }
    return INGOT_OK;
}

static int32_t check_input(ingot_instance *m, int32_t i, const ingot_tensor *t,
                           const int32_t *symbol_of)
{
    const ingot_port *p = &m->model->inputs[i];
    int64_t n, size = ingot_rt_dtype_size(p->dtype);

    if (!t->data && p->optional) return INGOT_OK;
    if (t->dtype != p->dtype) return input_error(m, i, "wrong dtype", t);
    if (p->rank >= 0 && t->rank != p->rank) return input_error(m, i, "wrong rank", t);
    n = ingot_rt_elements(t->dtype, t->rank, t->dims);
    if (n < 0) return input_error(m, i, "impossible dims", t);
    if (n > 0 && !t->data) return input_error(m, i, "there is no data", t);
    if (size > 8) size = 8;
    if ((uintptr_t)t->data % (uintptr_t)size)
        return input_error(m, i, "data is not aligned to the element", t);
    if (ingot_rt_is_list(p->dtype)) return check_elements(m, p, p, t);
    return p->rank >= 0 ? check_dims(m, i, t, symbol_of) : INGOT_OK;
}

static int32_t check_inputs(ingot_instance *m, const ingot_tensor *inputs)
{
    const int32_t *symbol_of = m->symbol_of;

    for (int32_t i = 0; i < m->n_symbols; i++)
        m->symbol_value[i] = -1;
    for (int32_t i = 0; i < m->model->n_inputs; i++) {
        int32_t status = check_input(m, i, &inputs[i], symbol_of);
        if (status) return status;
        if (m->model->inputs[i].rank > 0) symbol_of += m->model->inputs[i].rank;
    }
    return INGOT_OK;
}

/* A caller who hands back what we lent last time wants it lent again. */
static void prepare_outputs(ingot_instance *m, ingot_tensor *outputs)
{
    for (int32_t i = 0; i < m->model->n_outputs; i++) {
        m->lending[i] = ingot_rt_is_list(m->model->outputs[i].dtype) || !outputs[i].data ||
                        outputs[i].data == m->lent[i].data;
        if (m->lending[i]) outputs[i].data = NULL;
        outputs[i].dtype = m->model->outputs[i].dtype;
    }
}

static int32_t finish_run(ingot_instance *m, const ingot_call *call, int32_t status,
                          ingot_tensor *outputs)
{
    if (call->error) status = call->error;
    if (!status) return INGOT_OK;
    for (int32_t i = 0; i < m->model->n_outputs; i++) {
        if (m->lending[i]) outputs[i].data = NULL;
    }
    if (!m->error[0])
        snprintf(m->error, sizeof m->error, "the model failed with status %d", (int)status);
    return status;
}

int32_t ingot_run(ingot_instance *m, const ingot_tensor *inputs, ingot_tensor *outputs)
{
    ingot_call call = {.in = inputs, .out = outputs, .instance = m};
    uint32_t fp_before;
    int32_t status;

    if (!m) return INGOT_ERR_USAGE;
    call.kernels = m->isa ? m->isa->kernels : NULL;
    m->error[0] = 0;
    if ((!inputs && m->model->n_inputs > 0) || (!outputs && m->model->n_outputs > 0)) {
        snprintf(m->error, sizeof m->error, "no %s were given", inputs ? "outputs" : "inputs");
        return INGOT_ERR_USAGE;
    }
    status = check_inputs(m, inputs);
    if (status) return status;
    prepare_outputs(m, outputs);
    ingot_rt_text_reset(m, false);
    fp_before = ingot_rt_fp_get();
    ingot_rt_fp_set(m->fp_mode);
    ingot_rt_region_reset(&m->region);
    ingot_rt_pool_enter(m->pool);
    status = m->model->run(&call);
    ingot_rt_pool_leave(m->pool);
    ingot_rt_fp_set(fp_before);
    return finish_run(m, &call, status, outputs);
}

/* ---- called by generated code ---- */

int32_t ingot_rt_fail(ingot_call *c, int32_t code, int32_t origin, const char *what, int64_t a,
                      int64_t b)
{
    ingot_instance *m = c->instance;
    const ingot_model *model = m->model;
    int32_t none = 0;
    int n = 0;

    if (!__atomic_compare_exchange_n(&c->error, &none, code, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return code;
    if (origin >= 0 && origin < model->n_origins) {
        n = snprintf(m->error, sizeof m->error, "node '%s': ", model->origins[origin]);
        if (n < 0 || (size_t)n >= sizeof m->error) return code;
    }
    snprintf(m->error + n, sizeof m->error - (size_t)n, what, (long long)a, (long long)b);
    return code;
}

/* From the reserve while it lasts, so that static shapes never allocate in a run. */
static bool cut_segment(ingot_instance *m, int32_t k, size_t bytes)
{
    size_t size = (bytes + INGOT_RT_ALIGN - 1) & ~(size_t)(INGOT_RT_ALIGN - 1);

    if (m->segments[k].data || size > m->reserve.size - m->reserve_used) return false;
    m->segments[k] = (RtBlock){(char *)m->reserve.data + m->reserve_used, size};
    m->segment_cut[k] = true;
    m->reserve_used += size;
    return true;
}

/* Segment k of at least `bytes` bytes; the first `keep` bytes of the old one are in the new one. */
static void *segment(ingot_call *c, int32_t k, int64_t keep, int64_t bytes)
{
    ingot_instance *m = c->instance;
    RtBlock *s, old = {0};

    if (k < 0 || k >= m->model->n_segments || bytes < 0) {
        ingot_rt_fail(c, bytes < 0 ? INGOT_ERR_LIMIT : INGOT_ERR_BUG, -1,
                      "segment %lld cannot have %lld bytes", k, bytes);
        return NULL;
    }
    s = &m->segments[k];
    if (bytes == 0) bytes = 1;
    if ((size_t)bytes <= s->size || cut_segment(m, k, (size_t)bytes)) return s->data;
    if (m->segment_cut[k]) {
        m->segment_cut[k] = false; /* its piece of the reserve is given up until destroy */
        if (keep > 0) old.data = s->data;
        *s = (RtBlock){0};
    }
    int64_t others = m->memory_used - (int64_t)s->size;
    if (m->memory_limit > 0 && bytes > m->memory_limit - others) {
        ingot_rt_fail(c, INGOT_ERR_LIMIT, -1,
                      "%lld bytes more of intermediates would be over the memory limit of %lld",
                      bytes, m->memory_limit);
        return NULL;
    }
    if (keep > 0 && s->data) {
        old = *s;
        *s = (RtBlock){0};
    }
    ingot_rt_release(&m->memory, s);
    m->memory_used = others;
    if (ingot_rt_grow(&m->memory, s, (size_t)bytes)) {
        m->memory_used += bytes;
        if (old.data) memcpy(s->data, old.data, (size_t)keep);
    } else {
        ingot_rt_fail(c, INGOT_ERR_LIMIT, -1, "no memory for %lld bytes of intermediates", bytes,
                      0);
    }
    if (old.size) ingot_rt_release(&m->memory, &old);
    return s->data;
}

void *ingot_rt_segment(ingot_call *c, int32_t k, int64_t bytes)
{
    return segment(c, k, 0, bytes);
}

void *ingot_rt_segment_keep(ingot_call *c, int32_t k, int64_t keep, int64_t bytes)
{
    return segment(c, k, keep, bytes);
}

void *ingot_rt_output(ingot_call *c, int32_t k, int64_t bytes)
{
    ingot_instance *m = c->instance;
    ingot_tensor *t = &c->out[k];

    if (k < 0 || k >= m->model->n_outputs || bytes < 0) {
        ingot_rt_fail(c, bytes < 0 ? INGOT_ERR_LIMIT : INGOT_ERR_BUG, -1,
                      "output %lld cannot have %lld bytes", k, bytes);
        return NULL;
    }
    if (!m->lending[k]) {
        if (bytes <= t->capacity) return t->data;
        if (__atomic_load_n(&c->error, __ATOMIC_RELAXED) == 0) {
            ingot_rt_fail(c, INGOT_ERR_USAGE, -1,
                          "an output needs %lld bytes, the buffer given for it has %lld", bytes,
                          t->capacity);
        }
        return NULL;
    }
    if (!ingot_rt_grow(&m->memory, &m->lent[k], (size_t)bytes + (bytes == 0))) {
        ingot_rt_fail(c, INGOT_ERR_LIMIT, -1, "no memory for %lld bytes of output %lld", bytes, k);
        return NULL;
    }
    t->data = m->lent[k].data;
    return t->data;
}

void *ingot_rt_place(const ingot_call_args *a, int32_t k, int64_t bytes)
{
    if (k < 0 || k >= a->n_out) return NULL;
    if (a->segments && a->segments[k] >= 0)
        a->out[k].data = ingot_rt_segment(a->call, a->segments[k], bytes);
    return a->out[k].data;
}
