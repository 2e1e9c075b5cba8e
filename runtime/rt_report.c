/* rt_report.c: what an executable's driver prints: help, outputs, the largest classes, and times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_driver.h"

#define SHOWN_VALUES 8
#define SHOWN_ROWS   16

void ingot_rt_print_ports(const ingot_port *ports, int32_t count, void *file)
{
    char type[200];
    size_t width = 1;

    for (int32_t i = 0; i < count; i++) {
        if (strlen(ports[i].name) > width) width = strlen(ports[i].name);
    }
    for (int32_t i = 0; i < count; i++) {
        ingot_tensor_type_text(ports[i].dtype, ports[i].rank, ports[i].dims, ports[i].symbols, type,
                               sizeof type);
        fprintf(file, "  %-*s  %s", (int)(width < 40 ? width : 40), ports[i].name, type);
        for (const ingot_port *e = ports[i].elem; e; e = e->elem) {
            ingot_tensor_type_text(e->dtype, e->rank, e->dims, e->symbols, type, sizeof type);
            fprintf(file, " of %s", type);
        }
        fprintf(file, "%s\n", ports[i].optional ? "  (optional)" : "");
    }
}

/* Does the port look like an image: 2 or more spatial dims and 1 or 3 channels? */
static bool is_image(const ingot_port *p)
{
    if (p->rank != 3 && p->rank != 4) return false;
    const int64_t *d = p->dims + p->rank - 3;
    return d[0] == 1 || d[0] == 3 || d[2] == 1 || d[2] == 3;
}

/* The first dim that has a name, or NULL. */
static const char *open_dim(const ingot_model *m)
{
    for (int32_t i = 0; i < m->n_inputs; i++) {
        for (int32_t k = 0; k < m->inputs[i].rank; k++) {
            if (m->inputs[i].dims[k] < 0 && m->inputs[i].symbols && m->inputs[i].symbols[k]) {
                return m->inputs[i].symbols[k];
            }
        }
    }
    return NULL;
}

static void print_examples(const RtDriver *d)
{
    const ingot_model *m = d->model;
    const char *in = m->n_inputs ? m->inputs[0].name : NULL, *open = open_dim(m);
    const char *extension = in && is_image(&m->inputs[0]) ? "png" : "npy";

    printf("\nExamples:\n");
    if (in)
        printf("  %s --input %s=%s.%s%s\n", d->program, in, in, extension,
               m->n_inputs > 1 ? " ..." : "");
    if (m->n_outputs && in) {
        printf("  %s --input %s=%s.npy%s --output %s=result.npy\n", d->program, in, in,
               m->n_inputs > 1 ? " ..." : "", m->outputs[0].name);
    }
    printf("  %s --input random%s%s%s --top 5\n", d->program, open ? " --dim " : "",
           open ? open : "", open ? "=1" : "");
    printf("  %s --bench --threads 1%s%s%s\n", d->program, open ? " --dim " : "", open ? open : "",
           open ? "=1" : "");
}

void ingot_rt_print_help(const RtDriver *d)
{
    const ingot_model *m = d->model;

    printf("%s: the model '%s', compiled by ingot %s for %s.\n\nInputs:\n", d->program, m->name,
           ingot_version(), m->target ? m->target : "this processor");
    ingot_rt_print_ports(m->inputs, m->n_inputs, stdout);
    printf("Outputs:\n");
    ingot_rt_print_ports(m->outputs, m->n_outputs, stdout);
    printf(
        "\n"
        "Options:\n"
        "  --input [NAME=]FILE    .npy .npz .pb .png .pgm .ppm .txt .csv .raw, or: random\n"
        "  --output [NAME=]FILE   .npy .npz .pb .txt .pgm .ppm .raw; otherwise outputs are shown\n"
        "  --top K                show the K largest values of each row, with their index\n"
        "  --labels FILE          and the line of FILE with that number\n"
        "  --scale S, --mean M    images into floats: (v - M) * S for v in 0..1; one number or "
        "R,G,B\n"
        "  --dim NAME=N           size of an open dim for random inputs\n"
        "  --seed N               of random inputs\n"
        "  --threads N            default: all cores\n"
        "  --bench                latency, and the time of each kernel\n"
        "  --verbose, -v          say which level of processor the code that runs is for\n"
        "  --version, --help\n");
    print_examples(d);
    printf("\nExit status: 0 done; 2 usage; 5 a file; 6 memory; 7 wrong processor; 8 a value is "
           "not allowed.\n");
}

static void print_value(const ingot_tensor *t, int indent)
{
    int64_t n = ingot_tensor_elements(t);
    char text[200];

    ingot_tensor_type_text(t->dtype, t->rank, t->dims, NULL, text, sizeof text);
    printf(ingot_tensor_is_list(t) ? "%s" : "%s =", text);
    if (ingot_tensor_is_list(t)) {
        for (int64_t i = 0; i < n && i < SHOWN_ROWS; i++) {
            printf("\n%*s[%lld] ", indent, "", (long long)i);
            print_value((const ingot_tensor *)t->data + i, indent + 2);
        }
        if (n > SHOWN_ROWS) printf("\n%*s...", indent, "");
        return;
    }
    for (int64_t i = 0; i < n && i < SHOWN_VALUES; i++) {
        ingot_tensor_element_text(t, i, text, sizeof text);
        printf(t->dtype == INGOT_STRING ? " \"%s\"" : " %s", text);
    }
    if (n > SHOWN_VALUES) printf(" ...");
}

void ingot_rt_print_summary(const RtDriver *d, int32_t k)
{
    printf("%s: ", d->model->outputs[k].name);
    print_value(&d->out[k], 2);
    printf("\n");
}

/* ---- the largest ---- */

typedef struct Labels {
    char *text;
    const char **line;
    int64_t count;
} Labels;

static int32_t read_labels(const char *path, Labels *l)
{
    FILE *f = fopen(path, "rb");
    size_t size = 0, capacity = 1 << 16, n;

    if (!f) return INGOT_ERR_IO;
    l->text = malloc(capacity);
    while (l->text && (n = fread(l->text + size, 1, capacity - size - 1, f)) > 0) {
        size += n;
        if (capacity - size > 1) continue;
        char *more = capacity < (size_t)1 << 28 ? realloc(l->text, capacity *= 2) : NULL;
        if (!more) free(l->text);
        l->text = more;
    }
    fclose(f);
    l->line = l->text ? calloc(size + 1, sizeof *l->line) : NULL;
    if (!l->line) return INGOT_ERR_LIMIT;
    l->text[size] = 0;
    for (char *s = l->text; *s;) {
        l->line[l->count++] = s;
        s += strcspn(s, "\r\n");
        if (*s == '\r') *s++ = 0;
        if (*s == '\n') *s++ = 0;
    }
    return INGOT_OK;
}

/* The largest element of [from, from + n) that comes after (v, at) in falling order; equal ones by
 * index. -1: none. */
static int64_t next_largest(const ingot_tensor *t, int64_t from, int64_t n, int64_t at)
{
    double bound = at >= 0 ? ingot_tensor_element(t, from + at) : 0, most = 0;
    int64_t best = -1;

    for (int64_t i = 0; i < n; i++) {
        double v = ingot_tensor_element(t, from + i);
        bool after = at < 0 || v < bound || (v == bound && i > at);
        if (after && v == v && (best < 0 || v > most)) {
            best = i;
            most = v;
        }
    }
    return best;
}

static void print_row(const RtDriver *d, const ingot_tensor *t, int64_t from, int64_t n,
                      const Labels *labels)
{
    int64_t at = -1;
    char text[64];

    for (int64_t k = 0; k < d->top && k < n; k++) {
        at = next_largest(t, from, n, at);
        if (at < 0) return; /* the rest is NaN */
        ingot_tensor_element_text(t, from + at, text, sizeof text);
        printf("  %6lld  %-12s %s\n", (long long)at, text,
               at < labels->count ? labels->line[at] : "");
    }
}

static bool is_float(int32_t dtype)
{
    return dtype == INGOT_F32 || dtype == INGOT_F64 || dtype == INGOT_F16 || dtype == INGOT_BF16;
}

static void print_top_of(const RtDriver *d, int32_t k, const Labels *labels)
{
    const ingot_tensor *t = &d->out[k];
    int64_t n = t->rank > 0 ? t->dims[t->rank - 1] : 1;
    int64_t rows = n > 0 ? ingot_tensor_elements(t) / n : 0;
    char text[200];

    if (ingot_tensor_is_list(t)) {
        ingot_rt_print_summary(d, k);
        return;
    }
    ingot_tensor_type_text(t->dtype, t->rank, t->dims, NULL, text, sizeof text);
    printf("%s: %s\n", d->model->outputs[k].name, text);
    for (int64_t row = 0; row < rows && row < SHOWN_ROWS; row++) {
        if (rows > 1) printf(" row %lld\n", (long long)row);
        print_row(d, t, row * n, n, labels);
    }
    if (rows > SHOWN_ROWS) printf(" ... %lld more rows\n", (long long)(rows - SHOWN_ROWS));
}

int32_t ingot_rt_print_top(const RtDriver *d)
{
    Labels labels = {0};
    int32_t status = d->labels ? read_labels(d->labels, &labels) : INGOT_OK;

    if (status) {
        fprintf(stderr, "error: %s: the labels cannot be read\n", d->labels);
    } else {
        for (int32_t k = 0; k < d->model->n_outputs; k++) {
            if (is_float(d->out[k].dtype)) {
                print_top_of(d, k, &labels);
            } else {
                ingot_rt_print_summary(d, k);
            }
        }
    }
    free(labels.text);
    free(labels.line);
    return status;
}

/* ---- times ---- */

#define BENCH_SECONDS 1.0
#define BENCH_LEAST   10
#define BENCH_MOST    20000
#define WARM_UPS      3

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Times of runs until there are enough; how many. -1 on failure. */
static int32_t time_runs(RtDriver *d, int64_t *times, int32_t *status)
{
    int64_t end = 0;
    int32_t n = -WARM_UPS;

    while (n < BENCH_MOST) {
        int64_t start = ingot_rt_now();
        *status = ingot_run(d->instance, d->in, d->out);
        if (*status) return -1;
        int64_t now = ingot_rt_now();
        if (n >= 0) times[n] = now - start;
        if (n == 0) end = start + (int64_t)(BENCH_SECONDS * 1e9);
        n++;
        if (n >= BENCH_LEAST && now >= end) break;
    }
    return n;
}

/* The kernels that took time, longest first. */
static int32_t print_kernels(RtDriver *d)
{
    int32_t count = d->model->n_kernels, runs = 0;
    int64_t *ns = calloc((size_t)count + 1, sizeof *ns), total = 0,
            end = ingot_rt_now() + 500000000;
    int32_t status = ns ? INGOT_OK : INGOT_ERR_LIMIT;

    if (!status) ingot_profile(d->instance, ns);
    while (!status && runs < 1000 && (runs < 3 || ingot_rt_now() < end)) {
        status = ingot_run(d->instance, d->in, d->out);
        runs++;
    }
    if (!status) ingot_profile(d->instance, ns);
    for (int32_t i = 0; i < count; i++)
        total += ns ? ns[i] : 0;
    if (total > 0) printf("\n   us/run      %%  kernel\n");
    for (int32_t shown = 0; !status && total > 0 && shown < count; shown++) {
        int32_t best = 0;
        for (int32_t i = 1; i < count; i++)
            best = ns[i] > ns[best] ? i : best;
        if (ns[best] <= 0) break;
        printf("%9.1f  %5.1f  %s\n", (double)ns[best] / runs / 1e3,
               100.0 * (double)ns[best] / (double)total, d->model->kernel_names[best]);
        ns[best] = 0;
    }
    free(ns);
    return status;
}

int32_t ingot_rt_bench(RtDriver *d)
{
    int64_t *times = calloc(BENCH_MOST, sizeof *times);
    int32_t status = INGOT_ERR_LIMIT, n = times ? time_runs(d, times, &status) : -1;

    if (n > 0) {
        qsort(times, (size_t)n, sizeof *times, compare_times);
        printf("%d runs, %d threads: min %.3f ms, median %.3f ms, p90 %.3f ms\n", (int)n,
               (int)ingot_rt_pool_threads(d->instance->pool), (double)times[0] / 1e6,
               (double)times[n / 2] / 1e6, (double)times[(int64_t)n * 9 / 10] / 1e6);
        status = d->model->n_kernels > 0 ? print_kernels(d) : INGOT_OK;
    }
    if (status)
        fprintf(stderr, "error: %s\n", times ? ingot_error(d->instance) : "not enough memory");
    free(times);
    return status;
}
