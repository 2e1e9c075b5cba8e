/* rt_driver.h: what the files of the executables' driver share: the command line as read, and the
 * run's tensors. */
#ifndef INGOT_RUNTIME_RT_DRIVER_H
#define INGOT_RUNTIME_RT_DRIVER_H

#include "ingot/ingot_tensor_io.h"
#include "runtime/rt.h"

/* NAME=VALUE of an option that may be given several times, in order. */
typedef struct RtSetting {
    const char *name; /* not terminated; name_size 0 when there is none */
    size_t name_size;
    const char *value;
} RtSetting;

typedef struct RtDriver {
    const ingot_model *model;
    const char *program;
    RtSetting *input, *output, *dim; /* each [argc] */
    int32_t n_input, n_output, n_dim;
    bool help, version, bench, verbose;
    int64_t top, threads, seed;
    const char *labels;
    double scale[3], mean[3];

    ingot_instance *instance;
    ingot_tensor *in;  /* [n_inputs] read from files */
    ingot_tensor *out; /* [n_outputs] lent by the instance */
} RtDriver;

/* What the program is, takes and gives, with examples: to standard output. */
INGOT_RT_HIDDEN void ingot_rt_print_help(const RtDriver *d);
/* One line an input or output: "  image  f32[1,1,8,8]". */
INGOT_RT_HIDDEN void ingot_rt_print_ports(const ingot_port *ports, int32_t count, void *file);
/* Name, type and first values of output k. */
INGOT_RT_HIDDEN void ingot_rt_print_summary(const RtDriver *d, int32_t k);
/* The `top` largest of each row of every output of floats. INGOT_ERR_IO when the labels cannot be
 * read. */
INGOT_RT_HIDDEN int32_t ingot_rt_print_top(const RtDriver *d);
/* Runs repeatedly and prints latency and the time of each kernel. */
INGOT_RT_HIDDEN int32_t ingot_rt_bench(RtDriver *d);

#endif
