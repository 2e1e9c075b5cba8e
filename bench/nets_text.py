"""Transformers, recurrent nets and perceptrons of the suites, as torch exports them, with seeded random weights.

Attention is Reshape, Transpose, MatMul, Softmax, MatMul; GELU is spelled out with Erf, or with Tanh in GPT-2. Each
function returns a model and its inputs.
"""
import numpy as np
from onnx import TensorProto

from gen_models import dim_of, gelu_erf, gelu_tanh, joined
from net import Net

WIDTH, HEADS, LAYERS = 768, 12, 12


def layer_norm(net, x, c, epsilon, name):
    scale = net.weight(net.random(c, std=0.1, mean=1), f"{name}.weight")
    return net.op("LayerNormalization", x, scale, net.weight(net.random(c, std=0.1), f"{name}.bias"), axis=-1,
                  epsilon=epsilon)


def shape_of(net, x, static, *after):
    """A Reshape's second input: all numbers where the dims are known, else cut from the shape of x."""
    if static:
        return net.ints(1, static, *after)
    return joined(net, dim_of(net, x, 0), dim_of(net, x, 1), *after)


def attention(net, x, static, name, mask=None, scale_both=False):
    """Scores over sqrt(64), plus a mask; or both factors scaled first, as scaled_dot_product_attention is exported."""
    q, k, v = (net.dense(x, WIDTH, WIDTH, name=f"{name}.{part}") for part in ("query", "key", "value"))
    perms = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    q, k, v = (net.op("Transpose", net.op("Reshape", t, shape_of(net, t, static, HEADS, 64)), perm=perm)
               for t, perm in zip((q, k, v), perms))
    if scale_both:
        scale = net.f32(64 ** -0.25)
        s = net.op("MatMul", net.op("Mul", q, scale), net.op("Mul", k, scale))
    else:
        s = net.op("Div", net.op("MatMul", q, k), net.f32(8))
    s = net.op("Add", s, mask) if mask else s
    y = net.op("Transpose", net.op("MatMul", net.op("Softmax", s, axis=-1), v), perm=[0, 2, 1, 3])
    y = net.op("Reshape", y, shape_of(net, y, static, WIDTH))
    return net.dense(y, WIDTH, WIDTH, name=f"{name}.output")


def mlp_block(net, x, gelu, name):
    y = gelu(net, net.dense(x, WIDTH, 4 * WIDTH, name=f"{name}.up"))
    return net.dense(y, 4 * WIDTH, WIDTH, name=f"{name}.down")


def bert(sequence=128, vocabulary=30522, seed=12):
    """BERT-base (Devlin et al. 2018): 110 million parameters. `sequence` None leaves batch and sequence open."""
    net, static = Net("bert_base", seed), sequence
    dims = [1, sequence] if static else ["batch", "sequence"]
    ids = net.input("input_ids", dims, TensorProto.INT64)
    mask = net.input("attention_mask", dims, TensorProto.INT64)
    kinds = net.input("token_type_ids", dims, TensorProto.INT64)
    x = net.op("Gather", net.weight(net.random(vocabulary, WIDTH), "word_embeddings"), ids)
    x = net.op("Add", x, net.op("Gather", net.weight(net.random(2, WIDTH), "token_type_embeddings"), kinds))
    places = net.weight(net.random(512, WIDTH), "position_embeddings")
    if static:
        at = net.weight(np.arange(sequence, dtype=np.int64)[None], "position_ids")
    else:
        last = net.op("Unsqueeze", dim_of(net, ids, 1), net.ints(0))
        at = net.op("Slice", net.weight(np.arange(512, dtype=np.int64)[None]), net.ints(0), last, net.ints(1))
    x = layer_norm(net, net.op("Add", x, net.op("Gather", places, at)), WIDTH, 1e-12, "embeddings.norm")
    m = net.op("Cast", net.op("Unsqueeze", mask, net.ints(1, 2)), to=TensorProto.FLOAT)
    m = net.op("Mul", net.op("Sub", net.f32(1), m), net.f32(np.finfo(np.float32).min))
    for i in range(LAYERS):
        name = f"layer.{i}"
        x = layer_norm(net, net.op("Add", attention(net, x, static, name, m), x), WIDTH, 1e-12, f"{name}.norm1")
        x = layer_norm(net, net.op("Add", mlp_block(net, x, gelu_erf, name), x), WIDTH, 1e-12, f"{name}.norm2")
    first = net.op("Gather", x, net.weight(np.array(0, np.int64)), axis=1)
    net.output(x, "last_hidden_state", [*dims, WIDTH])
    net.output(net.op("Tanh", net.gemm(first, WIDTH, WIDTH, name="pooler")), "pooler_output", [dims[0], WIDTH])
    n = sequence or 128
    keep = np.ones((1, n), np.int64)
    keep[:, n - n // 8:] = 0
    return net.model(), [net.rng.integers(0, vocabulary, (1, n)), keep, np.zeros((1, n), np.int64)]


def vit(size=224, seed=86):
    """ViT-B/16 (Dosovitskiy et al. 2020): 86 million parameters, 17.6 G multiply-adds."""
    net, side = Net("vit_b_16", seed), size // 16
    rows = side * side + 1
    x = net.conv(net.input("image", [1, 3, size, size]), 3, WIDTH, 16, 16, pad=0, gain=1, name="conv_proj")
    x = net.op("Transpose", net.op("Reshape", x, net.ints(1, WIDTH, side * side)), perm=[0, 2, 1])
    x = net.op("Concat", net.weight(net.random(1, 1, WIDTH), "class_token"), x, axis=1)
    x = net.op("Add", x, net.weight(net.random(1, rows, WIDTH, std=0.1), "pos_embedding"))
    for i in range(LAYERS):
        name = f"layers.{i}"
        y = layer_norm(net, x, WIDTH, 1e-6, f"{name}.ln_1")
        x = net.op("Add", x, attention(net, y, rows, name, scale_both=True))
        y = layer_norm(net, x, WIDTH, 1e-6, f"{name}.ln_2")
        x = net.op("Add", x, mlp_block(net, y, gelu_erf, name))
    x = net.op("Gather", layer_norm(net, x, WIDTH, 1e-6, "ln"), net.weight(np.array(0, np.int64)), axis=1)
    net.output(net.gemm(x, WIDTH, 1000, name="head"), "logits", [1, 1000])
    return net.model(), [net.random(1, 3, size, size)]


def conv1d(net, x, rows, c_in, c_out, name):
    """GPT-2's Conv1D: Gemm over flattened rows."""
    x = net.op("Reshape", x, net.ints(-1, c_in))
    w = net.weight(net.random(c_in, c_out, std=c_in ** -0.5), f"{name}.weight")
    y = net.op("Gemm", x, w, net.weight(net.random(c_out, std=0.1), f"{name}.bias"))
    return net.op("Reshape", y, net.ints(1, rows, c_out))


def gpt2_layer(net, x, rows, past, keep, name):
    """One block; returns x and the keys and values of past and present."""
    y = layer_norm(net, x, WIDTH, 1e-5, f"{name}.ln_1")
    parts = net.op("Split", conv1d(net, y, rows, WIDTH, 3 * WIDTH, f"{name}.attn.c_attn"),
                   net.ints(WIDTH, WIDTH, WIDTH), outputs=3, axis=2)
    q, k, v = (net.op("Transpose", net.op("Reshape", t, net.ints(1, rows, HEADS, 64)), perm=[0, 2, 1, 3])
               for t in parts)
    if past:
        k, v = (net.op("Concat", old, new, axis=2) for old, new in zip(past, (k, v)))
    s = net.op("Div", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), net.f32(8))
    s = net.op("Where", keep, s, net.f32(np.finfo(np.float32).min))
    y = net.op("Transpose", net.op("MatMul", net.op("Softmax", s, axis=-1), v), perm=[0, 2, 1, 3])
    y = net.op("Reshape", y, net.ints(1, rows, WIDTH))
    x = net.op("Add", conv1d(net, y, rows, WIDTH, WIDTH, f"{name}.attn.c_proj"), x)
    y = layer_norm(net, x, WIDTH, 1e-5, f"{name}.ln_2")
    y = gelu_tanh(net, conv1d(net, y, rows, WIDTH, 4 * WIDTH, f"{name}.mlp.c_fc"))
    return net.op("Add", x, conv1d(net, y, rows, 4 * WIDTH, WIDTH, f"{name}.mlp.c_proj")), k, v


def gpt2(rows=64, past=0, vocabulary=50257, seed=124):
    """GPT-2 small (Radford et al. 2019): 124 million parameters; keys and values are inputs when there is a past."""
    net, total = Net("gpt2", seed), rows + past
    ids = net.input("input_ids", [1, rows], TensorProto.INT64)
    inputs = [net.rng.integers(0, vocabulary, (1, rows))]
    caches = []
    for i in range(LAYERS if past else 0):
        caches.append([net.input(f"past_key_values.{i}.{part}", [1, HEADS, past, 64]) for part in ("key", "value")])
        inputs += [net.random(1, HEADS, past, 64) for _ in range(2)]
    table = net.random(vocabulary, WIDTH, std=WIDTH ** -0.5)
    at = net.weight(np.arange(past, total, dtype=np.int64)[None], "position_ids")
    x = net.op("Add", net.op("Gather", net.weight(table, "wte"), ids),
               net.op("Gather", net.weight(net.random(1024, WIDTH, std=0.1), "wpe"), at))
    keep = net.weight(np.tril(np.ones((1, 1, total, total), bool))[:, :, past:], "causal_mask")
    for i in range(LAYERS):
        x, k, v = gpt2_layer(net, x, rows, caches[i] if past else None, keep, f"h.{i}")
        net.output(k, f"present.{i}.key", [1, HEADS, total, 64])
        net.output(v, f"present.{i}.value", [1, HEADS, total, 64])
    x = layer_norm(net, x, WIDTH, 1e-5, "ln_f")
    net.output(net.op("MatMul", x, net.weight(table.T, "lm_head")), "logits", [1, rows, vocabulary])
    return net.model(), inputs


def lstm(steps=100, width=256, layers=2, seed=100):
    """nn.LSTM(256, 256, 2) over 100 steps, batch 1, initial state zero."""
    net = Net("lstm", seed)
    x = net.input("x", [steps, 1, width])
    for i in range(layers):
        w, r = (net.weight(net.random(1, 4 * width, width, std=width ** -0.5), f"lstm.{part}_l{i}")
                for part in ("weight_ih", "weight_hh"))
        b = net.weight(net.random(1, 8 * width, std=0.1), f"lstm.bias_l{i}")
        zero = net.weight(np.zeros((1, 1, width), np.float32))
        y, _, _ = net.op("LSTM", x, w, r, b, "", zero, zero, outputs=3, hidden_size=width)
        x = net.op("Squeeze", y, net.ints(1))
    net.output(x, "y", [steps, 1, width])
    return net.model(), [net.random(steps, 1, width)]


def mlp(batch=1, seed=784):
    """784-512-512-10, as small classifiers are."""
    net = Net("mlp", seed)
    x, c = net.input("x", [batch, 784]), 784
    for i, width in enumerate((512, 512)):
        x, c = net.op("Relu", net.gemm(x, c, width, gain=2, name=f"fc{i}")), width
    net.output(net.gemm(x, c, 10, name="fc2"), "logits", [batch, 10])
    return net.model(), [net.random(batch, 784)]
