/* onnx_absent.c: operators of com.microsoft that ingot knows by name and does not compile: what
 * they are, and what to do about it. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

static const char decoding[] =
    "it runs a decoder until that is done: export the decoder as a model of its own, with past "
    "keys and values as inputs and outputs, and run that loop in the application";
static const char guessing[] =
    "it compares guessed tokens with decoded ones: do that in the application's own loop";
static const char gpu[] =
    "ONNX Runtime has it for GPUs alone: export or optimise the model for its CPU provider";
static const char serving[] =
    "it belongs to the serving of many sequences on a GPU: export the model with plain attention "
    "and a cache (GroupQueryAttention)";
static const char packed[] =
    "its weights are in a packed form of its own: quantise to MatMulNBits or GatherBlockQuantized";
static const char compiled[] =
    "it holds a model compiled for one accelerator: compile the model that it was made from";
static const char inner[] = "it was made for one model of its authors, and its schema does not say "
                            "what it does";

static const struct {
    const char *op, *why;
} absent[] = {
    {"AttnLSTM", inner},
    {"BeamSearch", decoding},
    {"BifurcationDetector", guessing},
    {"ConvStateReplay", serving},
    {"DecoderAttention", gpu},
    {"DecoderMaskedSelfAttention", gpu},
    {"DequantizeBFP", gpu},
    {"DequantizeWithOrder", gpu},
    {"DynamicSparseAttention", serving},
    {"EPContext", compiled},
    {"GatedDeltaNetStateReplay", serving},
    {"GatherPacked", packed},
    {"GreedySearch", decoding},
    {"Mamba2Verify", serving},
    {"MatMulPacked", packed},
    {"MaxpoolWithMask", inner},
    {"MoEPacked", packed},
    {"PackedSparseAttentionIndexer", serving},
    {"PackedSparseAttentionIndexerMerge", serving},
    {"PagedAttention", serving},
    {"QOrderedAttention", gpu},
    {"QOrderedGelu", gpu},
    {"QOrderedLayerNormalization", gpu},
    {"QOrderedLongformerAttention", gpu},
    {"QOrderedMatMul", gpu},
    {"QuantizeBFP", gpu},
    {"QuantizeWithOrder", gpu},
    {"RMSNormRotary", gpu},
    {"Sampling", decoding},
    {"Snpe", compiled},
    {"SparseAttentionIndexer", serving},
    {"SparsePagedAttention", serving},
    {"SpeculativePrefixCommit", serving},
    {"WhisperBeamSearch", decoding},
};

const char *absent_why(const char *domain, const char *op)
{
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (strcmp(domain, "com.microsoft") == 0 && strcmp(op, absent[i].op) == 0)
            return absent[i].why;
    return NULL;
}

bool frontend_absent(int k, const char **op, const char **why)
{
    if (k >= (int)(sizeof absent / sizeof *absent)) return false;
    *op = absent[k].op;
    *why = absent[k].why;
    return true;
}
