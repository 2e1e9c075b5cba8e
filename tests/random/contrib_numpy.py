"""Operators of com.microsoft for which ONNX Runtime has no CPU kernel: numpy says what they are, from the
descriptions of their schemas."""
import math

import ml_dtypes
import numpy as np

F32, I32 = np.float32, np.int32


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def attend(q, k, v, heads, shown, scale=None):
    """[S, heads * size] of one sequence; shown: added to the scores"""
    def split(x):
        return x.reshape(len(x), heads, -1).transpose(1, 0, 2)
    q, k, v = split(q), split(k), split(v)
    s = q @ k.transpose(0, 2, 1) * (scale or 1 / math.sqrt(q.shape[-1]))
    return (softmax(s + shown) @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)


def gated_products(c):
    m, h, branches, low, inter = (int(v) for v in c.rng.integers(1, 6, 5))
    x, w = c.floats(2, m, h), c.floats(h, low + 2 * inter)
    y = x @ w
    gate, up = np.minimum(y[..., low:low + inter], .7), np.clip(y[..., low + inter:], -.7, .7)
    c.add("RouterGateUpProj", [x, w], 2, want=[y[..., :low], gate * sigmoid(1.5 * gate) * (up + .5)], router_size=low,
          limit=.7, activation_alpha=1.5, activation_beta=.5)
    s, scale = c.floats(m, branches * h), c.floats(branches * h)
    down, into, inject = c.floats(branches * h, low), c.floats(low, branches * h), c.floats(branches * h, branches)
    before, gates = c.floats(m, h), c.floats(m, branches)
    for more in ([], [before, gates]):
        t = s.reshape(m, branches, h) + (gates[..., None] * before[:, None] if more else 0)
        hn = (t / np.sqrt((t * t).mean(-1, keepdims=True) + 1e-3)).reshape(m, -1) * scale
        z = 1.25 * (hn @ down)
        g = sigmoid((z * sigmoid(z)) @ into)
        want = [.5 * (hn * g).reshape(m, branches, h).sum(1), 2 * sigmoid(hn @ inject / 3), t.reshape(m, -1).astype(F32)]
        c.add("HyperConnectionLowRankMix", [s, scale, down, into, inject] + more, 3, want=[w.astype(F32) for w in want],
              num_branches=branches, epsilon=1e-3, silu_alpha=1.25, reduction_scale=.5, gate_div=3., gate_mul=2.)
    a, b = c.floats(m, h), c.floats(low, h)
    c.add("SparseToDenseMatMul", [a, b], constants=(0,), want=[2 * (a @ b.T)], alpha=2., transB=1)


def normalised_heads(c):
    heads, length, size = int(c.rng.integers(1, 4)), int(c.rng.integers(1, 6)), 8
    q, k, v = (c.floats(1, length, heads * size) for _ in range(3))
    weights = [c.floats(size) for _ in range(2)]

    def normal(x, w, epsilon):
        x = x[0].reshape(length, heads, size)
        return (x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * w).reshape(length, -1)
    past = [np.zeros((1, heads, 0, size), F32)] * 2
    hidden = np.triu(np.full((length, length), -np.inf), 1)
    want = attend(normal(q, weights[0], .1), normal(k, weights[1], 1e-3), v[0], heads, hidden)
    c.add("GroupQueryAttention", [q, k, v, *past, np.array([length - 1], I32), np.array(length, I32)] + [None] * 7 + weights,
          want=[want[None].astype(F32)], num_heads=heads, kv_num_heads=heads, q_norm_epsilon=.1, qk_norm_epsilon=1e-3)


def formulas(c):
    gated_products(c)
    normalised_heads(c)
    n, m = (int(v) for v in c.rng.integers(1, 7, 2))
    gate, up = c.floats(m, 2 * n), c.floats(m, 2 * n)
    g, l = np.minimum(gate, .5), np.clip(up, -.5, .5)
    c.add("SwiGLU", [gate, up], want=[g * sigmoid(1.7 * g) * (l + 1)], limit=.5, activation_alpha=1.7, activation_beta=1.)
    c.add("SwiGLU", [gate], want=[gate[:, :n] * sigmoid(gate[:, :n]) * gate[:, n:]])
    a, b = c.floats(m, n, 2), c.floats(m, 1, 2)
    x, y = a[..., 0] + 1j * a[..., 1], b[..., 0] + 1j * b[..., 1]
    for op, z in (("ComplexMul", x * y), ("ComplexMulConj", x * y.conj())):
        c.add(op, [a, b], want=[np.stack([z.real, z.imag], -1).astype(F32)])
    x = c.floats(m, 2 * n)
    y = np.fft.rfft(x)
    c.add("Rfft", [x], want=[np.stack([y.real, y.imag], -1).astype(F32)], signal_ndim=1, onesided=1, normalized=0)
    c.add("Irfft", [np.stack([y.real, y.imag], -1).astype(F32)], want=[x], signal_ndim=1, onesided=1, normalized=0)
    x[0, 0] = c.rng.choice([1, np.inf, np.nan])
    c.add("IsAllFinite", [x, a], want=[np.array(np.isfinite(x).all())])
    c.add("IsAllFinite", [x, a], want=[np.array(not np.isnan(x).any())], isnan_only=1)
    c.add("IsAllFinite", [x, a], want=[np.array(not np.isinf(x).any())], isinf_only=1)
    c.add("BiasDropout", [gate, up[0], up], want=[gate + up[0] + up])
    c.add("TorchEmbedding", [gate, np.arange(m)[::-1].copy()], want=[gate[::-1]])


def angles(c):
    b, h, s, d = (int(v) for v in c.rng.integers(1, 5, 4))
    emb, parts = c.floats(b, s, d), [c.floats(b, h, s, d).astype(np.float16) for _ in range(4)]
    sin, cos = (f(emb).astype(np.float16)[:, None] for f in (np.sin, np.cos))
    want = [parts[i] * cos + parts[i + 1] * sin for i in (0, 2)]
    c.add("GemmaRotaryEmbedding", [emb, *parts], want=want, outputs=2)
    for both in (0, 1):
        table = c.floats(16, h)  # in columns: all buckets of a head, then those of the next
        want = np.zeros((1, h, 9 * s, 9 * s), F32)
        for q in range(9 * s):
            for k in range(9 * s):
                want[0, :, q, k] = table.reshape(-1)[bucket(k - q, both, 16, 20) + 16 * np.arange(h)]
        length = np.array([9 * s])
        c.add("RelativePositionBias", [table, length, length], want=[want], max_distance=20, is_bidirectional=both)


def bucket(apart, both, count, most):
    """As T5 has it."""
    side = 0
    if both:
        count //= 2
        side = count if apart > 0 else 0
        apart = abs(apart)
    else:
        apart = -min(apart, 0)
    near = count // 2
    if apart < near:
        return side + apart
    return side + min(near + int(math.log(apart / near) / math.log(most / near) * (count - near)), count - 1)


def narrow(c):
    m, k, n = (int(v) for v in c.rng.integers(1, 9, 3))
    a, w, more = c.floats(m, k), c.floats(n, k), c.floats(m, n)
    f8 = ml_dtypes.float8_e4m3fn
    a8, w8 = a.astype(f8), w.astype(f8)
    want = np.maximum(.5 * (a8.astype(F32) * F32(2)) @ (w8.astype(F32) * F32(.25)).T + 2 * more, 0) * F32(4)
    c.add("GemmFloat8", [a8, w8, more, np.array(2, F32), np.array(.25, F32), np.array(4, F32)], want=[want], alpha=.5,
          beta=2., transB=1, activation="RELU", dtype=1)
    c.add("FusedMatMulActivation", [a, w], want=[np.maximum(a @ w.T * 2, 0)], transB=1, alpha=2., activation="Relu")
    k = 16 * k + 3
    a, w8, scale = c.floats(m, k), c.floats(n, k).astype(f8), abs(c.floats(n, -(-k // 16)))
    full = w8.astype(F32) * np.repeat(scale, 16, 1)[:, :k]
    c.add("MatMulBlockQuantizedFp8Weight", [a, w8, scale, None, more[0]], want=[a @ full.T + more[0]], block_size=16)
    near = (a / F32(.05)).astype(f8).astype(F32) * F32(.05)
    c.add("MatMulBlockQuantizedFp8Weight", [a, w8, scale, np.array(.05, F32)], want=[near @ full.T], block_size=16)


def four_bits(c):
    m, n, k, f8 = int(c.rng.integers(1, 4)), int(c.rng.integers(1, 9)), 24, ml_dtypes.float8_e4m3fn
    codes, a = c.rng.integers(0, 16, (n, 2 * k)), abs(c.floats(m, 2 * k))
    values = np.array([0, .5, 1, 1.5, 2, 3, 4, 6], F32)
    full = values[codes & 7] * np.where(codes & 8, -1, 1).astype(F32)
    scale = abs(c.floats(n, 3)).astype(f8)
    full = full * np.repeat(scale.astype(F32), 16, 1) * F32(.5)
    c.add("MatMulBlockQuantizedFp4Weight", [a, (codes[:, ::2] | codes[:, 1::2] << 4).astype(np.uint8), scale.view(np.uint8),
                                            np.array(.5, F32)], want=[a @ full.T], block_size=16)
    k, rank = 64, 8

    def layer(rows, columns):
        blocks = -(-columns // 32)
        codes, steps = c.rng.integers(0, 256, (rows, blocks, 32)).astype(np.uint8), abs(c.floats(rows, blocks)) / 99
        full = (codes.astype(F32) - 128) * steps[..., None]
        return codes, steps, full.reshape(rows, -1)[:, :columns]
    x, w, down, up = abs(c.floats(m, k)), layer(n, k), layer(rank, k), layer(n, rank)
    c.add("MatMulNBitsQLoRA", [x, *w[:2], *down[:2], *up[:2]], want=[x @ w[2].T + x @ down[2].T @ up[2].T], K=k, N=n,
          bits=8, block_size=32, constants=(1, 2, 3, 4, 5, 6))


def few_bits(c):
    m, n, k = int(c.rng.integers(1, 4)), int(c.rng.integers(1, 9)), 64
    x, skip, scale = c.floats(1, m, k), c.floats(1, m, k), c.floats(k)

    def layer():
        codes, steps, bias = c.rng.integers(0, 16, (n, k)), abs(c.floats(n, 2)) / 4, c.floats(n)
        bytes_ = (codes[:, ::2] | codes[:, 1::2] << 4).astype(np.uint8).reshape(n, 2, 16)
        return [bytes_, steps, bias], ((codes - 8) * np.repeat(steps, 32, 1)).astype(F32), bias
    layers = [layer() for _ in range(3)]
    total = x + skip
    norm = total / np.sqrt((total * total).mean(-1, keepdims=True) + 1e-3) * scale
    made = [norm @ w.T + bias for _, w, bias in layers]
    c.add("MatMulNBitsQkv", [x, skip, scale, *(a for part in layers for a in part[0])], want=[*made, total], outputs=4,
          K=k, Nq=n, Nkv=n, block_size=32, bits=4, epsilon=1e-3, constants=(3, 4, 5, 6, 7, 8, 9, 10, 11))
    gate, up = (x @ w.T + bias for _, w, bias in layers[:2])
    c.add("MatMulNBitsMlp", [x, None, None, *layers[0][0], *layers[1][0]], want=[gate * sigmoid(gate) * up], K=k, N=n,
          block_size=32, bits=4, activation="silu", constants=(3, 4, 5, 6, 7, 8))


def packed(c):
    batch, most, heads, size = int(c.rng.integers(1, 4)), int(c.rng.integers(1, 6)), 2, 4
    lengths = c.rng.integers(1, most + 1, batch).astype(I32)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(I32)
    there = np.arange(most) < lengths[:, None]
    offset = np.concatenate([np.flatnonzero(there), np.flatnonzero(~there)]).astype(I32).reshape(batch, most)
    x = c.floats(batch, most, heads * size)
    tokens = x[there]
    c.add("RemovePadding", [x, lengths], want=[tokens, offset, starts, np.array([lengths.max()], I32)], outputs=4)
    c.add("RestorePadding", [tokens, offset], want=[np.where(there[..., None], x, 0).astype(F32)])
    q, k, v = (c.floats(len(tokens), heads * size) for _ in range(3))
    bias, more = c.floats(3 * heads * size), c.floats(1, heads, most, most)

    def each(q, k, v):
        parts = []
        for a, b in zip(starts[:-1], starts[1:]):
            parts.append(attend(q[a:b], k[a:b], v[a:b], heads, more[0, :, :b - a, :b - a]))
        return np.concatenate(parts).astype(F32)
    want = each(*(p + part for p, part in zip((q, k, v), np.split(bias, 3))))
    c.add("PackedMultiHeadAttention", [q, k, v, bias, offset, starts, more], want=[want], num_heads=heads)
    whole = np.stack([p.reshape(-1, heads, size) for p in (q, k, v)], 2)
    c.add("PackedMultiHeadAttention", [whole, None, None, None, offset, starts, more], want=[each(q, k, v)], num_heads=heads)
    weights = c.floats(heads * size, 3 * heads * size)
    want = each(*np.split(tokens @ weights + bias, 3, 1))
    c.add("PackedAttention", [tokens, weights, bias, offset, starts, more], want=[want], num_heads=heads)


def longformer(c):
    window, heads, size = int(c.rng.integers(1, 3)), 2, 4
    s, width = 2 * window * int(c.rng.integers(1, 4)), heads * size
    x, mask = c.floats(1, s, width), np.where(np.arange(s) < max(1, s - 1), 0, -10000).astype(F32)[None]
    weights, bias = [c.floats(width, 3 * width) for _ in range(2)], [c.floats(3 * width) for _ in range(2)]
    flags = (c.rng.random((1, s)) < .3).astype(I32)
    near = abs(np.subtract.outer(np.arange(s), np.arange(s))) <= window
    shown = np.where(near | (flags > 0), mask, -np.inf)
    ways = [attend(*np.split(x[0] @ weights[i] + bias[i], 3, 1), heads, (shown, mask)[i]) for i in range(2)]
    want = np.where(flags[0][:, None] > 0, ways[1], ways[0])[None].astype(F32)
    c.add("LongformerAttention", [x, weights[0], bias[0], mask, weights[1], bias[1], flags], want=[want], num_heads=heads,
          window=window)


ALL = (formulas, angles, narrow, four_bits, few_bits, packed, longformer)
