"""Rare forms: extremes of element types, empty tensors, computed and omitted operands; movement, lists, control flow, ml."""
import numpy as np
from onnx import TensorProto, helper

from cases import DTYPE, Invalid, tensor, wide
from ml_recipes import ML, floats, forest, forest_attributes
from movement_recipes import I64, ints
from region_recipes import base, body

FLOATS = ("float", "double", "float16", "bfloat16")
BIG = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-45, 1.0, -1.0, 3.4e38, -3.4e38, 2.0**31, 2.0**63, -2.0**63, .5, 2.5, 65504.0)


def code_of(t):
    return TensorProto.STRING if t == "string" else helper.np_dtype_to_tensor_dtype(DTYPE[t])


def extremes(g, t, shape):
    """Least, greatest, -1, 0, 1 of whole numbers; zeros of both signs, infinities, NaN, subnormals of floats."""
    g.oracle = False  # ours are stated (docs), theirs are not
    if t in ("bool", "string") or t.startswith("complex"):
        return g.data(t, shape)
    if t.startswith(("int", "uint")):
        bits = int(t.lstrip("uint"))
        top = 2 ** (bits - (t[0] == "i")) - 1
        low = 0 if t[0] == "u" else -top - 1
        of = [low, top, max(low, -1), 0, 1, top - 1, low + 1]
        return np.array([g.one(*of) for _ in range(int(np.prod(shape)))], object).reshape(shape).astype(DTYPE[t])
    with np.errstate(all="ignore"):
        return np.array([g.one(*BIG) for _ in range(int(np.prod(shape)))], np.float64).reshape(shape).astype(DTYPE[t])


def hole(g, shape):
    """One dim becomes 0."""
    if shape:
        shape[g.r.randrange(len(shape))] = 0
    return shape


# ---- element by element

@wide("Add Sub Mul Div Mod BitwiseAnd BitwiseOr BitwiseXor Equal Less LessOrEqual Greater GreaterOrEqual Max Min BitShift "
      "Pow Abs Neg Sign Relu Clip Sqrt Reciprocal Floor Ceil Round Exp Log IsInf IsNaN Tanh Sigmoid Erf Softplus Elu "
      "HardSigmoid LeakyRelu PRelu Where Cast CastLike")
def at_extremes(g):
    var = g.schema.inputs[1 if g.op == "Where" else 0].type_str
    shape, t = g.shape(0, 3, 60), g.t(var, only=["float", "double", "float16", "bfloat16"] if g.op == "Erf" else None)
    old = g.opset < 7
    g.tolerance = 0 if g.op not in ("Exp", "Log", "Tanh", "Sigmoid", "Erf", "Softplus", "Elu", "HardSigmoid", "Pow") else g.tolerance
    count = len([i for i in g.schema.inputs]) if g.op not in ("Max", "Min") else g.int(1, 3)
    parts = [extremes(g, t, shape if k == 0 or old else g.partner(shape)) for k in range(count)]
    more = {}
    if g.op == "Mod":
        more["fmod"] = 1 if t in FLOATS else g.one(0, 1)
    if g.op == "BitShift":
        more["direction"] = g.one("LEFT", "RIGHT")
    if g.op == "Pow":
        if g.version >= 12:
            parts[1] = extremes(g, g.t("T1"), g.partner(shape))
        g.tolerance = max(g.tolerance, 2e-3)
    if g.op == "Where":
        parts[0] = g.data("bool", g.partner(shape))
    if g.op == "PRelu" and old:
        parts[1] = extremes(g, t, [1])
    if g.op == "Clip":
        parts = parts[:1] + [extremes(g, t, []) if g.chance(.7) else None for _ in parts[1:]]
        if g.version < 11:
            more = {"min": g.one(None, -1.0, np.nan, -np.inf), "max": g.one(None, 1.0, np.inf)}
    if g.op in ("Cast", "CastLike"):
        target = g.t("T2", common=.3)
        if "complex" in t + target or "string" in (t, target):
            raise Invalid
        g.tolerance = 0
        parts = parts[:1] + ([g.data(target, [2])] if g.op == "CastLike" else [])
        if g.op == "Cast":
            more["to"] = code_of(target) if g.version >= 6 else {"float": "FLOAT", "double": "DOUBLE"}.get(target, target.upper())
        if "saturate" in g.schema.attributes and target in ("float8e4m3fn", "float8e5m2", "float8e4m3fnuz", "float8e5m2fnuz"):
            more["saturate"] = g.one(None, 0, 1)
        if "round_mode" in g.schema.attributes and target == "float8e8m0":
            more["round_mode"] = g.one(None, "up", "down", "nearest")
    g.node(parts, **more)


@wide("BitCast")
def bit_cast(g):
    bits = {"bool": 8, "complex64": 64, "complex128": 128, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2, "float4e2m1": 4}

    def width(t):
        return bits.get(t) or DTYPE[t].itemsize * 8
    source = g.t("T1", common=0)
    same = [t for t in g.allowed("T2") if width(t) == width(source) and t != "bool"]
    if not same or source in ("string", "bool"):
        raise Invalid
    to = g.one(*same)
    g.wrong = ["onnx"] if width(to) < 8 else []  # leaves what lies above the bits
    g.tolerance = 0
    g.node([g.data(source, g.shape(0, 3, 60))], to=code_of(to))


# ---- reductions and order

@wide("ArgMax ArgMin")
def arg(g):
    shape = g.shape(1, 4, empty=0)
    axis = g.one(None, g.axis(len(shape), g.version >= 11))
    if len(shape) > 1 and g.chance(.2):
        k = g.r.randrange(len(shape))
        shape[k] = 0 if k != (axis or 0) % len(shape) else shape[k]
    t = g.t()
    x = extremes(g, t, shape) if g.chance(.4) else g.data(t, shape)
    if x.dtype.kind in "fV" and g.version < 12:
        x = g.data(t, shape)
    g.node([x], axis=axis, keepdims=g.one(None, 0, 1), **({"select_last_index": g.one(0, 1)} if g.version >= 12 else {}))


@wide("TopK")
def top_k(g):
    shape = g.shape(1, 4, 300, empty=0)
    axis = g.axis(len(shape), g.version >= 11)
    if g.chance(.2) and len(shape) > 1:
        k = g.r.randrange(len(shape))
        shape[k] = 0 if k != axis % len(shape) else shape[k]
    t, k = g.t(), g.int(0, shape[axis])
    x = extremes(g, t, shape) if g.chance(.5) else g.data(t, shape)
    if g.version < 10:
        g.node([x], 2, axis=axis, k=max(k, 1))
        return
    more = {"largest": g.one(None, 0, 1), "sorted": g.one(None, 1)} if g.version >= 11 else {}
    g.node([x, g.known(ints(k), .3)], 2, axis=g.one(axis, None if axis in (-1, len(shape) - 1) else axis), **more)


@wide("Unique")
def unique(g):
    shape = g.shape(0, 4, 60, empty=.15)
    axis = g.axis(len(shape)) if shape and g.chance(.5) else None
    t = g.t(only=[t for t in g.allowed("T") if "complex" not in t])
    g.oracle = 0 not in shape
    g.wrong = ["onnx"]
    x = g.data(t, shape) if t in ("string", "bool") else np.rint(g.np.uniform(0, 3, shape)).astype(DTYPE[t])
    g.node([x], [g.chance(.7), g.chance(.7), g.chance(.7), True], axis=axis, sorted=g.one(None, 0, 1))


@wide("ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceSumSquare ReduceLogSumExp")
def reduce(g):
    shape, t = g.shape(0, 4, 400, empty=.2 if g.version >= 18 else 0), g.t()
    whole = t.startswith(("int", "uint", "bool"))
    if g.op == "ReduceLogSumExp" and whole:
        raise Invalid
    if whole or g.op in ("ReduceMax", "ReduceMin"):
        x = extremes(g, t, shape)
    else:
        x = g.data(t, shape, .1, 2)
        flat = x.reshape(-1)
        for _ in range(g.int(0, 2) if x.size else 0):
            flat[g.r.randrange(x.size)] = g.one(np.nan, np.inf, 0, -0.0)
        g.oracle = False
    if whole and g.op in ("ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum"):
        x = np.clip(x.astype(np.int64), -99, 99).astype(DTYPE[t]) if t[0] != "u" else np.minimum(x, 99).astype(DTYPE[t])
    axes = g.axes(len(shape)) if shape else []
    if g.version < 11:
        axes = [a % len(shape) for a in axes]
    keep, as_input = g.one(None, 0, 1), g.version >= (13 if g.op == "ReduceSum" else 18)
    if not as_input:
        g.node([x], axes=axes or None, keepdims=keep)
    else:
        g.node([g.operand(x), g.known(ints(*axes), .3)], keepdims=keep, noop_with_empty_axes=g.one(None, 0, 1))


@wide("CumSum CumProd")
def cumulative(g):
    shape, t = g.shape(1, 5, 200, empty=.2), g.t("T")
    if t == "bfloat16":
        g.wrong = ["onnx"]  # as in movement_recipes.cumulative
    x = extremes(g, t, shape) if t.startswith(("int", "uint")) else g.data(t, shape, -1.5, 1.5)
    g.node([x, g.known(np.array(g.axis(len(shape)), g.one(np.int32, I64)), .2)], exclusive=g.one(None, 0, 1),
           reverse=g.one(None, 0, 1))


# ---- movement

@wide("Slice")
def slices(g):
    shape = g.shape(1, 4, empty=.15)
    big = 2**63 - 1 if g.version >= 10 else 2**31 - 1
    n = g.int(1, len(shape))
    given = g.chance(.5)
    axes = g.r.sample(range(len(shape)), n) if given else list(range(n))
    starts = [g.one(g.int(-9, 9), -big - 1, big, 0, -1) for _ in axes]
    ends = [g.one(g.int(-9, 9), -big - 1, big, 0, -1) for _ in axes]
    x = g.data(g.t(), shape)
    if g.version < 10:
        g.node([x], starts=starts, ends=ends, axes=axes if given else None)
        return
    steps = [g.one(1, 2, -1, -3, big, -big) for _ in axes]
    if any(s < 0 for s in steps) and g.chance(.5):
        steps = [abs(s) for s in steps]
    p = g.one(0, .5)
    ops = [starts, ends, axes if given else None] + ([steps] if g.chance(.6) else [])
    g.node([x] + [None if v is None else g.known(np.array(v, I64), p) for v in ops])


@wide("Pad")
def pad(g):
    shape = g.shape(0, 4, 200, empty=0)
    if g.chance(.25):
        hole(g, shape)
    mode = "constant" if 0 in shape else g.one("constant", "reflect", "edge", *(["wrap"] if g.version >= 19 else []))
    if g.version < 2 and not shape:
        raise Invalid
    axes = g.axes(len(shape), 0) if g.version >= 18 and g.chance(.5) else list(range(len(shape)))
    most = {"reflect": lambda d: d - 1, "wrap": lambda d: d}.get(mode, lambda d: 5)
    pads = [g.int(0, max(0, min(most(shape[a]), 6))) for _ in range(2) for a in axes]
    t = g.t()
    if g.version < 11:
        g.node([g.data(t, shape)], mode=mode, value=g.one(None, 2.5),
               **{"paddings" if g.version == 1 else "pads": pads})
        return
    ops = [g.data(t, shape), g.known(ints(*pads), .2), g.known(extremes(g, t, []), .3) if g.chance(.5) else None]
    if axes != list(range(len(shape))):
        ops.append(g.known(np.array(axes, g.one(np.int32, I64)), .8))
    g.node(ops, mode=mode)


@wide("Expand Tile ConstantOfShape Reshape")
def shaped(g):
    shape = g.shape(0, 4, 60, empty=.2)
    if g.op == "ConstantOfShape":
        t = g.t("T2")
        g.node([g.known(ints(*shape), .1)], value=g.one(None, tensor(extremes(g, t, [1]), "v")))
        return
    if g.version < 6:
        raise Invalid
    x, p = g.data(g.t(), g.partner(shape) if g.op == "Expand" else shape), .1
    if g.op == "Expand":
        g.node([x, g.known(ints(*shape), p)])
    elif g.op == "Tile":
        g.node([x, g.known(ints(*[g.one(0, 1, 2, 3) for _ in shape]), p)])
    else:
        dims = list(shape)
        g.r.shuffle(dims)
        if 0 not in dims and dims and g.chance(.5):
            dims[g.r.randrange(len(dims))] = -1
        more = {"allowzero": 1} if g.version >= 14 and (0 in dims or g.chance(.2)) else {}
        if 0 in dims and not more:
            raise Invalid
        g.node([x, g.known(ints(*dims), p)], **more)


@wide("GatherElements GatherND Gather ScatterElements ScatterND")
def indexed(g):
    """No index at all, or nothing to take."""
    shape, t = g.shape(1, 4, 200, empty=0), g.t()
    axis = g.axis(len(shape), g.version >= 11)
    it = g.one(np.int32, I64) if g.op not in ("GatherND", "ScatterND") else I64
    if g.op in ("GatherND", "ScatterND"):
        k = g.int(1, len(shape))
        at = [0, k] if g.chance(.5) else [2, 0, k]
        rest = shape[k:]
        if g.chance(.3) and rest:
            rest[g.r.randrange(len(rest))] = 0
            shape, at = shape[:k] + rest, [2, k]
        if g.op == "ScatterND":
            index = np.stack([np.arange(at[0]) % 1 for _ in range(k)], -1).reshape(at) if at == [2, k] else np.zeros(at)
        else:
            index = np.zeros(at)
        parts = [g.data(t, shape), g.known(index.astype(it), .2)] + ([g.data(t, at[:-1] + rest)] if g.op[0] == "S" else [])
        g.oracle = False
        g.node(parts)
        return
    a = axis % len(shape)
    if len(shape) > 1 and g.chance(.5):
        k = g.r.choice([i for i in range(len(shape)) if i != a])
        shape[k] = 0
        at = [0 if i == k else 2 if i == a else d for i, d in enumerate(shape)]
    else:
        at = [0 if i == a else d for i, d in enumerate(shape)]
    if g.op == "Gather":
        at = g.one([0], [2, 0], [1], [])
    g.wrong = ["onnx"]  # its result has one dim
    g.oracle = g.op != "Gather"
    g.node([g.data(t, shape), g.known(np.zeros(at, it), .2)] + ([g.data(t, at)] if g.op[0] == "S" else []), axis=axis)


@wide("OneHot")
def one_hot(g):
    shape, depth = g.shape(0, 4, 40), g.int(0, 6)
    ti, tv, td = g.t("T1", common=0), g.t("T3"), g.t("T2", common=0)
    index = np.rint(g.data(ti, shape, 0 if ti[0] == "u" or g.version < 11 else -depth, depth - 1 if depth else 0)).astype(DTYPE[ti])
    g.oracle = depth > 0
    g.node([index, g.known(g.data(td, g.one([], [1]), depth, depth), .3), g.data(tv, [2])],
           axis=g.one(None, g.int(-len(shape) - 1, len(shape))))


@wide("Range")
def ranges(g):
    t = g.t(common=.2)
    step, count = g.one(-3, -1, 1, 2), g.int(0, 40)
    scale = 1 if t.startswith("int") else g.one(1, .5, .25, .1)
    start = g.int(-5, 5)
    limit = start + step * count if g.chance(.8) else start - step
    g.oracle = g.oracle and t not in ("float16", "bfloat16")
    p = g.one(0, .5, 1)
    g.node([g.known(np.array(v).astype(DTYPE[t]), p) for v in (start * scale, limit * scale, step * scale)],
           stash_type=g.one(None, 1) if g.version >= 27 and t in ("float16", "bfloat16") else None)


@wide("Trilu EyeLike")
def corners(g):
    rows = [g.one(0, 1, 3, 8), g.one(0, 1, 5, 8)]
    k = g.one(0, 1, -1, 7, -7, 99, -99, 2**40, -2**40)
    if g.op == "EyeLike":
        g.node([g.data(g.t("T1"), rows)], k=k, dtype=g.one(None, *[code_of(t) for t in g.allowed("T2") if "complex" not in t]))
    else:
        g.oracle = abs(k) < 2**30
        g.node([g.data(g.t(), g.shape(0, 3, 20) + rows), g.known(np.array(k, I64), .3)], upper=g.one(None, 0, 1))


@wide("ReverseSequence")
def reverse_sequence(g):
    shape = g.shape(2, 5, empty=0)
    if len(shape) > 2 and g.chance(.2):
        shape[-1] = 0
    time = g.one(None, 0, 1)
    batch = 1 if not time else 0
    g.node([g.data(g.t(), shape), g.known(ints(*[g.int(1, shape[1 - batch]) for _ in range(shape[batch])]), .2)],
           batch_axis=None if time is None else batch, time_axis=time)


@wide("DepthToSpace SpaceToDepth")
def blocks(g):
    b, n, c, h, w = g.int(1, 4), g.int(0, 2), g.int(1, 3), g.one(0, 1, 3), g.int(1, 5)
    if g.op == "DepthToSpace":
        g.node([g.data(g.t(), [n, c * b * b, h, w])], blocksize=b, mode=g.one(None, "DCR", "CRD") if g.version >= 11 else None)
    else:
        g.node([g.data(g.t(), [n, c, h * b, w * b])], blocksize=b, mode=g.one(None, "DCR", "CRD") if g.version >= 28 else None)


@wide("CenterCropPad")
def center(g):
    shape = g.shape(1, 4, 200, empty=0)
    axes = g.one(None, g.axes(len(shape)))
    n = len(shape) if axes is None else len(axes)
    g.node([g.data(g.t(), shape), g.known(np.array([g.int(0, 40) for _ in range(n)], g.one(np.int32, I64)), .2)], axes=axes)


@wide("Compress NonZero")
def chosen(g):
    shape = g.shape(1, 5, 300, empty=.2)
    if g.op == "NonZero":
        t = g.t(only=[t for t in g.allowed("T") if t != "string" and "complex" not in t])
        g.node([extremes(g, t, shape)])
        return
    axis = g.one(None, g.axis(len(shape), g.version >= 11))
    n = int(np.prod(shape)) if axis is None else shape[axis]
    cond = g.one(np.zeros(n, bool), np.ones(n, bool), g.data("bool", [n // 2]))
    g.oracle = cond.size == n
    g.node([g.data(g.t(), shape), g.known(cond, .2)], axis=axis)


@wide("Concat")
def concat(g):
    shape = g.shape(1, 5, empty=.1)
    axis, t, inputs = g.axis(len(shape), g.version >= 11), g.t(), []
    for _ in range(g.int(1, 20)):
        part = list(shape)
        part[axis] = g.one(0, 0, 1, 2)
        inputs.append(g.data(t, part))
    g.node(inputs, axis=axis)


@wide("Split")
def split(g):
    shape, n = g.shape(1, 5, empty=0), g.int(1, 12)
    axis, parts = g.axis(len(shape), g.version >= 11), [g.one(0, 1, 2) for _ in range(n)]
    shape[axis], t = sum(parts), g.t()
    if g.version >= 13:
        g.node([g.data(t, shape), g.known(ints(*parts), .5)], n, axis=axis)
    else:
        g.node([g.data(t, shape)], n, axis=axis, split=parts)


@wide("Constant")
def constant(g):
    if g.version < 11:
        raise Invalid
    shape, nnz, t = [g.int(1, 4), g.int(1, 5)], g.int(0, 3), g.one("float", "int64", "uint8", "double")
    flat = np.sort(g.np.permutation(shape[0] * shape[1])[:nnz])
    if g.chance(.5):
        index = tensor(flat.astype(I64), "i")
    else:
        index = tensor(np.stack(np.unravel_index(flat, shape), -1).astype(I64).reshape(len(flat), 2), "i")
    g.oracle = False
    g.node([], sparse_value=helper.make_sparse_tensor(tensor(g.data(t, [len(flat)]), "v"), index, shape))


@wide("NonMaxSuppression")
def nms(g):
    b, n, c = g.int(1, 2), g.one(0, 1, 5, 30), g.int(1, 3)
    boxes = np.rint(g.np.uniform(0, 20, [b, n, 4])).astype(np.float32)  # any two corners
    scores = g.np.permutation(b * c * n).reshape(b, c, n).astype(np.float32) / max(1, b * c * n)
    if n and g.chance(.2):
        scores.reshape(-1)[0], g.oracle = g.one(np.inf, -np.inf), False
    more = [g.known(ints(g.one(0, 1, 50, 2**62)), .2) if g.chance(.7) else None,
            g.known(np.array(g.one(0, 1, .5), np.float32), .2) if g.chance(.7) else None,
            g.known(np.array(g.one(0, -1, .5), np.float32), .2) if g.chance(.7) else None]
    if more[0] is None:
        g.wrong = ["onnx"]
    g.oracle = g.oracle and n > 0
    g.node([boxes, scores] + more, center_point_box=0)


# ---- lists, optionals, control flow

SEQUENCED = ["float", "double", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "string"]


@wide("SequenceConstruct SequenceInsert SequenceErase SequenceAt SequenceLength ConcatFromSequence SplitToSequence")
def sequences(g):
    """Every element type, parts of different shapes, positions of either type, splits without lengths."""
    g.opset = max(g.opset, 13)
    t, shape, axis = g.one(*SEQUENCED), g.shape(1, 3, 30, 0), 0
    position = g.one(np.int32, I64)
    if g.chance(.5):
        axis = g.axis(len(shape))
        n = shape[axis]
        keep = g.one(None, 0, 1)
        lengths = None
        if g.chance(.5):
            lengths = g.known(np.array(g.int(1, n), position), .4) if g.chance(.5) else g.known(
                np.array([1] * (n - 1) + [1], position), .4)
        s = base(g, "SplitToSequence", [g.operand(g.data(t, shape), fixed=lengths is None), lengths], axis=axis, keepdims=keep)[0]
        if lengths and keep == 0:
            g.wrong = ["ONNX Runtime"]  # heeds keepdims, which lengths make void
        flat = lengths is None and keep == 0
        count = None if lengths else n
    else:
        count, flat = g.int(1, 4), False
        shapes = [shape[:-1] + [g.int(0, 4)] for _ in range(count)]
        axis = -1
        s = base(g, "SequenceConstruct", [g.operand(g.data(t, x)) for x in shapes])[0]
    if g.op == "SequenceInsert" and count and axis == -1:
        s = base(g, "SequenceInsert", [s, g.operand(g.data(t, shape)), g.known(np.array(g.int(-count, count), position), .3)])[0]
    if g.op == "SequenceErase" and count and count > 1:
        s = base(g, "SequenceErase", [s, g.known(np.array(g.int(-count, count - 1), position), .3)])[0]
        count -= 1
    if g.op == "SequenceAt" and count:
        base(g, "SequenceAt", [s, g.known(np.array(g.int(-count, count - 1), position), .3)])
    elif g.op == "SequenceLength" or flat:
        base(g, "SequenceLength", [s])
    else:
        base(g, "ConcatFromSequence", [s], axis=axis, new_axis=0)
    if g.op not in [n.op_type for n in g.nodes]:
        raise Invalid
    g.wrong = g.wrong + ["onnx"]


@wide("Optional OptionalGetElement OptionalHasElement")
def optional(g):
    t = g.one(*SEQUENCED)
    elem = helper.make_tensor_type_proto(code_of(t), None)
    if g.op == "OptionalHasElement" and g.chance(.6):
        g.opset = max(g.opset, 18)
        if g.chance(.4):
            g.node([None])
            return
        base(g, "OptionalHasElement", [base(g, "Optional", [], type=elem)[0]])
        g.oracle = False
        return
    x = g.operand(g.data(t, g.shape(0, 3, 30)))
    if g.chance(.4):
        x = base(g, "SequenceConstruct", [x, g.operand(g.data(t, g.shape(0, 3, 30)))])[0]
    o = base(g, "Optional", [x])[0]
    base(g, "OptionalHasElement" if g.op == "OptionalHasElement" else "OptionalGetElement", [o])


@wide("SequenceMap")
def sequence_map(g):
    g.opset = max(g.opset, 17)
    t, two = g.one("float", "int64", "double"), g.chance(.5)
    shapes = [g.shape(1, 2, 12, 0) for _ in range(g.int(1, 3))]
    rank = len(shapes[0])
    shapes = [s for s in shapes if len(s) == rank]
    lists = [base(g, "SequenceConstruct", [g.operand(g.data(t, s)) for s in shapes])[0] for _ in range(1 + two)]
    nodes = [helper.make_node("Neg", ["e"], ["r"])] + ([helper.make_node("Add", ["f", "r"], ["q"])] if two else [])
    made = ["r", "q"][:1 + two]
    graph = body("map", nodes, [(v, code_of(t), None) for v in "ef"[:1 + two]], [(v, code_of(t), None) for v in made])
    m = g.node(lists, 1 + two, body=graph)
    for s in m:
        base(g, "ConcatFromSequence", [base(g, "SequenceInsert", [s, g.operand(g.data(t, shapes[0]))])[0]]
             if len(set(map(tuple, shapes))) == 1 else [base(g, "SequenceConstruct", [base(
                 g, "SequenceAt", [s, g.known(np.array(0, I64))])[0]])[0]], axis=0)


@wide("If")
def if_(g):
    """Branches of different shapes, ranks of results told apart only when run; two results; one inside another."""
    t = g.t("V", only=["float", "int64", "double", "int32", "bool", "string"]) if g.version >= 13 else "float"
    shape, code = g.shape(0, 4, 60), code_of(t)
    x, y = g.operand(g.data(t, shape)), g.operand(g.data(t, g.shape(0, 4, 60)))
    cond, again = g.known(np.array(g.chance(.5)), .2), g.known(np.array(g.chance(.5)), .2)
    inner = [helper.make_node("If", [again], ["u"], then_branch=body("a", [helper.make_node("Identity", [x], ["p"])], [], [
        ("p", code, None)]), else_branch=body("b", [helper.make_node("Identity", [y], ["q"])], [], [("q", code, None)]))]
    one = [helper.make_node("Identity", [x], ["r"]), helper.make_node("Identity", [y], ["s"])]
    two = inner + [helper.make_node("Identity", ["u"], ["v"]), helper.make_node("Identity", [x], ["w"])]
    g.wrong = ["onnx"]
    g.node([cond], 2, then_branch=body("then", one, [], [("r", code, None), ("s", code, None)]),
                  else_branch=body("else", two, [], [("v", code, None), ("w", code, None)]))


@wide("Loop")
def loop(g):
    """Without a limit, or with neither; a state that grows; results of no rounds; a list that is filled."""
    t = g.one("float", "int64", "double", "int32", "float16")
    if g.version < 13:
        raise Invalid
    code, d = code_of(t), g.int(1, 4)
    n, stop = g.int(0, 4), g.int(0, 3)
    by_limit = g.chance(.5)
    row = g.operand(g.data(t, [1, d]))
    nodes = [helper.make_node("Concat", ["state", row], ["next"], axis=0),
             helper.make_node("Constant", [], ["stop"], value_int=stop), helper.make_node("Less", ["i", "stop"], ["more"]),
             helper.make_node("Add", ["sum", row], ["total"]), helper.make_node("Neg", ["total"], ["seen"])]
    if by_limit:
        nodes[2] = helper.make_node("Identity", ["cond"], ["more"])
    graph = body("body", nodes, [("i", 7, []), ("cond", 9, []), ("state", code, [None, d]), ("sum", code, [1, d])],
                 [("more", 9, []), ("next", code, [None, d]), ("total", code, [1, d]), ("seen", code, [1, d])])
    start = g.operand(g.data(t, [g.int(0, 2), d]))
    total = g.operand(g.data(t, [1, d]), fixed=True)
    begins = g.chance(.8)
    cond = None if by_limit and g.chance(.5) else g.known(np.array(begins), .3)
    g.wrong = ["onnx"]
    g.oracle = n > 0 and (begins or cond is None)  # dims of what was never made
    g.node([g.known(np.array(n, I64), .3) if by_limit else None, cond, start, total], 3, body=graph)


@wide("Scan")
def scan(g):
    """Several states and rows; along any axis; of opset 8 with a batch and lengths; none at all."""
    t = g.one("float", "int64", "double", "int32")
    code, n, d = code_of(t), g.int(1, 5), g.int(1, 4)
    nodes = [helper.make_node("Add", ["s", "a"], ["s2"]), helper.make_node("Max" if t != "bool" else "Or", ["u", "b"], ["u2"]),
             helper.make_node("Sub", ["s2", "u2"], ["y"]), helper.make_node("Mul", ["a", "b"], ["z"])]
    graph = body("body", nodes, [(v, code, [d]) for v in ("s", "u", "a", "b")], [(v, code, [d]) for v in ("s2", "u2", "y", "z")])
    if g.opset < 9:
        b = g.int(1, 3)
        lens = g.known(np.array([g.int(1, n) for _ in range(b)], I64), .3) if g.chance(.5) else None
        states = [g.operand(g.data(t, [b, d]), fixed=True) for _ in range(2)]
        rows = [g.operand(g.data(t, [b, n, d]), fixed=True) for _ in range(2)]
        if t in ("int32", "int64"):
            raise Invalid
        g.node([lens] + states + rows, 4, num_scan_inputs=2, body=graph, directions=g.one(None, [0, 1], [1, 1]))
        if lens is None:
            g.nodes[-1].input.insert(0, "") if g.nodes[-1].input[0] != "" else None
        return
    axes = [g.int(0, 1), g.int(0, 1)]
    if g.opset < 11 and t.startswith("int"):
        raise Invalid
    states = [g.operand(g.data(t, [d]), fixed=True) for _ in range(2)]
    rows = [g.operand(g.data(t, [n, d] if a == 0 else [d, n])) for a in axes]
    if g.opset >= 11:
        axes = [a - 2 if g.chance(.3) else a for a in axes]
    for r in rows:
        g.open[r] = [i for i in g.open.get(r, []) if g.inputs[r].shape[i] == n and n != d]
    g.node(states + rows, 4, num_scan_inputs=2, body=graph, scan_input_axes=axes,
           scan_input_directions=g.one(None, [0, 1], [1, 1]), scan_output_directions=g.one(None, [1, 0]),
           scan_output_axes=g.one(None, [1, 0]))


# ---- ai.onnx.ml

@wide("LabelEncoder", domain=ML)
def label_encoder(g):
    if g.version == 1:
        words = ["a", "b", "", "ab"]
        x = g.data("string", g.shape(0, 3, 40)) if g.chance(.5) else g.np.integers(-1, 5, g.shape(0, 3, 40))
        g.node([x], classes_strings=words, default_int64=g.one(None, 9), default_string=g.one(None, "q"))
        return
    if g.version < 4:
        raise Invalid
    keys = {"double": [1.0, 2.0, -1.5], "int16": [1, 2, -3], "int32": [1, 2, -3], "float": [.5, np.nan, 1.0],
            "int64": [1, 2, -3], "string": ["a", "b", ""]}
    t = g.one(*keys)
    v = g.one("double", "int16", "int32", "float", "int64", "string")

    def known(kind, values):
        a = np.array(values, object if kind == "string" else DTYPE[kind])
        return tensor(a, "v")
    values = {"string": ["x", "y", "z"]}.get(v, [7, 8, 9])
    x = np.array([g.one(*keys[t]) for _ in range(6)], object if t == "string" else DTYPE[t]).reshape(2, 3)
    more = {"default_tensor": known(v, ["no"] if v == "string" else [5])} if g.chance(.7) else {}
    if not more:
        more = {}
    g.wrong = ["onnx"]
    g.node([x], keys_tensor=known(t, keys[t]), values_tensor=known(v, values), **more)


@wide("Imputer Normalizer Scaler LinearRegressor LinearClassifier SVMRegressor SVMClassifier", domain=ML)
def typed(g):
    """Every type of numbers, rows of nothing, results changed at the end."""
    var = "T1" if "T1" in [c.type_param_str for c in g.schema.type_constraints] and g.op.endswith("Classifier") else "T"
    t = g.t(var, common=0)
    c, rows = g.int(1, 5), g.one(0, 1, 4, 9)
    x = np.rint(g.data(t, [rows, c])).astype(DTYPE[t])
    g.wrong = ["onnx"]
    g.oracle = rows > 0
    n = g.int(1, 4)
    post = g.one(None, "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
    if g.op == "Imputer":
        if t.startswith("int"):
            g.node([x], imputed_value_int64s=[5] * g.one(1, c), replaced_value_int64=2)
        else:
            g.node([x], imputed_value_floats=[5.5] * g.one(1, c), replaced_value_float=2.0)
    elif g.op == "Normalizer":
        g.oracle = False
        g.node([x], norm=g.one("MAX", "L1", "L2"))
    elif g.op == "Scaler":
        g.node([x], offset=g.one(None, floats(g, c)), scale=floats(g, c))
    elif g.op == "LinearRegressor":
        g.oracle = g.oracle and post in (None, "NONE")
        g.node([x], coefficients=floats(g, n * c), intercepts=g.one(None, floats(g, n)), targets=n, post_transform=post)
    elif g.op == "LinearClassifier":
        labels = {"classlabels_ints": list(range(n + 1))}
        g.oracle = False
        g.node([x], 2, coefficients=floats(g, (n + 1) * c), intercepts=g.one(None, floats(g, n + 1)), post_transform=post,
               multi_class=g.one(None, 0, 1), **labels)
    elif g.op == "SVMRegressor":
        g.oracle = False
        g.node([x], kernel_type=g.one(None, "LINEAR", "RBF"), kernel_params=[.3, .2, 2.0], n_supports=n, post_transform=post,
               support_vectors=floats(g, n * c), coefficients=floats(g, n), rho=floats(g, 1))
    else:
        classes = g.int(2, 4)
        each, pairs = [g.int(1, 3) for _ in range(classes)], classes * (classes - 1) // 2
        g.oracle = False
        g.node([x], 2, kernel_type=g.one("LINEAR", "POLY", "RBF", "SIGMOID"), kernel_params=[.3, .2, 2.0], vectors_per_class=each,
               support_vectors=floats(g, sum(each) * c), coefficients=floats(g, sum(each) * (classes - 1)), post_transform=post,
               rho=floats(g, pairs), classlabels_ints=list(range(classes)))


@wide("TreeEnsembleRegressor TreeEnsembleClassifier", domain=ML)
def trees_of_doubles(g):
    features, targets = g.int(1, 5), g.int(2, 3)
    table, leaves = forest(g, features, g.int(1, 20))
    what, kind = ("target", "R") if g.op.endswith("Regressor") else ("class", "C")
    attrs = forest_attributes(g, table)
    attrs["nodes_hitrates"] = g.one(None, [1.0] * len(table))
    t = g.t("T1" if kind == "C" else "T", common=0)
    weights = floats(g, len(leaves), .01, 1)
    if g.version >= 3 and t == "double" and g.chance(.7):
        attrs["nodes_values_as_tensor"] = tensor(np.array(attrs.pop("nodes_values"), np.float64), "v")
        if attrs["nodes_hitrates"]:
            attrs["nodes_hitrates_as_tensor"] = tensor(np.array(attrs.pop("nodes_hitrates"), np.float64), "h")
        attrs[f"{what}_weights_as_tensor"] = tensor(np.array(weights, np.float64), "w")
        base_ = {"base_values_as_tensor": g.one(None, tensor(np.array(floats(g, targets), np.float64), "b"))}
    else:
        attrs[f"{what}_weights"] = weights
        base_ = {"base_values": g.one(None, floats(g, targets))}
    attrs.update(base_)
    attrs.update({f"{what}_treeids": [x[0] for x in leaves], f"{what}_nodeids": [x[1] for x in leaves],
                  f"{what}_ids": [k % targets for k in range(len(leaves))]})
    x = g.data(t, [g.one(0, 1, 7, 30, 500), features])
    if x.dtype.kind == "f" and x.size:
        x.reshape(-1)[0] = np.nan
    post = g.one(None, "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
    g.oracle = False
    if kind == "R":
        g.node([x], n_targets=targets, post_transform=post, aggregate_function=g.one(None, "SUM", "AVERAGE", "MIN", "MAX"), **attrs)
    else:
        g.node([x], 2, post_transform=post, classlabels_int64s=[5, -1, 7][:targets], **attrs)


@wide("TreeEnsemble", domain=ML)
def tree_ensemble(g):
    """Deeper trees, members of sets, missing values."""
    t = g.one("float", "double", "float16")
    np_t, features, targets = DTYPE[t], g.int(1, 3), g.int(1, 2)
    modes, splits, feats, true, false, true_leaf, false_leaf, members, weights = [], [], [], [], [], [], [], [], []

    def grow(depth):
        k = len(modes)
        mode = g.int(0, 6)
        for column, v in ((modes, mode), (splits, float(g.int(-4, 4)) / 2), (feats, g.int(0, features - 1)), (true, 0), (false, 0),
                          (true_leaf, 0), (false_leaf, 0)):
            column.append(v)
        if mode == 6:
            members.extend([float(g.int(-4, 4)) / 2 for _ in range(g.one(1, 2, 3, 9))] + [np.nan])
        for to, leaf in ((true, true_leaf), (false, false_leaf)):
            if depth == 0 or g.chance(.4):
                leaf[k], to[k] = 1, len(weights)
                weights.append(round(g.r.uniform(-1, 1), 2))
            else:
                to[k] = grow(depth - 1)
        return k
    roots = [grow(g.int(0, 3)) for _ in range(g.one(1, 2, 3, 4, 40))]
    n = len(modes)
    x = np.rint(g.data(t, [g.one(0, 1, 8, 300), features]) * 2) / np_t.type(2)
    x = (np.rint(x) if members else x).astype(np_t)  # of 2.5 ONNX Runtime sees whether 2 is a member
    if x.size and g.chance(.5):
        x.reshape(-1)[0] = np.nan
    g.wrong = ["onnx"]
    post = g.one(None, 0, 1, 2, 3)
    g.oracle = x.shape[0] > 0 and t != "float16" and not post  # of two targets and of one it transforms others
    more = {"membership_values": tensor(np.array(members, np_t), "m")} if members else {}
    if g.chance(.4):
        more["nodes_missing_value_tracks_true"] = [g.int(0, 1) for _ in modes]
    if g.chance(.3):
        more["nodes_hitrates"] = tensor(np.ones(n, np_t), "h")
    g.node([x], n_targets=targets, aggregate_function=g.one(None, 0, 1, 2, 3), post_transform=post,
           tree_roots=roots, nodes_featureids=feats, nodes_modes=helper.make_tensor("modes", 2, [n], modes),
           nodes_splits=tensor(np.array(splits, np_t), "s"), nodes_truenodeids=true, nodes_falsenodeids=false,
           nodes_trueleafs=true_leaf, nodes_falseleafs=false_leaf, leaf_targetids=[g.int(0, targets - 1) for _ in weights],
           leaf_weights=tensor(np.array(weights, np_t), "w"), **more)
