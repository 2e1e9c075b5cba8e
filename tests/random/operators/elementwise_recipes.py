"""Recipes: operators that work element by element, casts and comparisons."""
import numpy as np

from cases import DTYPE, Invalid, recipe
from onnx import helper

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1.0, 1.0, 0.5, -0.5, 88.0, -104.0, 3e38]
RANGE = {"Log": (0.01, 9), "Sqrt": (0, 9), "Acos": (-1, 1), "Asin": (-1, 1), "Atanh": (-.95, .95), "Acosh": (1, 9),
         "Exp": (-8, 8), "Reciprocal": (.2, 5), "Tan": (-1.4, 1.4)}


def special(g, a):
    """Zeros of both signs, infinities, NaN, subnormals and large numbers among the data."""
    if a.dtype.kind == "f" and a.size and g.chance(.2):
        flat = a.reshape(-1)
        for _ in range(g.int(1, 6)):
            with np.errstate(over="ignore"):
                flat[g.int(0, a.size - 1)] = np.float64(g.one(*SPECIAL)).astype(a.dtype)
        g.oracle = False  # implementations differ in what they make of these; ours may not
    return a


def old_broadcast(g, shape):
    """Of opset 1 and 6: the second operand, and attributes; equal shapes, or named axes."""
    if g.chance(.4) or not shape:
        return shape, {}
    at = g.int(0, len(shape))
    end = g.int(at, len(shape))
    if end == len(shape) and g.chance(.5):
        return shape[at:end], {"broadcast": 1}
    return shape[at:end], {"broadcast": 1, "axis": at}


@recipe("Neg Abs Sign Reciprocal Not BitwiseNot Sqrt Floor Ceil Round Exp Log Sin Cos Tan Asin Acos Atan Sinh Cosh "
        "Tanh Asinh Acosh Atanh Erf Sigmoid Softplus Softsign HardSwish Mish Relu Identity IsNaN Size")
def unary(g):
    only = ["float", "double", "float16", "bfloat16"] if g.op == "Erf" else None
    t = g.t(g.schema.inputs[0].type_str, only)
    a = g.data(t, g.shape(), *RANGE.get(g.op, ()))
    if g.op == "Mish" and t in ("float16", "bfloat16"):
        g.wrong = ["onnx"]  # rounds the exponential, its logarithm and its tangent
    g.node([special(g, a)])


@recipe("LeakyRelu Elu Celu Selu HardSigmoid Swish ThresholdedRelu Shrink")
def activation(g):
    ranges = {"alpha": (.1, 2), "beta": (.1, 1), "gamma": (.5, 2), "lambd": (0, 2), "bias": (-1, 1)}
    given = {a: round(g.r.uniform(*ranges[a]), 3) for a in g.schema.attributes if a in ranges and g.chance(.5)}
    g.node([special(g, g.data(g.t(g.schema.inputs[0].type_str), g.shape()))], **given)


@recipe("Gelu")
def gelu(g):
    g.node([special(g, g.data(g.t(), g.shape()))], approximate=g.one(None, "none", "tanh"))


@recipe("SwiGLU")
def swiglu(g):
    g.opset = 28
    shape = g.shape(1, 4)
    g.node([g.data("float", shape), g.data("float", shape)], alpha=g.one(None, 1.7))


@recipe("IsInf")
def isinf(g):
    g.node([special(g, g.data(g.t("T1"), g.shape()))], detect_negative=g.one(None, 0, 1),
           detect_positive=g.one(None, 0, 1))


@recipe("Add Sub Mul Div Mod And Or Xor BitwiseAnd BitwiseOr BitwiseXor Equal Less LessOrEqual Greater GreaterOrEqual")
def binary(g):
    shape, more = g.shape(), {}
    t = g.t(g.schema.inputs[0].type_str)
    if "broadcast" in g.schema.attributes:
        b_shape, more = old_broadcast(g, shape)
        g.wrong = ["onnx"] if "axis" in more else []  # takes no notice of it
        shapes = [shape, b_shape]
    else:
        shapes = [shape, g.partner(shape)]
        if g.chance(.5):
            shapes.reverse()
        elif g.chance(.3) and shape:  # each side is broadcast
            shapes = [g.partner(shape, False), g.partner(shape, False)]
    a, b = g.data(t, shapes[0]), g.data(t, shapes[1])
    if g.op in ("Div", "Mod"):
        b = np.where(b == 0, np.ones((), b.dtype), b)
    if "consumed_inputs" in g.schema.attributes and g.chance(.2):
        more["consumed_inputs"] = [0, 0]
    if g.op == "Mod":
        more["fmod"] = 1 if t.startswith(("float", "bfloat", "double")) else g.one(None, 0, 1)
        if more["fmod"] and not t.startswith(("int", "uint")):
            b = np.where(np.abs(b) < .25, np.ones((), b.dtype), b).astype(b.dtype)
    if g.op in ("Add", "Sub", "Mul", "Less", "Equal", "Greater"):
        a, b = special(g, a), special(g, b)
    g.node([a, b.astype(a.dtype)], **more)


@recipe("BitShift")
def bitshift(g):
    shape = g.shape()
    t = g.t()
    bits = DTYPE[t].itemsize * 8
    g.node([g.data(t, shape), g.data(t, g.partner(shape), 0, bits - 1)], direction=g.one("LEFT", "RIGHT"))


@recipe("Pow")
def power(g):
    shape = g.shape()
    t = g.t()
    t1 = g.t("T1") if g.version >= 12 else t
    whole = t.startswith("int") or t1.startswith(("int", "uint"))
    base = g.data(t, shape, 1 if whole else .1, 6)
    exponent = g.data(t1, g.partner(shape), 0 if whole else -2, 3)
    if g.version < 7:
        b_shape, more = old_broadcast(g, shape)
        g.node([base, g.data(t, b_shape, -2, 3)], **more)
        return
    g.node([base, g.operand(exponent, constant=True)] if g.chance(.4) else [base, exponent])


@recipe("PRelu")
def prelu(g):
    shape = g.shape(1 if g.version < 7 else 0)
    t = g.t()
    slope = g.partner(shape)
    if g.version < 7:
        g.wrong = ["onnx"]  # broadcasts as version 7 does
        slope = [1] if len(shape) < 2 or g.chance(.3) else [shape[1]]
    g.node([g.data(t, shape), g.data(t, slope)])


@recipe("Max Min Sum Mean")
def variadic(g):
    shape = g.shape()
    t = g.t()
    same = g.version < 8
    inputs = [g.data(t, shape if same or k == 0 else g.partner(shape)) for k in range(g.int(1, 4))]
    if g.op in ("Max", "Min"):
        inputs = [special(g, a) for a in inputs]
    elif t in ("bfloat16", "float16"):
        g.wrong = ["onnx"]  # rounds each partial sum
    g.r.shuffle(inputs)
    g.node(inputs)


@recipe("Where")
def where(g):
    shape = g.shape()
    t = g.t()
    full = g.int(0, 2)  # at least one operand has the whole shape
    parts = [g.data(k, shape if i == full else g.partner(shape)) for i, k in enumerate(("bool", t, t))]
    g.node(parts)


@recipe("Clip")
def clip(g):
    t = g.t()
    x = special(g, g.data(t, g.shape()))
    lo, hi = sorted(g.data(t, [2]))
    if g.version < 11:
        g.node([x], min=float(lo) if g.chance(.7) else None, max=float(hi) if g.chance(.7) else None)
    else:
        g.node([x, np.array(lo, x.dtype) if g.chance(.7) else None, np.array(hi, x.dtype) if g.chance(.7) else None])


CODES = ("float8e4m3fn float8e5m2 float8e4m3fnuz float8e5m2fnuz float4e2m1 int4 uint4 int2 uint2 float8e8m0").split()


def cast_data(g, source, target):
    if source == "string":
        words = ["0", "1", "-3", "7"] if target not in ("bool",) else ["1", "0"]
        if target in ("float", "double", "float16", "bfloat16"):
            words += ["1.5", "-2e2", "INF", "-INF", "NaN", ".25"]
        if target.startswith("u"):
            words = ["0", "1", "3"]
        if target == "int2":
            words = ["0", "1"]
        return np.array([g.one(*words) for _ in range(g.int(0, 20))], object)
    a = g.data(source, g.shape(), *((0, 3) if target.startswith("u") or target == "float8e8m0" else ()))
    if target in CODES or source in CODES:
        return a
    if a.dtype.kind in "f" and target.startswith(("float", "bfloat", "double")):
        return special(g, a)
    return a


@recipe("Cast")
def cast(g):
    source, target = g.t("T1", common=.3), g.t("T2", common=.3)
    if "complex" in source + target:
        raise Invalid
    if source == "string" and target in CODES or target == "string" and source in CODES:
        g.oracle = False
    narrow(g, target)
    a = cast_data(g, source, target)
    to = helper.np_dtype_to_tensor_dtype(DTYPE[target]) if target != "string" else 8
    more = {}
    if g.version < 6:
        name = {"float": "FLOAT", "double": "DOUBLE"}.get(target, target.upper())
        g.node([a], to=name)
        return
    if "saturate" in g.schema.attributes and target.startswith("float8") and target != "float8e8m0":
        more["saturate"] = g.one(None, 0, 1)
    g.node([a], to=to, **more)


def narrow(g, target):
    """A cast rounds once: no tolerance but that of the result's last bit."""
    g.tolerance = 0


@recipe("CastLike")
def cast_like(g):
    source, target = g.t("T1", common=.3), g.t("T2", common=.3)
    if "complex" in source + target:
        raise Invalid
    narrow(g, target)
    like = g.data(target, g.shape(0, 2))
    g.node([cast_data(g, source, target), like])


@recipe("BitCast")
def bit_cast(g):
    source = g.t("T1", only=[t for t in g.allowed("T1") if "complex" not in t])
    odd = CODES + ["bool", "string", "complex64", "complex128"]
    same = [t for t in g.allowed("T2") if DTYPE[t].itemsize == DTYPE[source].itemsize and t not in odd
            and source not in odd]
    if not same:
        raise Invalid
    g.tolerance = 0
    g.node([g.data(source, g.shape())], to=helper.np_dtype_to_tensor_dtype(DTYPE[g.one(*same)]))
