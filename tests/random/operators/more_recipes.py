"""Recipes: operators of com.microsoft that are short formulas."""
import numpy as np

from cases import recipe
from contrib_recipes import MS, half


@recipe("TorchEmbedding", domain=MS)
def embedding(g):
    rows = g.int(1, 9)
    g.node([g.data(g.one("float", "int64"), [rows, g.int(1, 9)]), g.np.integers(0, rows, g.shape(0, 3)).astype(np.int64)])


@recipe("SampleOp", domain=MS)
def echo(g):
    g.node([g.data(g.one("float", "int64", "uint32"), g.shape(0, 4))])


@recipe("BiasDropout BitmaskBiasDropout", domain=MS)
def bias_dropout(g):
    shape = g.shape(1, 4, empty=0)
    more = [g.data("float", shape) if g.chance(.5) else None, g.known(np.float32(.5)) if g.chance(.5) else None]
    g.node([g.data("float", shape), g.data("float", shape[-1:]), *more],
           1 + (g.op == "BiasDropout" and g.chance(.4)))


@recipe("BitmaskDropout", domain=MS)
def bitmask_dropout(g):
    g.node([g.data("float", g.shape(0, 4)), g.known(np.float32(.5)) if g.chance(.5) else None])


@recipe("IsAllFinite", domain=MS)
def all_finite(g):
    t = g.one("float", "double", "float16")
    parts = [g.data(t, g.shape(0, 3)) for _ in range(g.int(1, 3))]
    for p in parts:
        if p.size and p.ndim and g.chance(.3):
            p.reshape(-1)[g.r.randrange(p.size)] = g.one(np.nan, np.inf, -np.inf)
    g.node(parts, **g.one({}, {"isinf_only": 1}, {"isnan_only": 1}))


@recipe("ComplexMul ComplexMulConj", domain=MS)
def complex_mul(g):
    t, shape = g.one("float", "double"), g.shape(1, 3)
    g.open_axes = (0,)
    g.node([g.data(t, shape + [2]), g.data(t, g.partner(shape, shorter=False) + [2])])


@recipe("Rfft Irfft", domain=MS)
def rfft(g):
    t, n, shape = g.one("float", "double"), 2 * g.int(1, 9), g.shape(0, 2, empty=0)
    g.open_axes = ()
    g.node([g.data(t, shape + ([n] if g.op == "Rfft" else [n // 2 + 1, 2]))], signal_ndim=1, onesided=1, normalized=0)


@recipe("MatMulInteger16", domain=MS)
def integer16(g):
    a, b = g.one(("int16", "int16"), ("uint16", "uint16"), ("int16", "uint16"))
    m, k, n, lead = g.int(1, 6), g.int(1, 9), g.int(1, 6), g.shape(0, 2, 6, 0)
    g.node([g.data(a, lead + [m, k], 0, 180), g.data(b, g.one(lead, []) + [k, n], 0, 180)])


@recipe("GemmFloat8", domain=MS)
def gemm8(g):
    m, k, n, ta, tb = g.int(1, 6), g.int(1, 9), g.int(1, 6), g.one(None, 0, 1), g.one(None, 0, 1)
    a, b = g.one(("float", "float"), ("float8e4m3fn", "float8e4m3fn"), ("float8e4m3fn", "float8e5m2"), ("float16", "float16"))
    scales = [g.known(np.float32(g.one(.5, 2))) if g.chance(.5) else None for _ in range(3)]
    to = g.one((1, "float"), (1, "float"), (10, "float16"), (17, "float8e4m3fn"))
    g.tolerance = {"float": 0, "float16": 2e-3, "float8e4m3fn": .13}[to[1]]
    g.node([g.data(a, [k, m] if ta else [m, k]), g.data(b, [n, k] if tb else [k, n]),
            g.data("float", [m, n]) if g.chance(.5) else None, *scales], transA=ta, transB=tb, alpha=g.one(None, .5),
           beta=g.one(None, 2.0), dtype=to[0], activation=g.one(None, "RELU", "GELU", "NONE"))


@recipe("MatMulBlockQuantizedFp8Weight", domain=MS)
def fp8_weight(g):
    k, n, size = g.int(1, 40), g.int(1, 8), g.one(16, 32)
    g.open_axes, g.tolerance, t = (0,), 4e-3, "float16"
    g.node([g.data(t, [g.int(1, 4), k]), g.operand(g.data("float8e4m3fn", [n, k]), fixed=True),
            g.operand(g.data("float", [n, -(-k // size)], .1, 1), fixed=True),
            g.known(np.float32(.05)) if g.chance(.4) else None, g.data(t, [n]) if g.chance(.4) else None], block_size=size)


@recipe("MatMulBlockQuantizedFp4Weight", domain=MS)
def fp4_weight(g):
    k, n, size = g.int(1, 20), g.int(1, 8), g.one(16, 32)
    g.open_axes = (0,)
    g.node([g.data("float", [g.int(1, 4), 2 * k]), g.operand(g.np.integers(0, 256, [n, k]).astype(np.uint8), fixed=True),
            g.operand(g.np.integers(0, 127, [n, -(-2 * k // size)]).astype(np.uint8), fixed=True),
            g.known(np.float32(.05)), None, g.data("float", [n]) if g.chance(.4) else None],
           block_size=None if size == 16 else size)


@recipe("MatMulNBitsQLoRA", domain=MS)
def nbits_lora(g):
    k, n, rank, lb = 32 * g.int(1, 2), g.int(1, 9), g.one(0, 3, 32, 40), g.one(4, 8)
    g.open_axes, blocks = (0,), -(-rank // 32)

    def known(*shape, codes=False):
        a = g.np.integers(0, 256, shape).astype(np.uint8) if codes else g.data("float", shape, .001, .01)
        return g.operand(a, constant=True)
    g.node([g.data("float", [g.int(1, 3), k]), known(n, k // 32, 16, codes=True), known(n, k // 32),
            known(rank, k // 32, 4 * lb, codes=True), known(rank, k // 32), known(n, blocks, 4 * lb, codes=True),
            known(n, blocks)], K=k, N=n, bits=4, block_size=32, lora_bits=lb, lora_block_size=32)


@recipe("MatMulNBitsQkv MatMulNBitsMlp", domain=MS)
def nbits_around(g):
    k, size, qkv = 32 * g.int(1, 2), 32, g.op.endswith("Qkv")
    g.open_axes = (0, 1)
    columns = [g.int(1, 9), g.int(1, 9)]

    def layer(n):
        made = [g.np.integers(0, 256, [n, k // size, size // 2]).astype(np.uint8), g.data("float", [n, k // size], .01, .1),
                g.data("float", [n])]
        return [g.operand(m, constant=True) if i < 2 or g.chance(.5) else None for i, m in enumerate(made)]
    skip, shape = g.chance(.5), [g.int(1, 2), g.int(1, 3), k]
    parts = [g.data("float", shape), g.data("float", shape) if skip else None, g.operand(g.data("float", [k]), fixed=True)]
    if qkv:
        parts += layer(columns[0]) + layer(columns[1]) + layer(columns[1])
        g.node(parts, 3 + skip, K=k, Nq=columns[0], Nkv=columns[1], block_size=size, bits=4)
    else:
        parts += layer(columns[0]) + layer(columns[0])
        g.node(parts, 1 + skip, K=k, N=columns[0], block_size=size, bits=4, activation="silu", epsilon=g.one(None, 1e-3))


@recipe("LinearAttention", domain=MS)
def linear_attention(g):
    g.open_axes = (0, 1)
    b, s, dk, dv = g.int(1, 2), g.int(1, 6), g.one(2, 4), g.one(2, 4)
    q, kv = g.one((1, 1), (2, 2), (4, 2), (1, 3), (2, 4))
    rule = g.one("linear", "gated", "delta", "gated_delta")
    parts = [g.data("float", [b, s, h * d], -1, 1) for h, d in ((q, dk), (kv, dk), (kv, dv))]
    parts.append(g.operand(g.data("float", [b, kv, dk, dv], -1, 1), fixed=True) if g.chance(.5) else None)
    parts.append(g.data("float", [b, s, g.one(kv, kv * dk)], -1, 0) if "gated" in rule else None)
    parts.append(g.data("float", [b, s, kv], 0, 1) if "delta" in rule else None)
    g.node(parts, 2, q_num_heads=q, kv_num_heads=kv, update_rule=rule, scale=g.one(None, .5))


@recipe("CausalConvWithState", domain=MS)
def causal_conv(g):
    b, c, s, k, step, last = g.int(1, 2), g.int(1, 4), g.int(1, 7), g.int(1, 4), g.one(1, 1, 2), g.one(None, 1)
    g.open_axes = (0, 1) if last else (0, 2)
    state = [b, (k - 1) * step, c] if last else [b, c, (k - 1) * step]
    g.node([g.data("float", [b, s, c] if last else [b, c, s]), g.operand(g.data("float", [c, 1, k]), fixed=True),
            g.operand(g.data("float", [c]), fixed=True) if g.chance(.5) else None,
            g.operand(g.data("float", state), fixed=True) if g.chance(.5) else None], 2, dilation=step if step > 1 else None,
           channels_last=last, activation=g.one(None, "none", "silu", "swish"))


@recipe("NGramHashMapping", domain=MS)
def ngrams(g):
    b, s, most, heads, t = g.int(1, 3), g.int(1, 6), g.int(2, 4), g.int(1, 3), g.one("int64", "int32")
    g.open_axes = (0, 1)
    big = 1 << (40 if t == "int64" else 20)
    kind, count = g.data(t, []).dtype, (most - 1) * heads

    def ids(lo, hi, *shape):
        return g.operand(g.np.integers(lo, hi, shape).astype(kind), fixed=True)
    g.node([g.operand(g.np.integers(0, 999, [b, s]).astype(kind)), ids(1, big, most), ids(2, 99, count),
            ids(0, 999, b, most - 1) if g.chance(.5) else None, ids(0, 999, count) if g.chance(.5) else None], 2,
           max_ngram_size=most, n_head_per_ngram=heads, pad_id=g.int(0, 9))


@recipe("SparseAttention", domain=MS)
def sparse_attention(g):
    kv, rep, size, block, layouts, b = g.int(1, 2), g.int(1, 2), 16, 16, g.int(1, 2), g.int(1, 2)
    heads, blocks = kv * rep, g.int(1, 3)
    if heads % layouts:
        layouts = 1
    most = blocks * block
    first = g.chance(.4)
    s = g.int(2, most) if first else 1
    total = s if first else g.int(s + 1, most) if most > s else s
    rows, columns = [], []
    for _ in range(layouts):  # the diagonal and, by chance, what is before it
        seen = [[c for c in range(r + 1) if c == r or g.chance(.5)] for r in range(blocks)]
        rows.append(np.cumsum([0] + [len(r) for r in seen]))
        columns.append(sum(seen, []))
    width = max(map(len, columns))
    columns = [c + [-1] * (width - len(c)) for c in columns]
    packed, rotate = g.chance(.3), g.chance(.4)
    g.open_axes = (0, 1)
    parts = [g.data("float", [b, s, (heads + (2 * kv if packed else 0)) * size], -1, 1)]
    parts += [None, None] if packed else [g.data("float", [b, s, kv * size], -1, 1) for _ in range(2)]
    parts += [g.operand(g.data("float", [b, kv, most, size], -1, 1), False, fixed=True) for _ in range(2)]
    parts += [g.operand(np.array(v, np.int32), fixed=True) for v in (rows, columns)]
    parts += [g.known(np.array([total], np.int32)), g.operand(np.full([b], total, np.int32), fixed=True)]
    parts += [g.data("float", [most, size // 2], -1, 1) for _ in range(2)] if rotate else []
    g.node(parts, 3, num_heads=heads, kv_num_heads=kv, sparse_block_size=block, do_rotary=int(rotate),
           rotary_interleaved=g.one(0, 1) if rotate else None, scale=g.one(None, .3))


@recipe("DecoderMaskedMultiHeadAttention", domain=MS)
def decoder_heads(g):
    b, heads, size, past, kind = g.int(1, 2), g.int(1, 3), g.one(4, 8), g.int(1, 6), g.one("past", "buffer", "cross")
    h = heads * size
    g.open_axes = (0,)
    parts = [g.data("float", [b, 1, h], -1, 1)] + [None] * 10
    if kind == "cross":
        parts[1:3] = [g.operand(g.data("float", [b, heads, past, size], -1, 1), False, fixed=True) for _ in range(2)]
    else:
        most = past + (g.int(1, 4) if kind == "buffer" else 0)
        parts[1:3] = [g.data("float", [b, 1, h], -1, 1) for _ in range(2)]
        parts[5:7] = [g.operand(g.data("float", [b, heads, most, size], -1, 1), False, fixed=True) for _ in range(2)]
        parts[10] = g.data("float", [3 * h]) if g.chance(.4) else None
    if kind == "buffer":
        parts[7] = g.known(np.array([past], np.int32), .3)
    if kind == "cross" and g.chance(.4):
        parts[3] = (np.arange(past) < g.np.integers(1, past + 1, [b, 1])).astype(np.int32)
    g.node(parts, 1 if kind == "cross" else 3, num_heads=heads, scale=g.one(None, .3),
           past_present_share_buffer=1 if kind == "buffer" else None)


@recipe("DynamicTimeWarping", domain=MS)
def time_warping(g):
    m, n = g.int(1, 9), g.int(1, 9)
    g.node([g.data("float", g.one([m, n], [1, m, n]), 0, 3)])


@recipe("VarlenCausalConvWithState", domain=MS)
def varlen_conv(g):
    lengths = [g.int(1, 5) for _ in range(g.int(1, 3))]
    c, k, step, t = g.int(1, 4), g.int(1, 4), g.one(1, 1, 2), half(g)
    g.open_axes = (0,)
    g.node([g.data(t, [sum(lengths), c]), g.operand(g.data(t, [c, 1, k]), fixed=True),
            np.cumsum([0] + lengths).astype(np.int32), g.operand(g.data(t, [c]), fixed=True) if g.chance(.5) else None,
            g.data(t, [len(lengths), c, (k - 1) * step])], 2, dilation=step if step > 1 else None,
           activation=g.one(None, "none", "silu", "swish"))


@recipe("VarlenNGramHashMapping", domain=MS)
def varlen_ngrams(g):
    lengths = [g.int(1, 5) for _ in range(g.int(1, 3))]
    most, heads, t = g.int(2, 4), g.int(1, 3), g.one("int64", "int32")
    g.open_axes = (0,)
    big = 1 << (40 if t == "int64" else 20)
    kind, count = g.data(t, []).dtype, (most - 1) * heads

    def ids(lo, hi, *shape):
        return g.operand(g.np.integers(lo, hi, shape).astype(kind), fixed=True)
    g.node([g.np.integers(0, 999, sum(lengths)).astype(kind), ids(1, big, most), ids(2, 99, count),
            np.cumsum([0] + lengths).astype(np.int32), ids(0, 999, len(lengths), most - 1) if g.chance(.5) else None,
            ids(0, 999, count) if g.chance(.5) else None], 2, max_ngram_size=most, n_head_per_ngram=heads,
           pad_id=g.int(0, 9))


@recipe("GatedDeltaNet", domain=MS)
def gated_delta_net(g):
    b, s, heads, each, key, size = g.int(1, 3), g.int(1, 5), g.int(1, 3), g.int(1, 2), g.one(1, 4, 8), g.one(1, 5, 8)
    own, t = heads * each, g.one("float", "float", "float16")
    g.open_axes, g.tolerance = (0,), 4e-3 if t == "float16" else 0
    lead = g.one([b, s], [b * s])
    rule, gate = g.one(None, "linear", "gated", "delta", "gated_delta"), g.one(None, "none", "softplus", "sigmoid")
    gated, delta = rule not in ("linear", "delta"), rule not in ("linear", "gated")
    gate = gate if gated else None
    wide = gated and g.chance(.3)
    if len(lead) == 1:  # the batch is the state's
        g.open_axes = ()
    parts = [g.data(t, lead + [n, d], -1, 1) for n, d in ((heads, key), (heads, key), (own, size))]
    if g.chance(.25):
        parts = [np.concatenate([p.reshape(lead + [-1]) for p in parts], -1), None, None]
    raw = gate in ("softplus", "sigmoid")
    if gate == "sigmoid":
        g.tolerance = 5e-3  # of which the runtime's is an approximation
    parts += [None, g.data(t, lead + [own] + ([key] if wide else []), -2, 1 if raw else 0) if gated else None,
              g.data(t, lead + [own], 0, 1) if delta else None, g.data("float", [b, own, size, key], -1, 1)]
    if raw:
        parts += [g.data("float", [own], -1, 1), g.data("float", [own, key] if wide and g.chance(.5) else [own], -1, 1)]
    g.node(parts, 1 + g.chance(.6), update_rule=rule, gate_activation=gate, qk_l2_norm=1 if delta else g.one(None, 1),
           beta_activation=g.one(None, "sigmoid") if delta else None, scale=g.one(None, .5))


@recipe("WordConvEmbedding", domain=MS)
def word_conv(g):
    letters, window, features, size = g.int(3, 8), g.int(1, 3), g.int(1, 5), g.int(1, 5)
    words = g.np.integers(0, 9, [g.int(1, 5), letters]).astype(np.int32)
    words[:, 0] = np.maximum(words[:, 0], 1)  # of a word without letters ONNX Runtime writes nothing
    g.open_axes = (0,)
    g.node([words, g.operand(g.data("float", [features, 1, window, size], -1, 1), fixed=True),
            g.operand(g.data("float", [features]), fixed=True), g.operand(g.data("float", [9, size]), fixed=True)])


@recipe("MatMulFpQ4", domain=MS)
def blob_product(g):
    kind = g.one(0, 1)
    size, head = 32, 4 + kind
    k, n = g.int(1, 3) * 32, g.int(1, 9)
    blocks = [b"".join([np.float32(g.r.uniform(.01, .1)).tobytes(), bytes([g.int(0, 15)][:head - 4]),
                        g.np.integers(0, 256, size // 2).astype(np.uint8).tobytes()]) for _ in range(n * -(-k // size))]
    g.open_axes = (0,)
    g.node([g.data("float", [g.int(1, 4), k], -1, 1), g.operand(np.frombuffer(b"".join(blocks), np.uint8), constant=True),
            g.operand(np.array([k, n]), constant=True)], blk_quant_type=kind)
