/* ops_test.c: runs tests/ops/NAME.test.
 *
 *     op LeakyRelu                                     (or: op ai.onnx.ml/Scaler)
 *     case alpha=0.5 f32[4]{-2 -0 0 3} -> f32[4]{-1 -0 0 3}
 *     error "out of range" axis=3 f32[2]{0 0}
 *
 * Attributes: name=1, name=1.5, name='text', name={'a' 'b'}, name=[1,2],
 * name=(1.5,2). Tensors:
 * dtype[dims]{elements}, strings with spaces as 'a b', where {@} counts from 0 and fewer elements
 * are repeated; `-` is an optional input left out; `!` before a tensor makes it a constant of the
 * graph in every run; `_` instead of an expected tensor does not compare it. `case/eval` is not
 * lowered, `case/static` not with open dims.
 *
 * Each case runs four times: the row's eval; lowered with the inputs' dims known; with every dim a
 * symbol; and with all inputs constant. An error must come from inference or from evaluation; and
 * some error also when it is lowered with open dims. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>

#include "ir/eval.h"
#include "passes/pass.h"
#include "tests/unit/check.h"

enum { MOST = 24 };

typedef struct Case {
    const char *file;
    int line;
    const OpDef *op;
    bool eval_only, fixed;
    const char *error;
    int n_attr, n_in, n_out;
    Attr attr[MOST];
    Tensor *in[MOST];
    bool constant[MOST];
    Tensor *want[MOST];
    Arena *arena;
} Case;

static int n_cases;

static void complain(const Case *c, const char *run, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void complain(const Case *c, const char *run, const char *format, ...)
{
    va_list args;

    check_failures++;
    fprintf(stderr, "%s:%d: %s: ", c->file, c->line, run);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* ---- reading ---- */

static const char *skip(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

static const char *read_ints(const char *s, char end, int64_t *out, int *n)
{
    *n = 0;
    while (*s && *s != end) {
        char *after;
        out[*n] = strtoll(s, &after, 10);
        if (after == s || ++*n >= 256) return NULL;
        s = *after == ',' ? after + 1 : after;
    }
    return *s == end ? s + 1 : NULL;
}

static const char *read_floats(const char *s, double *out, int *n)
{
    *n = 0;
    while (*s && *s != ')') {
        char *after;
        out[*n] = (double)strtof(s, &after); /* attributes of models are f32 */
        if (after == s || ++*n >= 256) return NULL;
        s = *after == ',' ? after + 1 : after;
    }
    return *s == ')' ? s + 1 : NULL;
}

static void fill_count(Tensor *t)
{
    for (int64_t i = 0; i < t->count; i++) {
        if (dtype_is_float(t->dtype))
            tensor_set_double(t, i, (double)i);
        else
            tensor_set_int(t, i, i);
    }
}

static const char *read_elements(Arena *a, const char *s, Tensor *t)
{
    int64_t n = 0;

    s = skip(s);
    if (s[0] == '@' && s[1] == '}') {
        fill_count(t);
        return s + 2;
    }
    for (; *s && *s != '}'; s = skip(s)) {
        char *after;
        if (n >= t->count) return NULL;
        if (t->dtype == DT_STRING) {
            bool quoted = *s == '\'';
            size_t length = strcspn(s + quoted, quoted ? "'" : " }");
            ((StringRef *)t->data)[n++] =
                (StringRef){arena_strndup(a, s + quoted, length), (int64_t)length};
            s += length + quoted;
            if (quoted && *s++ != '\'') return NULL;
            continue;
        }
        if (dtype_is_float(t->dtype)) {
            double v = strtod(s, &after);
            tensor_set_double(t, n++, v);
        } else {
            int64_t v = *s == '-' ? strtoll(s, &after, 0) : (int64_t)strtoull(s, &after, 0);
            tensor_set_int(t, n++, v);
        }
        if (after == s) return NULL;
        s = after;
    }
    for (int64_t i = n; n > 0 && i < t->count && t->dtype != DT_STRING; i++)
        memcpy(tensor_at(t, i), tensor_at(t, i % n), (size_t)dtype_bytes(t->dtype));
    return *s == '}' ? s + 1 : NULL;
}

static const char *read_tensor(Arena *a, const char *s, Tensor **out)
{
    char word[16];
    size_t n = strcspn(s, "[");
    int64_t dims[256];
    int rank;
    DType t;

    if (n >= sizeof word || !s[n]) return NULL;
    memcpy(word, s, n);
    word[n] = 0;
    t = dtype_parse(word);
    s = read_ints(s + n + 1, ']', dims, &rank);
    if (t == DT_NONE || !s || *s != '{' || rank > MAX_RANK) return NULL;
    *out = tensor_new(a, t, rank, dims);
    return *out ? read_elements(a, s + 1, *out) : NULL;
}

static const char *read_attr(Case *c, const char *s)
{
    Attr *at = &c->attr[c->n_attr++];
    size_t n = strcspn(s, "=");
    int64_t ints[256];
    char *after;

    *at = (Attr){.name = arena_strndup(c->arena, s, n), .kind = ATTR_INT};
    s += n + 1;
    if (*s == '\'') {
        n = strcspn(s + 1, "'");
        at->kind = ATTR_STRING;
        at->s = (StringRef){arena_strndup(c->arena, s + 1, n), (int64_t)n};
        return s[n + 1] ? s + n + 2 : NULL;
    }
    if (*s == '{') {
        int64_t count = 16;
        Tensor *t = tensor_new(c->arena, DT_STRING, 1, &count);
        at->kind = ATTR_STRINGS;
        s = read_elements(c->arena, s + 1, t);
        at->strings = t->data;
        for (at->n = 0; at->n < 16 && at->strings[at->n].s;)
            at->n++;
        return s;
    }
    if (*s == '[') {
        at->kind = ATTR_INTS;
        s = read_ints(s + 1, ']', ints, &at->n);
        at->ints = arena_copy(c->arena, ints, sizeof *ints * (size_t)at->n);
        return s;
    }
    if (*s == '(') {
        double floats[256];
        at->kind = ATTR_FLOATS;
        s = read_floats(s + 1, floats, &at->n);
        at->floats = arena_copy(c->arena, floats, sizeof *floats * (size_t)at->n);
        return s;
    }
    if (strcspn(s, "[") < strcspn(s, " ")) {
        Tensor *t;
        s = read_tensor(c->arena, s, &t);
        at->kind = ATTR_TENSOR;
        at->tensor = t;
        return s;
    }
    n = strcspn(s, " ");
    at->i = strtoll(s, &after, 10);
    if (after == s + n) return after;
    at->kind = ATTR_FLOAT;
    at->f = (double)strtof(s, &after); /* attributes of models are f32 */
    return after == s + n ? after : NULL;
}

static const char *read_input(Case *c, const char *s)
{
    int k = c->n_in++;

    if (*s == '-' && (s[1] == ' ' || !s[1])) return s + 1;
    c->constant[k] = *s == '!';
    return read_tensor(c->arena, s + (*s == '!'), &c->in[k]);
}

static bool read_case(Case *c, const char *s)
{
    for (s = skip(s); s && *s && strncmp(s, "->", 2) != 0; s = s ? skip(s) : s) {
        if (c->n_in >= MOST - 1 || c->n_attr >= MOST - 1) return false;
        s = strcspn(s, "=") < strcspn(s, "[ {") ? read_attr(c, s) : read_input(c, s);
    }
    if (!s) return false;
    if (c->error) return !*s;
    if (!*s) return false;
    for (s = skip(s + 2); s && *s; s = s ? skip(s) : s) {
        if (c->n_out >= MOST - 1) return false;
        c->want[c->n_out] = NULL;
        s = *s == '_' ? s + 1 : read_tensor(c->arena, s, &c->want[c->n_out]);
        c->n_out++;
    }
    return s && c->n_out > 0;
}

/* ---- comparing ---- */

static double tolerance(DType t)
{
    return t == DT_F64 ? 1e-14 : t == DT_F32 ? 6e-7 : t == DT_F16 ? 1e-3 : 8e-3;
}

static bool same_element(const Tensor *a, const Tensor *b, int64_t i, double relative)
{
    double x, y;

    if (a->dtype == DT_STRING) {
        const StringRef *s = tensor_at(a, i), *r = tensor_at(b, i);
        return s->n == r->n && memcmp(s->s, r->s, (size_t)s->n) == 0;
    }
    if (!dtype_is_float(a->dtype)) return tensor_int(a, i) == tensor_int(b, i);
    x = tensor_double(a, i);
    y = tensor_double(b, i);
    if (x != x || y != y) return x != x && y != y;
    if (x == y) return x != 0 || signbit(x) == signbit(y);
    return fabs(x - y) <= relative * fmax(fabs(x), fabs(y)) + 1e-30;
}

static void compare(const Case *c, const char *run, int k, const Tensor *got, const Tensor *want)
{
    if (!want) return;
    if (!got || got->dtype != want->dtype || got->rank != want->rank) {
        complain(c, run, "result %d is %s of rank %d, want %s of rank %d", k,
                 got ? dtype_text(got->dtype) : "nothing", got ? got->rank : 0,
                 dtype_text(want->dtype), want->rank);
        return;
    }
    for (int i = 0; i < got->rank; i++)
        if (got->dim[i] != want->dim[i]) {
            complain(c, run, "result %d: dim %d is %lld, want %lld", k, i, (long long)got->dim[i],
                     (long long)want->dim[i]);
            return;
        }
    for (int64_t i = 0; i < got->count; i++)
        if (!same_element(got, want, i, tolerance(got->dtype))) {
            complain(c, run, "result %d: element %lld is %.17g, want %.17g", k, (long long)i,
                     tensor_double(got, i), tensor_double(want, i));
            return;
        }
}

/* ---- running ---- */

typedef enum Run { RUN_EVAL, RUN_STATIC, RUN_OPEN, RUN_CONSTANT } Run;
static const char *const run_text[] = {"eval", "lowered", "lowered, open dims",
                                       "lowered, constants"};

static const char *first_error(const Case *c, const Diag *d)
{
    return d->first ? diag_format(d->first, c->arena) : "(no message)";
}

/* Open dims are symbols, but for the length of lists of integers after the first input: how many
 * axes there are, or how long an index tuple is, must be known. */
static Type type_of(Module *m, const Tensor *t, bool open, int k)
{
    Dim *dims = ARENA_ARRAY(m->arena, Dim, t->rank);
    bool list = k > 0 && dtype_is_int(t->dtype);

    for (int i = 0; i < t->rank; i++)
        dims[i] = open && !(list && i == t->rank - 1)
                      ? dim_fresh(&m->dims, "n", 0, INT64_C(1) << 40)
                      : dim_const(&m->dims, t->dim[i]);
    return type_tensor(t->dtype, t->rank, dims);
}

/* The graph of the one operator; NULL when inference refuses it. in[] gets the arguments. */
static Module *build_graph(const Case *c, Run run, Diag *d, const Tensor **in, Node **node)
{
    Module *m = module_new(c->arena, c->file);
    Origin origin = {.file = c->file, .node = c->op->name, .op = c->op->name};
    Build b = build_at(m->main, NULL, arena_copy(c->arena, &origin, sizeof origin), d);
    Value *v[MOST] = {0};
    int n_arg = 0;

    for (int k = 0; k < c->n_in; k++) {
        if (!c->in[k]) continue;
        if (run == RUN_CONSTANT || c->constant[k]) {
            v[k] = module_constant(m, c->in[k], NULL);
        } else {
            v[k] = region_add_arg(m->main, "x", type_of(m, c->in[k], run == RUN_OPEN, k));
            in[n_arg++] = c->in[k];
        }
    }
    *node = build_op_node(&b, c->op->domain, c->op->name, c->n_in, v, c->n_out ? c->n_out : 1,
                          c->n_attr, c->attr);
    for (int k = 0; *node && k < (*node)->n_out; k++)
        region_add_result(m->main, (*node)->out[k]);
    return *node ? m : NULL;
}

static void check_types(const Case *c, const char *run, const Node *n)
{
    for (int k = 0; k < c->n_out; k++) {
        const Type *t = &n->out[k]->type;
        if (!c->want[k]) continue;
        if (t->kind != TYPE_TENSOR || t->dtype != c->want[k]->dtype || t->rank != c->want[k]->rank)
            complain(c, run, "inference gives result %d another type", k);
        else
            for (int i = 0; i < t->rank; i++)
                if (t->dim[i]->lo > c->want[k]->dim[i] || t->dim[i]->hi < c->want[k]->dim[i])
                    complain(c, run, "inference: dim %d of result %d excludes %lld", i, k,
                             (long long)c->want[k]->dim[i]);
        const Dim *x = n->out[k]->contents;
        for (int64_t i = 0; x && i < c->want[k]->count; i++)
            if (x[i]->lo > tensor_int(c->want[k], i) || x[i]->hi < tensor_int(c->want[k], i))
                complain(c, run, "contents: element %lld of result %d excludes %lld", (long long)i,
                         k, (long long)tensor_int(c->want[k], i));
    }
}

static void run_case(const Case *c, Run run)
{
    const Tensor *in[MOST] = {0};
    Tensor *out[MOST] = {0};
    PassOptions options = {.bisect = -1};
    Diag d;
    Node *n;
    Module *m;
    bool changed;
    Status s = OK;

    diag_init(&d, c->arena);
    m = build_graph(c, run, &d, in, &n);
    if (!m) {
        complain(c, run_text[run], "inference: %s", first_error(c, &d));
        return;
    }
    check_types(c, run_text[run], n);
    if (run != RUN_EVAL) {
        PassContext cx = {.options = &options, .scratch = c->arena, .diag = &d};
        s = pass_lower(&cx, m, &changed);
    }
    if (s == OK) s = graph_verify(m, run == RUN_EVAL ? STAGE_INFERRED : STAGE_LOWERED, &d);
    if (s == OK) s = eval_module(m, c->arena, NULL, in, out, &d);
    if (s != OK) {
        complain(c, run_text[run], "%s", first_error(c, &d));
        return;
    }
    for (int k = 0; k < c->n_out; k++)
        compare(c, run_text[run], k, out[k], c->want[k]);
}

/* The error, when dims are known; any error, when only the run can tell. */
static void run_error(const Case *c, Run run)
{
    const Tensor *in[MOST] = {0};
    Tensor *out[MOST] = {0};
    PassOptions options = {.bisect = -1};
    Status s = OK;
    Diag d;
    Node *n;
    Module *m;
    bool changed;

    diag_init(&d, c->arena);
    m = build_graph(c, run, &d, in, &n);
    PassContext cx = {.options = &options, .scratch = c->arena, .diag = &d};
    if (m && run == RUN_OPEN) s = pass_lower(&cx, m, &changed);
    if (m && s == OK && eval_module(m, c->arena, NULL, in, out, &d) == OK)
        complain(c, run_text[run], "it is accepted");
    else if (run == RUN_EVAL && !strstr(first_error(c, &d), c->error))
        complain(c, "error", "\"%s\" is not in: %s", c->error, first_error(c, &d));
}

static void run_line(Case *c, char *line)
{
    char *s = line;

    if (strncmp(s, "error \"", 7) == 0) {
        char *end = strchr(s + 7, '"');
        if (!end) {
            complain(c, "line", "no closing quote");
            return;
        }
        *end = 0;
        c->error = s + 7;
        s = end + 1;
    } else {
        c->eval_only = strncmp(s, "case/eval", 9) == 0;
        c->fixed = strncmp(s, "case/static", 11) == 0;
        if (strncmp(s, "case", 4) != 0) {
            complain(c, "line", "neither case nor error");
            return;
        }
        s += strcspn(s, " ");
    }
    if (!c->op || !read_case(c, s)) {
        complain(c, "line", c->op ? "malformed" : "no such operator");
        return;
    }
    n_cases++;
    if (c->error) {
        run_error(c, RUN_EVAL);
        run_error(c, RUN_OPEN);
        return;
    }
    run_case(c, RUN_EVAL);
    if (c->eval_only) return;
    run_case(c, RUN_STATIC);
    if (!c->fixed) run_case(c, RUN_OPEN);
    run_case(c, RUN_CONSTANT);
}

static const OpDef *find_op(char *name)
{
    char *slash = strchr(name, '/');

    if (!slash) return op_find(NULL, name);
    *slash = 0;
    return op_find(name, slash + 1);
}

static void run_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    const OpDef *op = NULL;
    int number = 0;

    CHECK(f != NULL);
    while (f && getline(&line, &size, f) >= 0) {
        number++;
        line[strcspn(line, "\n#")] = 0;
        if (strncmp(line, "op ", 3) == 0) {
            op = find_op(line + 3);
        } else if (*skip(line)) {
            Case c = {.file = path, .line = number, .op = op, .arena = arena_new(0)};
            run_line(&c, line);
            arena_free(c.arena);
        }
    }
    free(line);
    if (f) fclose(f);
}

int main(int argc, char **argv)
{
    DIR *dir = argc > 1 ? NULL : opendir("tests/ops");

    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    CHECK(argc > 1 || dir != NULL);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[512];
        size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 5, ".test") != 0) continue;
        snprintf(path, sizeof path, "tests/ops/%s", e->d_name);
        run_file(path);
    }
    if (dir) closedir(dir);
    CHECK(n_cases > 0);
    printf("%d cases\n", n_cases);
    return check_result();
}
