"""Recipes: operators of com.microsoft that optimisers write for the newest language models."""
import numpy as np

from cases import recipe
from contrib_recipes import MS, half


@recipe("ScaledSiLU", domain=MS)
def scaled_silu(g):
    t = half(g)
    scale = g.data(g.one("float", t), []) if g.chance(.5) else None
    g.node([g.data(t, g.shape(0, 4)), scale], alpha=g.one(None, .5))


@recipe("SwiGLU", domain=MS)
def swiglu(g):
    g.open_axes, t, shape = (0, 1), half(g), [g.int(1, 3), g.int(1, 5), 2 * g.int(1, 9)]
    g.node([g.data(t, shape), g.data(t, shape) if g.chance(.5) else None], limit=g.one(None, 1.5),
           activation_alpha=g.one(None, 1.7), activation_beta=g.one(None, 1.0), round_activation=g.one(None, 1))


@recipe("GatedAdd", domain=MS)
def gated_add(g):
    t, shape = half(g), g.shape(1, 4, empty=0)
    g.node([g.data(t, shape), g.data(t, shape), g.data(t, shape[:-1] + [1])])


@recipe("BranchwiseRMSNorm", domain=MS)
def branch_norm(g):
    g.open_axes, t, c, h = (0, 1), half(g), g.int(1, 4), g.one(3, 8, 17)
    flat = g.chance(.5)
    scale = g.one(None, [h], [c, h], [c * h] if flat else [h])
    g.node([g.data(t, [g.int(1, 3), g.int(1, 4)] + ([c * h] if flat else [c, h])),
            g.operand(g.data(g.one("float", t), scale), fixed=True) if scale else None], num_branches=c if flat else None,
           epsilon=g.one(None, 1e-3))


@recipe("GatedRMSNorm", domain=MS)
def gated_norm(g):
    g.open_axes, t, c, h = (0, 1), half(g), g.int(1, 4), g.one(3, 8, 17)
    shape = [g.int(1, 3), g.int(1, 4), c * h]
    g.node([g.data(t, shape), g.operand(g.data(t, [h]), fixed=True), g.data(t, shape)],
           activation=g.one(None, "silu", "swish", "sigmoid"), epsilon=g.one(None, 1e-3))


@recipe("LinearAttentionGate", domain=MS)
def attention_gate(g):
    g.open_axes, t, h = (0, 1), half(g), g.one(1, 3, 8)
    shape, two = [g.int(1, 3), g.int(1, 5), h], g.chance(.6)
    g.node([g.data(t, shape), g.data("float", [h]), g.data("float", [h]), g.data(t, shape) if two else None], 1 + two)


@recipe("EngramGate", domain=MS)
def engram_gate(g):
    g.open_axes, t, b, s, c, h = (0, 1), half(g), g.int(1, 2), g.int(1, 4), g.int(1, 3), g.one(4, 8, 17)
    two = g.chance(.5)
    parts = [g.data(t, [b, s, c, h]), g.data(t, [b, s, c, h]), g.data(t, [b, s, h])]
    g.node(parts + [g.data(t, [c, h]) for _ in range(2 + two)], 1 + two, epsilon=g.one(None, 1e-3))


@recipe("HyperConnectionPreMix HyperConnectionPostMix", domain=MS)
def hyper_connection(g):
    g.open_axes, t, c, h = (0, 1), half(g), g.int(1, 4), g.one(2, 5, 16)
    lead, flat, m = [g.int(1, 2), g.int(1, 4)], g.chance(.5), g.one("float", t)
    x = g.data(t, lead + ([c * h] if flat else [c, h]))
    gates = g.data(m, lead + g.one([c], [c, 1], [c, h]))
    more = {"num_branches": c if flat else None}
    if g.op.endswith("PreMix"):
        g.node([x, gates], reduction_scale=g.one(None, .5), **more)
    else:
        g.node([x, g.data(t, lead + [h]), gates, g.data(m, lead + [c, c]) if g.chance(.6) else None], **more)


def moe_shape(g):
    tokens, count, hidden, inner = g.int(1, 6), g.int(2, 5), 16 * g.int(1, 3), 16 * g.int(1, 2)
    if g.op == "QMoE":
        hidden, inner = 2 * hidden, 2 * inner
    kind = g.one("relu", "gelu", "silu", "identity", "swiglu")
    more = {"activation_type": kind, "swiglu_fusion": g.one(1, 2) if kind == "swiglu" else None,
            "normalize_routing_weights": g.one(0, 1), "k": g.int(1, min(count, 3)),
            "activation_alpha": g.one(None, 1.7), "activation_beta": g.one(None, 1.0)}
    logits = g.data("float", [tokens, count]) + np.arange(count, dtype=np.float32) * 1e-3  # no ties
    return tokens, count, hidden, inner, (2 if kind == "swiglu" else 1) * inner, logits, more


@recipe("MoE", domain=MS)
def moe(g):
    tokens, count, hidden, inner, rows, logits, more = moe_shape(g)
    g.open_axes, three = (0,), g.chance(.4)
    g.oracle = more["swiglu_fusion"] != 2  # not in its CPU kernel

    def weights(*shape):
        return g.operand(g.data("float", shape, -.3, .3), fixed=True)
    g.node([g.data("float", [1, tokens, hidden] if three else [tokens, hidden], -1, 1),
            g.operand(logits, fixed=three), weights(count, rows, hidden), weights(count, rows) if g.chance(.5) else None,
            weights(count, hidden, inner), weights(count, hidden) if g.chance(.5) else None], **more)


@recipe("QMoE", domain=MS)
def qmoe(g):
    tokens, count, hidden, inner, rows, logits, more = moe_shape(g)
    g.open_axes, bits, block, zeros = (0,), g.one(4, 8), g.one(0, 32), g.chance(.4)
    g.oracle = more["swiglu_fusion"] != 2
    g.tolerance = 1 if bits == 8 and block else 1e-3  # its kernel makes activations bytes

    def layer(n, k):
        shape = [count, n] + ([k // block] if block else [])
        zero = [*shape[:-1], -(-shape[-1] * bits // 8)] if zeros else None
        made = [g.np.integers(0, 256, [count, n, k * bits // 8]).astype(np.uint8), g.data("float", shape, .001, .01),
                g.np.integers(0, 256, zero).astype(np.uint8) if zero else None]
        return [None if a is None else g.operand(a, fixed=True) for a in made]
    (w1, s1, z1), (w2, s2, z2) = layer(rows, hidden), layer(hidden, inner)
    g.node([g.data("float", [tokens, hidden], -1, 1), g.operand(logits), w1, s1, None, w2, s2, None, None, None, None,
            z1, z2], expert_weight_bits=bits, block_size=block or None, **more)


@recipe("MoEGroupRouter", domain=MS)
def group_router(g):
    groups, size = g.int(1, 4), g.int(1, 4)
    keep = g.int(1, groups)
    logits = g.data("float", g.one([3], [2, 2]) + [groups * size]) + np.arange(groups * size, dtype=np.float32) * 1e-3
    g.open_axes = (0,)
    g.node([logits, g.data("float", [groups * size])], top_k=g.int(1, keep * size), n_group=groups, topk_group=keep,
           group_topk=g.int(1, size), router_sentinel=g.one(None, -5.0))
