/* rt_main.c: main() of a compiled model: reads inputs, runs, writes or shows outputs.
 *
 * The compiler gives the model the name ingot_main_model. The exit status is that of the `ingot`
 * command: 0 done, 2 usage, 5 a file, 6 memory, 7 this processor, 8 a value or a file's contents,
 * 70 our bug. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_driver.h"

extern const ingot_model ingot_main_model;

static int32_t complain(const char *format, const char *a, const char *b)
{
    fputs("error: ", stderr);
    fprintf(stderr, format, a, b);
    fputc('\n', stderr);
    return INGOT_ERR_USAGE;
}

/* ---- the command line ---- */

typedef enum OptionKind { FLAG, COUNT, TEXT, TRIPLE, SETTING } OptionKind;

typedef struct Option {
    const char *name;
    OptionKind kind;
    size_t slot;  /* offset in RtDriver: bool, int64_t, char *, double[3], RtSetting * */
    size_t count; /* SETTING: offset of its count */
} Option;

#define SLOT(field) offsetof(RtDriver, field)

static const Option options[] = {
    {"--help", FLAG, SLOT(help), 0},
    {"-h", FLAG, SLOT(help), 0},
    {"--version", FLAG, SLOT(version), 0},
    {"--bench", FLAG, SLOT(bench), 0},
    {"--verbose", FLAG, SLOT(verbose), 0},
    {"-v", FLAG, SLOT(verbose), 0},
    {"--top", COUNT, SLOT(top), 0},
    {"--threads", COUNT, SLOT(threads), 0},
    {"--seed", COUNT, SLOT(seed), 0},
    {"--labels", TEXT, SLOT(labels), 0},
    {"--scale", TRIPLE, SLOT(scale), 0},
    {"--mean", TRIPLE, SLOT(mean), 0},
    {"--input", SETTING, SLOT(input), SLOT(n_input)},
    {"-i", SETTING, SLOT(input), SLOT(n_input)},
    {"--output", SETTING, SLOT(output), SLOT(n_output)},
    {"-o", SETTING, SLOT(output), SLOT(n_output)},
    {"--dim", SETTING, SLOT(dim), SLOT(n_dim)},
};

static bool parse_count(const char *s, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(s, &end, 10);
    return end != s && *end == 0 && errno == 0 && *out >= 0;
}

/* "0.5" for all channels, or "0.5,0.4,0.3". */
static bool parse_triple(const char *s, double out[3])
{
    int n = 0;

    for (char *end; n < 3; s = end + 1) {
        out[n++] = strtod(s, &end);
        if (end == s || (*end != 0 && *end != ',')) return false;
        if (*end == 0) break;
        if (n == 3) return false;
    }
    if (n == 1) out[1] = out[2] = out[0];
    return n != 2;
}

static bool is_port(const ingot_port *ports, int32_t count, const char *name, size_t size)
{
    for (int32_t i = 0; i < count; i++) {
        if (strlen(ports[i].name) == size && memcmp(ports[i].name, name, size) == 0) return true;
    }
    return false;
}

/* NAME=VALUE, where a name may hold '=' itself; or VALUE alone. */
static RtSetting parse_setting(const RtDriver *d, const RtSetting *list, const char *s)
{
    const ingot_model *m = d->model;

    for (const char *equal = strchr(s, '='); equal; equal = strchr(equal + 1, '=')) {
        size_t n = (size_t)(equal - s);
        if (list == d->dim || (list == d->input && is_port(m->inputs, m->n_inputs, s, n)) ||
            (list == d->output && is_port(m->outputs, m->n_outputs, s, n))) {
            return (RtSetting){s, n, equal + 1};
        }
    }
    return (RtSetting){"", 0, s};
}

static int32_t set_option(RtDriver *d, const Option *o, const char *value)
{
    char *slot = (char *)d + o->slot;
    bool good = true;

    switch (o->kind) {
    case FLAG:
        *(bool *)(void *)slot = true;
        break;
    case COUNT:
        good = parse_count(value, (int64_t *)(void *)slot);
        break;
    case TEXT:
        *(const char **)(void *)slot = value;
        break;
    case TRIPLE:
        good = parse_triple(value, (double *)(void *)slot);
        break;
    case SETTING: {
        RtSetting *list = *(RtSetting **)(void *)slot;
        int32_t *count = (int32_t *)(void *)((char *)d + o->count);
        list[(*count)++] = parse_setting(d, list, value);
        break;
    }
    }
    return good ? INGOT_OK : complain("'%s' is no value for %s", value, o->name);
}

static const Option *find_option(const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strlen(options[i].name) == n && memcmp(options[i].name, s, n) == 0) return &options[i];
    }
    return NULL;
}

/* --name value, --name=value, or a file by itself, which is an input. */
static int32_t parse_arguments(RtDriver *d, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *s = argv[i], *value = NULL;
        size_t n = strlen(s);
        const Option *o = find_option(s, n);
        int32_t status;

        if (s[0] != '-' || s[1] == 0) {
            o = find_option("--input", 7);
            value = s;
        } else if (!o && strchr(s, '=')) {
            value = strchr(s, '=') + 1;
            o = find_option(s, (size_t)(value - s) - 1);
        }
        if (!o || (o->kind == FLAG && value))
            return complain("there is no option '%s'; see --help%s", s, "");
        if (o->kind != FLAG && !value) {
            if (++i == argc) return complain("%s needs a value; see --help%s", s, "");
            value = argv[i];
        }
        status = set_option(d, o, value);
        if (status) return status;
    }
    return INGOT_OK;
}

/* ---- inputs ---- */

/* Values that --dim gives to the open dims of a port: by symbol, or as NAME.K. */
static int32_t find_dims(const RtDriver *d, const ingot_port *p, int64_t *dims)
{
    char number[24];

    for (int32_t k = 0; k < p->rank && k < INGOT_MAX_RANK; k++) {
        const char *symbol = p->symbols ? p->symbols[k] : NULL;
        size_t n = strlen(p->name);

        dims[k] = -1;
        snprintf(number, sizeof number, ".%d", (int)k);
        for (int32_t i = 0; i < d->n_dim; i++) {
            const RtSetting *s = &d->dim[i];
            bool by_symbol = symbol && strlen(symbol) == s->name_size &&
                             memcmp(symbol, s->name, s->name_size) == 0;
            bool by_place = s->name_size == n + strlen(number) &&
                            memcmp(s->name, p->name, n) == 0 &&
                            memcmp(s->name + n, number, strlen(number)) == 0;
            if ((by_symbol || by_place) && !parse_count(s->value, &dims[k])) {
                return complain("--dim %s: the size must be a number from 0%s", s->name, "");
            }
        }
    }
    return INGOT_OK;
}

/* The file for input i: named for it, else one without a name. The last one given wins. */
static const char *file_of(const RtDriver *d, int32_t i)
{
    const char *name = d->model->inputs[i].name, *anonymous = NULL;

    for (int32_t k = d->n_input; k-- > 0;) {
        const RtSetting *s = &d->input[k];
        if (s->name_size == strlen(name) && memcmp(s->name, name, s->name_size) == 0)
            return s->value;
        if (s->name_size == 0 && !anonymous) anonymous = s->value;
    }
    return anonymous;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* A file without NAME= can serve one input; `random` and an .npz serve all. */
static int32_t check_anonymous(const RtDriver *d)
{
    int32_t needed = 0;

    for (int32_t i = 0; i < d->model->n_inputs; i++)
        needed += !d->model->inputs[i].optional;
    for (int32_t k = 0; k < d->n_input; k++) {
        const char *value = d->input[k].value;
        if (d->input[k].name_size || needed <= 1 || strcmp(value, "random") == 0 ||
            ends_with(value, ".npz"))
            continue;
        return complain("which input is '%s' for? Say NAME=%s; the inputs are listed by --help",
                        value, value);
    }
    return INGOT_OK;
}

static int32_t read_input(RtDriver *d, int32_t i)
{
    const ingot_port *p = &d->model->inputs[i];
    const char *file = file_of(d, i);
    int64_t dims[INGOT_MAX_RANK];
    char why[600];
    ingot_tensor_want want = {.port = p, .dims = dims, .seed = (uint64_t)d->seed};
    int32_t status = find_dims(d, p, dims);

    if (status) return status;
    if (!file && p->optional) return INGOT_OK;
    if (!file && d->bench) file = "random";
    if (!file)
        return complain(
            "input '%s' is missing: --input %s=FILE (.npy .npz .pb .png .pgm .txt .raw, or random)",
            p->name, p->name);
    memcpy(want.scale, d->scale, sizeof want.scale);
    memcpy(want.mean, d->mean, sizeof want.mean);
    status = ingot_tensor_read(file, &want, &d->in[i], why, sizeof why);
    if (status) fprintf(stderr, "error: %s\n", why);
    return status;
}

static int32_t read_inputs(RtDriver *d)
{
    int32_t status = check_anonymous(d);

    for (int32_t i = 0; i < d->model->n_inputs && !status; i++)
        status = read_input(d, i);
    return status;
}

/* ---- outputs ---- */

/* Writes what --output asks for; nothing is printed for a run that has its outputs in files. */
static int32_t write_outputs(const RtDriver *d)
{
    const ingot_model *m = d->model;
    char why[600];

    for (int32_t k = 0; k < d->n_output; k++) {
        const RtSetting *s = &d->output[k];
        int32_t found = m->n_outputs == 1 && !s->name_size ? 0 : -1;

        for (int32_t i = 0; i < m->n_outputs; i++) {
            if (strlen(m->outputs[i].name) == s->name_size &&
                memcmp(m->outputs[i].name, s->name, s->name_size) == 0)
                found = i;
        }
        if (found < 0)
            return complain(
                "which output is '%s' for? Say NAME=%s; the outputs are listed by --help", s->value,
                s->value);
        int32_t status =
            ingot_tensor_write(s->value, &d->out[found], m->outputs[found].name, why, sizeof why);
        if (status) {
            fprintf(stderr, "error: %s\n", why);
            return status;
        }
    }
    return INGOT_OK;
}

static int32_t show_outputs(const RtDriver *d)
{
    if (d->top > 0) return ingot_rt_print_top(d);
    for (int32_t k = 0; k < d->model->n_outputs && d->n_output == 0; k++)
        ingot_rt_print_summary(d, k);
    return INGOT_OK;
}

static int32_t run(RtDriver *d)
{
    ingot_options o = {.threads = (int32_t)(d->threads > 4096 ? 4096 : d->threads)};
    char why[400];
    int32_t status = ingot_create_explained(d->model, &o, &d->instance, why, sizeof why);

    if (status) {
        fprintf(stderr, "error: %s\n", why);
        return status;
    }
    if (d->verbose)
        fprintf(stderr, "runs the code for %s, one of: %s\n", ingot_level(d->instance),
                d->model->target);
    status = read_inputs(d);
    if (status) return status;
    if (d->bench) return ingot_rt_bench(d);
    status = ingot_run(d->instance, d->in, d->out);
    if (status) {
        fprintf(stderr, "error: %s\n", ingot_error(d->instance));
        return status;
    }
    status = write_outputs(d);
    return status ? status : show_outputs(d);
}

static int32_t drive(RtDriver *d, int argc, char **argv)
{
    int32_t status = parse_arguments(d, argc, argv), needed = 0;

    if (status) return status;
    for (int32_t i = 0; i < d->model->n_inputs; i++)
        needed += !d->model->inputs[i].optional;
    if (d->help) {
        ingot_rt_print_help(d);
        return INGOT_OK;
    }
    if (d->version) {
        printf("%s, compiled by ingot %s for %s\n", d->model->name, ingot_version(),
               d->model->target ? d->model->target : "this processor");
        return INGOT_OK;
    }
    if (argc == 1 && needed > 0) {
        fprintf(stderr, "%s needs %s:\n", d->program, needed == 1 ? "an input" : "inputs");
        ingot_rt_print_ports(d->model->inputs, d->model->n_inputs, stderr);
        fprintf(stderr, "Try: %s --input %s=FILE, or --input random, or --help\n", d->program,
                d->model->inputs[0].name);
        return INGOT_ERR_USAGE;
    }
    return run(d);
}

int main(int argc, char **argv)
{
    RtDriver d = {.model = &ingot_main_model, .program = argc > 0 ? argv[0] : "model"};
    size_t n = (size_t)(argc > 0 ? argc : 1);
    int32_t status = INGOT_ERR_LIMIT;

    d.input = calloc(n, sizeof *d.input);
    d.output = calloc(n, sizeof *d.output);
    d.dim = calloc(n, sizeof *d.dim);
    d.in = calloc((size_t)d.model->n_inputs + 1, sizeof *d.in);
    d.out = calloc((size_t)d.model->n_outputs + 1, sizeof *d.out);
    if (d.input && d.output && d.dim && d.in && d.out) status = drive(&d, argc, argv);
    for (int32_t i = 0; d.in && i < d.model->n_inputs; i++)
        ingot_tensor_free(&d.in[i]);
    ingot_destroy(d.instance);
    free(d.input);
    free(d.output);
    free(d.dim);
    free(d.in);
    free(d.out);
    if (fflush(stdout) != 0 && !status) {
        complain("standard output cannot be written to%s%s", "", "");
        status = INGOT_ERR_IO;
    }
    return status;
}
