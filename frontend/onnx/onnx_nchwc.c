/* onnx_nchwc.c: of how many channels the blocks of com.microsoft.nchwc are. No attribute says so:
 * ONNX Runtime writes weights in the order of the processor that it runs on, 16 with AVX-512 and 8
 * without, and takes the model for its own machine's.
 *
 * Numbers of output channels are whole blocks, so an odd multiple of 8 anywhere says 8; an output
 * that leaves 8 or more of them unused says 16. Else both fit: then 16 is taken, and said. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

#define NCHWC "com.microsoft.nchwc"

static bool is_node(const Onnx__NodeProto *p, const char *op)
{
    return p->domain && strcmp(p->domain, NCHWC) == 0 && p->op_type && strcmp(p->op_type, op) == 0;
}

static int64_t int_attribute(const Onnx__NodeProto *p, const char *name)
{
    for (size_t i = 0; i < p->n_attribute; i++)
        if (p->attribute[i]->name && strcmp(p->attribute[i]->name, name) == 0)
            return p->attribute[i]->i;
    return 0;
}

/* The first dim of an initializer, 0 for other values. */
static int64_t first_dim(const Map *constants, const char *name)
{
    const Onnx__TensorProto *t = map_get(constants, name);

    return t && t->n_dims > 0 ? t->dims[0] : 0;
}

static int64_t find_block(Importer *im, const Onnx__GraphProto *g)
{
    Map constants, outs; /* initializers; results of Conv -> initializer of the weights */
    bool wide = false;

    map_init(&constants, im->scratch, true);
    map_init(&outs, im->scratch, true);
    for (size_t i = 0; i < g->n_initializer; i++)
        if (g->initializer[i]->name)
            map_set(&constants, g->initializer[i]->name, g->initializer[i]);
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *p = g->node[i];
        if (!is_node(p, "Conv") || p->n_input < 2 || p->n_output < 1) continue;
        if (first_dim(&constants, p->input[1]) % 16) return 8;
        map_set(&outs, p->output[0], p->input[1]);
    }
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *p = g->node[i];
        const char *weights =
            is_node(p, "ReorderOutput") && p->n_input > 0 ? map_get(&outs, p->input[0]) : NULL;
        wide |= weights && first_dim(&constants, weights) - int_attribute(p, "channels") >= 8;
    }
    if (!wide)
        diag_warn(im->diag, (Where){.file = im->module->file},
                  "weights of " NCHWC " are taken to be in blocks of 16 channels, as ONNX Runtime "
                  "writes them with AVX-512; nothing in the model says so (saved at the level "
                  "ORT_ENABLE_EXTENDED, a model does not depend on that)");
    return 16;
}

Status nchwc_upgrade(Importer *im, Draft *x)
{
    if (strcmp(x->domain, NCHWC) != 0) return OK;
    if (strcmp(x->op, "Conv") != 0 && strcmp(x->op, "ReorderInput") != 0) return OK;
    if (!im->block && im->proto->graph) im->block = find_block(im, im->proto->graph);
    if (!draft_attr(x, "block")) draft_set(x, attr_of_int("block", im->block ? im->block : 16));
    return OK;
}
