"""Recipes: normalisation, softmax, losses, attention, dropout, random numbers, optimisers, text."""
import numpy as np

from cases import Invalid, NARROW, recipe
from movement_recipes import ints

F = ["float", "double", "float16", "bfloat16"]


def loose(g, tolerance):
    g.tolerance = max(g.tolerance, tolerance)


@recipe("Softmax LogSoftmax Hardmax")
def softmax(g):
    shape = g.shape(1, 4, empty=.02)
    x = g.data(g.t(), shape)
    if g.version < 13:
        g.wrong = ["onnx"]  # takes these for version 13: no rows of several dims
    axis = g.axis(len(shape), g.version >= 11)
    if g.version < 13 and g.chance(.3) and len(shape) > 1:
        axis = None
    g.node([x], axis=axis)


@recipe("LayerNormalization")
def layer_norm(g):
    shape = g.shape(1, 4, empty=0)
    axis = g.axis(len(shape))
    t = g.t()
    g.wrong = ["onnx"] if t == "bfloat16" else []  # sums in bfloat16
    scale = shape[axis % len(shape):]
    if g.chance(.2):
        scale = g.partner(scale)
    parts = [g.data(t, shape), g.data(t, scale), g.data(t, scale) if g.chance(.7) else None]
    flags = [True, g.chance(.3), g.chance(.3)] if g.chance(.4) and t != "double" else [True]
    g.node(parts, flags, axis=axis, epsilon=g.one(None, .01, 1e-3), stash_type=g.one(None, 1))


@recipe("RMSNormalization")
def rms_norm(g):
    shape = g.shape(1, 4, empty=0)
    axis, t = g.axis(len(shape)), g.t()
    v = g.t("V")
    g.wrong = ["onnx"] if t == "bfloat16" else []  # sums in bfloat16
    g.node([g.data(t, shape), g.data(v, g.partner(shape[axis % len(shape):], g.chance(.3)))], axis=axis,
           epsilon=g.one(None, .01), stash_type=g.one(None, 1))


@recipe("SimplifiedLayerNormalization")
def simplified(g):
    g.opset = 17
    shape = g.shape(1, 4, empty=0)
    axis = g.axis(len(shape))
    t = g.one("float", "float16")
    loose(g, 2e-3 if t == "float16" else 0)
    g.node([g.data(t, shape), g.data(t, shape[axis % len(shape):])], axis=axis, epsilon=g.one(None, .01), stash_type=1)


def image(g, least=0, most=3):
    return [g.int(1, 3), g.one(1, 2, 4, 6, 16)] + [g.int(1, 6) for _ in range(g.int(least, most))]


@recipe("InstanceNormalization")
def instance_norm(g):
    shape, t = image(g, 1), g.t()
    g.wrong = ["onnx"] if t in ("bfloat16", "float16") else []  # sums in these
    g.node([g.data(t, shape), g.data(t, shape[1:2]), g.data(t, shape[1:2])], epsilon=g.one(None, .01))


@recipe("GroupNormalization")
def group_norm(g):
    groups = g.int(1, 3)
    shape = [g.int(1, 2), groups * g.int(1, 4)] + [g.int(1, 5) for _ in range(g.int(0, 2))]
    t = g.t()
    n = groups if g.version < 21 else shape[1]
    g.node([g.data(t, shape), g.data(t, [n]), g.data(t, [n])], num_groups=groups, epsilon=g.one(None, .01))


@recipe("MeanVarianceNormalization")
def mvn(g):
    shape = image(g, 2, 2)
    # The mean of squares less the square of the mean, which is below 0 where all elements are the same: its root is NaN.
    g.wrong = ["ONNX Runtime"]
    g.node([g.data(g.t(), shape)], axes=g.r.sample(range(4), g.int(1, 4)) if g.chance(.6) else None)


@recipe("LpNormalization")
def lp_norm(g):
    shape = g.shape(1, 4, empty=0)
    g.node([g.data(g.t(), shape, .2, 4)], axis=g.axis(len(shape)), p=g.one(None, 1, 2))


@recipe("LRN")
def lrn(g):
    g.wrong = ["onnx"]  # sums another window
    g.node([g.data(g.t(), image(g, 1))], size=g.one(1, 3, 5), alpha=g.one(None, .1), beta=g.one(None, .5),
           bias=g.one(None, 2.0))


@recipe("BatchNormalization")
def batch_norm(g):
    shape = image(g, 0 if g.version >= 7 else 2)
    c, t = shape[1], g.t()
    t1, t2 = (g.t("T1"), g.t("T2")) if g.version >= 15 else (g.t("U"), g.t("U")) if g.version == 14 else (t, t)
    parts = [g.data(t, shape)] + [g.operand(g.data(k, [c], *r), g.chance(.6)) for k, r in
                                  ((t1, ()), (t1, ()), (t2, ()), (t2, (.3, 2)))]
    more = {"epsilon": g.one(None, .01)}
    outputs = 1
    if g.version >= 14 and g.chance(.25):
        more.update(training_mode=1, momentum=g.one(None, .5))
        outputs = 3
        g.wrong = ["onnx"] if t in NARROW else []  # mean and variance in that type
    if g.version < 7:
        more["is_test"] = 1
    if g.version == 1:
        more["consumed_inputs"] = [0, 0, 0, 1, 1]
    if g.version < 9 and g.chance(.3):
        more["spatial"] = 1
    g.node(parts, outputs, **more)


@recipe("NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss")
def losses(g):
    n, c = g.int(1, 4), g.int(2, 6)
    rest = [g.int(1, 4) for _ in range(g.int(0, 2))]
    t = g.t(only=F)
    target = g.np.integers(0, c, [n] + rest).astype(g.one(np.int32, np.int64))
    ignore = g.one(None, g.int(0, c - 1), -1)
    if ignore == -1 and target.size > 1:
        target.reshape(-1)[0] = -1
    parts = [g.data(t, [n, c] + rest, -3, 3 if g.op[0] == "S" else 0), target,
             g.data(t, [c], .1, 2) if g.chance(.5) else None]
    flags = [True, True] if g.op[0] == "S" and g.chance(.4) else 1
    g.node(parts, flags, ignore_index=ignore, reduction=g.one(None, "none", "mean", "sum"))


# ---- attention

@recipe("Attention")
def attention(g):
    b, kv, rep, s, size, vsize = g.int(1, 2), g.int(1, 2), g.one(1, 1, 2), g.one(1, 3, 7), g.one(2, 4, 8), g.one(2, 4, 8)
    heads, past, more = kv * rep, g.one(0, 0, 2), {}
    new = g.one(1, 3, 9) if not past else s
    total = past + new
    t, tv = g.t("T1", only=["float", "float16", "double"]), None
    tv = g.t("T2", only=[t])
    three = g.chance(.4)
    if three:
        shapes = [b, s, heads * size], [b, new, kv * size], [b, new, kv * vsize]
        more.update(q_num_heads=heads, kv_num_heads=kv)
    else:
        shapes = [b, heads, s, size], [b, kv, new, size], [b, kv, new, vsize]
    parts = [g.data(t, x, -1, 1) for x in shapes[:2]] + [g.data(tv, shapes[2], -1, 1)]
    mask = None
    if g.chance(.5):
        shape = g.one([s, total], [b, heads, s, total], [1, 1, s, total], [b, 1, s, total], [heads, s, total][:3])
        if g.chance(.4):
            mask = g.data("bool", shape)
            mask[..., 0] = True
        else:
            mask = g.data(g.t("U", only=[t]), shape, -2, 2)
    parts += [mask] + ([g.data(t, [b, kv, past, size], -1, 1), g.data(tv, [b, kv, past, vsize], -1, 1)] if past else [])
    outputs = [True, True, True] if past else [True]
    if g.chance(.2) and len(outputs) == 1:
        outputs = [True, False, False, True]
        more["qk_matmul_output_mode"] = g.one(None, 0, 1, 2, 3)
    if g.version >= 25:
        more.update(left_window_size=g.one(None, -1, 0, 1, 4), right_window_size=g.one(None, -1, 0, 1, 4))
    g.node(parts, outputs, is_causal=g.one(None, 0, 1), scale=g.one(None, .3), softcap=g.one(None, None, 2.0), **more)


@recipe("RotaryEmbedding")
def rotary(g):
    b, heads, s, size, most = g.int(1, 2), g.int(1, 3), g.int(1, 5), g.one(2, 4, 8, 16), 8
    part = g.one(0, size // 2 if size >= 4 else 0)
    half = (part or size) // 2
    t = g.t()
    g.wrong = ["onnx"] if t == "bfloat16" else []  # rounds products
    three = g.chance(.4)
    g.open_axes = (0, 1) if three else (0, 2)
    x = g.data(t, [b, s, heads * size] if three else [b, heads, s, size])
    more = {"num_heads": heads} if three else {}
    if g.chance(.5):
        parts = [x, g.data(t, [most, half]), g.data(t, [most, half]),
                 g.np.integers(0, most, [b, s]).astype(np.int64)]
    else:
        parts = [x, g.data(t, [b, s, half]), g.data(t, [b, s, half])]
    g.node(parts, interleaved=g.one(None, 0, 1), rotary_embedding_dim=part or None, **more)


@recipe("Dropout")
def dropout(g):
    x, t = g.shape(1), g.t()
    flags = g.one([True], [True, True])
    if g.version < 7:
        g.node([g.data(t, x)], flags, ratio=.3, is_test=1)
    elif g.version < 12:
        if g.version < 10 and len(flags) > 1:
            flags = [True]
        g.node([g.data(t, x)], flags, ratio=.3)
    else:
        ratio = g.known(np.array(.4, np.float32)) if g.chance(.5) else None
        training = g.known(np.array(False)) if g.chance(.5) else None
        g.node([g.data(t, x), ratio, training], flags, seed=g.one(None, 3))


@recipe("RandomUniform RandomNormal")
def random_plain(g):
    more = {"low": -1.0, "high": 2.0} if g.op == "RandomUniform" else {"mean": 1.0, "scale": .5}
    g.oracle = False
    shape, seed, dtype = g.shape(1), float(g.int(0, 99)), g.one(None, 1, 10, 11, 16)
    g.tolerance = {10: NARROW["float16"], 16: NARROW["bfloat16"]}.get(dtype, 0)
    g.node([], shape=shape, seed=seed, dtype=dtype, **more)


@recipe("RandomUniformLike RandomNormalLike")
def random_like(g):
    g.oracle = False
    g.node([g.data(g.t("T1", only=F), g.shape())], seed=float(g.int(0, 99)), dtype=g.one(None, 1, 11))


@recipe("Bernoulli")
def bernoulli(g):
    g.oracle = False
    g.node([g.data(g.t("T1"), g.shape(), 0, 1)], seed=float(g.int(0, 99)), dtype=g.one(None, 1, 6, 7, 9, 11))


@recipe("Multinomial")
def multinomial(g):
    g.oracle = False
    g.node([g.data(g.t("T1"), [g.int(1, 3), g.int(1, 6)])], seed=float(g.int(0, 99)), sample_size=g.int(1, 9),
           dtype=g.one(None, 6, 7))


# ---- optimisers

@recipe("Adagrad Adam Momentum", domain="ai.onnx.preview.training")
def optimiser(g):
    n, t = g.int(1, 3), g.t("T3", only=["float", "double"])
    tensors = [g.shape(1, 3) for _ in range(n)]
    states = 2 if g.op == "Adam" else 1
    parts = [np.array(.1, np.float32 if t == "float" else np.float64), np.array(g.int(0, 5), np.int64)]
    for k in range(2 + states):
        parts += [g.data(t, s, *((.1, 2) if k >= 2 else ())) for s in tensors]
    more = {"Adagrad": {"decay_factor": .1, "epsilon": 1e-5, "norm_coefficient": .01},
            "Adam": {"alpha": .9, "beta": .99, "epsilon": 1e-5, "norm_coefficient": .01},
            "Momentum": {"alpha": .9, "beta": .8, "mode": g.one("standard", "nesterov"), "norm_coefficient": .01}}[g.op]
    g.node(parts, (1 + states) * n, **more)


# ---- text

WORDS = ["", "a", "Hello", "hello", "ÄÖÜ", "straße", "a b  c", " x ", "1,2,3", "\u4e2d\u6587", "i", "the", "über alles"]


def strings(g, shape):
    return np.array([g.one(*WORDS) for _ in range(int(np.prod(shape)))], object).reshape(shape)


@recipe("StringConcat")
def string_concat(g):
    shape = g.shape(0, 3, 60)
    g.node([strings(g, shape), strings(g, g.partner(shape))])


@recipe("StringSplit")
def string_split(g):
    g.node([strings(g, g.shape(1, 3, 60))], 2, delimiter=g.one(None, " ", ",", "l", "  "), maxsplit=g.one(None, 0, 1, 2))


@recipe("StringNormalizer")
def string_normalizer(g):
    shape = g.one([g.int(1, 8)], [1, g.int(1, 8)])
    g.wrong = ["onnx"]  # it takes accents off, and drops what is empty
    g.node([strings(g, shape)], case_change_action=g.one(None, "NONE", "LOWER", "UPPER"),
           is_case_sensitive=g.one(None, 0, 1), stopwords=g.one(None, ["a", "hello"], ["ÄÖÜ"]))


@recipe("RegexFullMatch")
def regex(g):
    g.node([strings(g, g.shape(0, 3, 60))],
           pattern=g.one("a.*", "[a-z]+", r"\d(,\d)*", "(H|h)ello", "", ".{1,3}", r"\w+", r"[^ ]*", r"\s*x\s*", r".*L"))


@recipe("TfIdfVectorizer")
def tfidf(g):
    pool_ = [2, 3, 5, 4, 5, 6, 7, 8, 6, 7]
    text = g.chance(.3)
    shape = g.one([g.int(1, 12)], [g.int(1, 3), g.int(1, 12)])
    x = g.np.integers(1, 9, shape)
    more = {"pool_strings": [str(p) for p in pool_]} if text else {"pool_int64s": pool_}
    x = x.astype(str).astype(object) if text else x.astype(g.one(np.int32, np.int64))
    g.node([x], mode=g.one("TF", "IDF", "TFIDF"), min_gram_length=g.int(1, 2), max_gram_length=2,
           max_skip_count=g.int(0, 3), ngram_counts=[0, 4], ngram_indexes=list(range(7)),
           weights=g.one(None, [.5, 1.0, 2.0, 3.0, 1.5, .25, 4.0]), **more)
