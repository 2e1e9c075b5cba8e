/* commands.c: the table of commands. */
#include <string.h>

#include "cli/cli.h"

const Command commands[] = {
    {"compile", C_COMPILE, "a model into native code", "MODEL -o OUT [options]",
     "  ingot compile model.onnx -o model              an executable; model --help says how to run "
     "it\n"
     "  ingot compile model.onnx -o libmodel.a --emit lib       a library, and model.h\n"
     "  ingot compile model.onnx -o libmodel.so --emit shared --target x86-64-v3\n"
     "  ingot compile model.onnx -o m --dim batch=8    with an open dim fixed\n"
     "  ingot compile model.onnx --emit kernels        what is computed, as text\n",
     1, 1, cmd_compile},
    {"run", C_RUN, "compile a model and run it at once", "MODEL --input NAME=FILE... [options]",
     "  ingot run model.onnx --input image=cat.png --top 5\n"
     "  ingot run model.onnx --input x=x.npy --output y=y.npy\n"
     "  ingot run model.onnx --input random --dim batch=4\n"
     "  ingot run model.onnx --input x=x.npy --record tests/cat     a test for ingot test\n",
     1, 1, cmd_run},
    {"test", C_TEST, "models against their recorded outputs, through generated code",
     "DIR... [options]",
     "  ingot test models/digits                       a folder with a model and test_data_set_0\n"
     "  ingot test conformance/node -j 8 --json r.json        a tree of them\n"
     "  ingot test node --filter 'test_conv*' --verbose       some of them\n"
     "  ingot test corpus --target x86-64-v2 -O0\n",
     1, 1 << 20, cmd_test},
    {"check", C_CHECK, "generated code against the reference evaluator, tensor by tensor",
     "MODEL... [options]",
     "  ingot check model.onnx                     inputs: test_data_set_0 beside it, or random\n"
     "  ingot check model.onnx --tensors -O0 --target x86-64-v2\n"
     "  ingot check model.onnx --matrix            all levels, targets, folding on and off\n"
     "  ingot check model.onnx --bits              the same bits everywhere\n"
     "  ingot check model.onnx --c                 the bits of the kernels printed as C\n",
     1, 1 << 20, cmd_check},
    {"bench", C_BENCH, "latency, GFLOP/s against this machine's ceiling, time per kernel",
     "MODEL [options]",
     "  ingot bench model.onnx --threads 1\n"
     "  ingot bench model.onnx --threads 1 --json\n"
     "  ingot bench model.onnx --dim batch=8 --target x86-64-v3\n"
     "  ingot bench model.onnx --input x=x.npy     else test_data_set_0 beside it, else random\n",
     1, 1, cmd_bench},
    {"inspect", C_INSPECT, "inputs, outputs, operators, parameters, work and memory of a model",
     "MODEL [options]",
     "  ingot inspect model.onnx\n"
     "  ingot inspect model.onnx --json --dim batch=1\n"
     "  ingot inspect --ops                            the operators that ingot knows\n",
     0, 1, cmd_inspect},
    {"pass", C_PASS, "one pass alone, on IR text", "NAME [FILE] [options]",
     "  ingot pass fuse < x.ir                         text in, text out\n"
     "  ingot pass all x.ir --dump all                 the whole pipeline\n"
     "  ingot pass none x.ir                           read and print again\n"
     "  ingot pass --list\n",
     0, 2, cmd_pass},
    {0},
};

const Command *command_find(const char *name)
{
    for (const Command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}
