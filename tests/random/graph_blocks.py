"""Rows of random_graphs.py that make several nodes: what passes look for, with branches, views and masks in between."""
import numpy as np
from onnx import helper

F32 = np.float32
MOVES = ("transpose", "reshape", "relu", "concat", "slice", "identity")


def image(g, least=4):
    v = g.pick(lambda v: v.array.dtype == F32 and v.array.ndim == 4 and min(v.array.shape[2:]) >= least
               and v.array.shape[1] <= 24)
    return v or g.fresh(F32, [g.r.randint(1, 2), g.r.choice((2, 3, 4, 8, 16)), g.r.randint(least, 9), g.r.randint(least, 12)], False)


def small(g, shape):
    """Weights that keep values moderate."""
    return g.const((g.np.integers(-4, 5, shape) / 16).astype(F32))


def conv(g, v, features, kernel=3, stride=1, groups=1):
    if not v:
        return None
    pad = kernel // 2
    w = small(g, [features, v.array.shape[1] // groups, kernel, kernel])
    bias = g.fresh(F32, [features], True) if g.r.random() < .5 else None
    return g.add("Conv", [v, w, bias], pads=[pad] * 4, strides=[stride] * 2, group=groups, kernel_shape=[kernel] * 2)


def norm(g, v):
    c = v.array.shape[1:2] if v else ()
    return v and g.add("BatchNormalization", [v, g.fresh(F32, c, True), g.fresh(F32, c, True), g.fresh(F32, c, True),
                                              g.const(np.abs(g.data(F32, c)) + F32(.5))])


def activation(g, v):
    if not v:
        return None
    kind = g.r.choice(("Relu", "Relu", "silu", "clip", "LeakyRelu", "HardSwish", "gelu", "none"))
    if kind == "silu":
        s = g.add("Sigmoid", [v])
        return s and g.add("Mul", g.r.choice(([v, s], [s, v])))
    if kind == "clip":
        return g.add("Clip", [v, g.const(F32(0)), g.const(F32(6))])
    if kind == "gelu":
        e = g.add("Div", [v, g.const(F32(1.41421356))])
        e = e and g.add("Erf", [e])
        e = e and g.add("Add", [e, g.const(F32(1))])
        e = e and g.add("Mul", [v, e])
        return e and g.add("Mul", [e, g.const(F32(.5))])
    return v if kind == "none" else g.add(kind, [v])


def residual(g):
    """x + f(x), where the middle of f has a second reader."""
    x = image(g)
    c = x.array.shape[1]
    h = activation(g, norm(g, conv(g, x, c)) if g.r.random() < .6 else conv(g, x, c))
    if h and g.r.random() < .5:
        side = g.add(g.r.choice(("GlobalAveragePool", "Transpose", "Neg")), [h])
        if side and g.r.random() < .5:
            g.add("Tanh", [side])
    h = norm(g, conv(g, h, c, g.r.choice((1, 3)), 1, g.r.choice((1, c)))) if h else None
    if h and g.r.random() < .3:
        h = g.add("Transpose", [g.add("Transpose", [h], perm=[0, 2, 3, 1]) or h], perm=[0, 3, 1, 2]) or h
    s = h and g.add("Add", g.r.choice(([x, h], [h, x])))
    activation(g, s)


def squeeze_excite(g):
    x = image(g)
    c = x.array.shape[1]
    h = activation(g, conv(g, x, c, g.r.choice((1, 3)), 1, g.r.choice((1, c))))
    if not h:
        return
    p = g.add("GlobalAveragePool", [h]) if g.r.random() < .6 else g.add("ReduceMean", [h, g.const(np.array([2, 3]))], keepdims=1)
    p = activation(g, conv(g, p, max(1, c // 2), 1))
    p = conv(g, p, c, 1)
    s = p and g.add(g.r.choice(("Sigmoid", "HardSigmoid")), [p])
    m = s and g.add("Mul", g.r.choice(([h, s], [s, h])))
    conv(g, m, g.r.choice((3, 8)), 1)


def branches(g):
    """Branches of one value, joined: what is concatenated may be made in place."""
    x = image(g)
    parts = [x] if g.r.random() < .3 else []
    for _ in range(g.r.randint(2, 3)):
        p = activation(g, conv(g, x, g.r.choice((1, 2, 4, 8)), g.r.choice((1, 3))))
        if p:
            parts.append(p)
    if len(parts) < 2:
        return
    y = g.add("Concat", parts, axis=1)
    if y and g.r.random() < .5:
        y = g.add("Resize", [y, None, g.const(np.array([1, 1, 2, 2], F32))], mode="nearest",
                  coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    if y and g.r.random() < .5:
        half = y.array.shape[1] // 2
        if half:
            a = g.add("Split", [y, g.const(np.array([half, y.array.shape[1] - half]))], 2, axis=1)
            if a:
                b = g.values[-1]
                conv(g, b, 4, 1)
                activation(g, a)
            return
    conv(g, y, 4, 3, g.r.choice((1, 2)))


def moved(g, v):
    """The same elements, or some of them, elsewhere."""
    how = g.r.choice(MOVES)
    if not v or not v.array.size or not v.array.ndim:
        return v
    if how == "transpose" and v.array.ndim > 1:
        perm = list(range(v.array.ndim))
        g.r.shuffle(perm)
        return g.add("Transpose", [v], keeps=True, perm=perm)
    if how == "reshape":
        return g.add("Reshape", [v, g.const(np.array([-1, v.array.shape[-1]]))], keeps=True)
    if how == "relu" and v.array.dtype.kind == "f":
        return g.add("Relu", [v], keeps=True)
    if how == "concat":
        return g.add("Concat", [v, v], keeps=True, axis=g.r.randrange(v.array.ndim))
    if how == "slice":
        k = [g.const(np.array([x])) for x in (g.r.choice((0, 1, -1)), 2**31, g.r.randrange(v.array.ndim), g.r.choice((1, 2)))]
        return g.add("Slice", [v] + k, keeps=True)
    return v


def quantised(g):
    """Q and DQ around what moves, and in front of products; scales that make both exact."""
    v = g.pick(lambda v: v.exact and v.array.dtype == F32 and v.array.ndim)
    if not v:
        return
    t = g.r.choice((np.uint8, np.int8))
    scale, zero = g.const(F32(g.r.choice((.25, .5, 1)))), g.const(np.array(g.r.choice((0, 3)) if t == np.int8 else 128, t))
    q = g.add("QuantizeLinear", [v, scale, zero], keeps=True)
    for _ in range(g.r.randint(0, 2)):
        q = moved(g, q) or q
    d = q and g.add("DequantizeLinear", [q, scale, zero], keeps=True)
    if not d:
        return
    if g.r.random() < .3:
        other = g.add("DequantizeLinear", [q, g.const(F32(.125)), zero], keeps=True)
        g.add("Add", [d, other], keeps=True) if other else None
    if d.array.ndim >= 2 and g.r.random() < .6:
        n = g.r.choice((1, 4, 17))
        w = g.const(g.np.integers(-9, 9, [d.array.shape[-1], n]).astype(np.int8))
        ws = g.const((2.0 ** g.np.integers(-6, -3, [n])).astype(F32)) if g.r.random() < .5 else g.const(F32(.03125))
        wd = g.add("DequantizeLinear", [w, ws, g.const(np.zeros(ws.array.shape, np.int8))], axis=1)
        h = wd and g.add("MatMul", [d, wd])
        activation(g, h)
    else:
        q2 = g.add("QuantizeLinear", [g.add("Relu", [d], keeps=True) or d, scale, zero], keeps=True)
        g.add("DequantizeLinear", [q2, scale, zero], keeps=True) if q2 else None


def quantised_image(g):
    """Windows of bytes: zero points around them, clamps behind, pools and joins between, and bytes read twice."""
    t = g.r.choice((np.uint8, np.int8, np.int8))
    zeros, scale = ((0, 0, 3, -20, -128) if t == np.int8 else (0, 128, 7)), g.const(F32(.25))
    v = g.fresh(F32, [g.r.randint(1, 2), g.r.choice((2, 3, 4, 8, 16, 24)), g.r.randint(3, 9), g.r.randint(3, 12)], False)
    zero = g.r.choice(zeros)
    for _ in range(g.r.randint(1, 5)):
        zero = zero if g.r.random() < .7 else g.r.choice(zeros)
        z = g.const(np.array(zero, t))
        q = g.add("QuantizeLinear", [v, scale, z], keeps=True)
        d = q and g.add("DequantizeLinear", [q, scale, z], keeps=True)
        if not d:
            return
        if g.r.random() < .2:
            d = g.add("DequantizeLinear", [q, scale, g.const(np.array(g.r.choice(zeros), t))], keeps=True)
        channels, kind = d.array.shape[1], g.r.choice(("conv", "conv", "deep", "deep", "pool", "join", "sum"))
        if kind == "pool":
            v = g.add("MaxPool", [d], keeps=True, kernel_shape=[3, 3], pads=[1] * 4, strides=[g.r.choice((1, 2))] * 2)
        elif kind == "join":
            v = g.add("Concat", [d, d], keeps=True, axis=1)
        elif kind == "sum":
            v = g.add("Add", [d, v], keeps=True) if v.array.shape == d.array.shape else d
        else:
            k, group = g.r.choice((1, 3, 5)), channels if kind == "deep" else 1
            w = g.const(g.np.integers(-3, 4, [channels if kind == "deep" else g.r.choice((1, 8, 16, 20)), channels // group, k, k])
                        .astype(np.int8))
            ws = g.const(F32(.0625))
            b = g.const((g.np.integers(-64, 65, w.array.shape[:1]) / 64).astype(F32)) if g.r.random() < .5 else None
            wd = g.add("DequantizeLinear", [w, ws, g.const(np.array(0, np.int8))], keeps=True)
            v = wd and g.add("Conv", [d, wd, b], keeps=True, group=group, pads=[k // 2] * 4, strides=[g.r.choice((1, 1, 2))] * 2)
        if v and g.r.random() < .5:
            low, high = (g.const(F32(x)) for x in g.r.choice(((0, 6), (-1, 2), (1.25, 30), (-40, -2))))
            v = g.add("Relu", [v], keeps=True) if g.r.random() < .5 else g.add("Clip", [v, low, high], keeps=True)
        if not v or not v.exact:
            return


def attention(g):
    b, s, heads, size = g.r.randint(1, 2), g.r.choice((1, 5, 8)), g.r.randint(1, 3), g.r.choice((2, 4, 8))
    d = heads * size
    x = g.pick(lambda v: v.array.dtype == F32 and v.array.ndim == 3 and v.array.shape[-1] == d) or g.fresh(F32, [b, s, d], False)
    b, s = x.array.shape[:2]
    parts = []
    for _ in range(3):
        h = g.add("MatMul", [x, small(g, [d, d])])
        h = h and g.add("Add", [h, g.fresh(F32, [d], True)])
        h = h and g.add("Reshape", [h, g.const(np.array([0, 0, heads, size]))])
        h = h and g.add("Transpose", [h], perm=[0, 2, 1, 3])
        if not h:
            return
        parts.append(h)
    k = g.add("Transpose", [parts[1]], perm=[0, 1, 3, 2])
    scores = k and g.add("MatMul", [parts[0], k])
    scores = scores and g.add(g.r.choice(("Mul", "Div")), [scores, g.const(F32(.5 if g.r.random() < .5 else 2))])
    how = g.r.randint(0, 3)
    if scores and how == 1:
        scores = g.add("Add", [scores, g.fresh(F32, g.r.choice(([1, 1, s, s], [s, s], [b, 1, 1, s])))])
    elif scores and how == 2:
        shown = g.fresh(np.bool_, g.r.choice(([1, 1, s, s], [b, 1, 1, s])), False)
        scores = g.add("Where", [shown, scores, g.const(F32(-100))])
    p = scores and g.add("Softmax", [scores], axis=-1)
    if p and how == 3:
        shown = g.add("Cast", [g.fresh(np.bool_, [b, 1, 1, s], False)], to=1)
        p = shown and g.add("Mul", [p, shown])
    y = p and g.add("MatMul", [p, parts[2]])
    y = y and g.add("Transpose", [y], perm=[0, 2, 1, 3])
    y = y and g.add("Reshape", [y, g.const(np.array([0, 0, d]))])
    y = y and g.add("Add", [x, y])
    row_norm(g, y)


def row_norm(g, v=None):
    """Layer normalisation in pieces, as older exporters write it."""
    v = v or g.pick(lambda v: v.array.dtype == F32 and v.array.ndim and v.array.shape[-1] > 1)
    if not v:
        return
    last = g.const(np.array([-1]))
    mean = g.add("ReduceMean", [v, last])
    away = mean and g.add("Sub", [v, mean])
    square = away and (g.add("Pow", [away, g.const(F32(2))]) if g.r.random() < .5 else g.add("Mul", [away, away]))
    var = square and g.add("ReduceMean", [square, last])
    var = var and g.add("Add", [var, g.const(F32(.1))])
    root = var and g.add("Sqrt", [var])
    y = root and g.add("Div", [away, root])
    y = y and g.add("Mul", [y, g.fresh(F32, v.array.shape[-1:], True)])
    return y and g.add("Add", [y, g.fresh(F32, v.array.shape[-1:], g.r.random() < .7)])


def broadcast_sum(g):
    """Sums behind broadcasts, by axes that one operand does not have."""
    v = g.floats()
    if not v or v.array.ndim < 2 or v.array.size > 400:
        return
    a = g.add("Unsqueeze", [v, g.const(np.array([1]))], keeps=True)
    b = g.add("Unsqueeze", [v, g.const(np.array([0]))], keeps=True)
    if v.array.shape[0] > 12:
        return
    d = a and b and g.add(g.r.choice(("Sub", "Mul", "Add", "Max")), [a, b], keeps=True)
    d = d and g.add(g.r.choice(("Abs", "Tanh", "Relu")), [d])
    if d:
        axes = g.r.sample(range(d.array.ndim), g.r.randint(1, d.array.ndim))
        g.add(g.r.choice(("ReduceSum", "ReduceMax", "ReduceMean", "ReduceL2")), [d, g.const(np.array(axes))], keepdims=g.r.randint(0, 1))


def masked(g):
    v = g.pick(lambda v: v.exact and v.array.dtype == F32 and v.array.ndim)
    m = v and g.add(g.r.choice(("Greater", "LessOrEqual")), [v, g.partner(v)])
    if not m:
        return
    w = g.pick(lambda u: u.array.dtype == F32 and u.array.shape == v.array.shape) or v
    h = g.add("Where", [m, w, g.const(F32(g.r.choice((0, -50))))])
    h = h and g.add(g.r.choice(("Softmax", "ReduceMax", "ReduceSum")), [h])
    n = g.add("Cast", [g.add("Not", [m]) or m], to=1)
    if h and n:
        g.add("Mul", [h, n])


def chain(g):
    """Element by element, with views between."""
    v = g.floats()
    for _ in range(g.r.randint(3, 7)):
        if not v:
            return
        how = g.r.random()
        if how < .4:
            v = moved(g, v)
        elif how < .7:
            v = g.add(g.r.choice(("Tanh", "Sigmoid", "Abs", "Neg", "Relu")), [v])
        else:
            v = g.add(g.r.choice(("Add", "Mul", "Sub", "Max")), [v, g.partner(v)])


def region(g, name, nodes, outputs, inputs=()):
    return helper.make_graph(nodes, name, [helper.make_tensor_value_info(*v) for v in inputs],
                             [helper.make_tensor_value_info(n, t, None) for n, t in outputs])


def choice(g):
    """If: both branches read what lies outside, which is read behind it, too."""
    v = g.pick(lambda v: v.array.dtype == F32 and v.array.ndim)
    if not v:
        return
    w = g.partner(v)
    cond = g.fresh(np.bool_, [], g.r.random() < .2)
    k = len(g.nodes)
    one = [helper.make_node("Mul", [v.name, w.name], [f"t{k}"]), helper.make_node("Tanh", [f"t{k}"], [f"u{k}"]),
           helper.make_node("Add", [f"u{k}", v.name], [f"p{k}"])]
    two = [helper.make_node("Relu", [v.name], [f"q{k}"])]
    if g.r.random() < .3:
        two = [helper.make_node("Identity", [v.name], [f"q{k}"])]
    y = g.add("If", [cond], captures=[v, w], then_branch=region(g, "then", one, [(f"p{k}", 1)]),
              else_branch=region(g, "else", two, [(f"q{k}", 1)]))
    if y and g.r.random() < .6:
        g.add("Add", [y, v])


def repeat(g):
    """Loop: a state that the body halves and adds to, and what each round saw."""
    v = g.pick(lambda v: v.array.dtype == F32 and v.array.ndim and v.array.size < 300)
    if not v:
        return
    w = g.partner(v)
    k = len(g.nodes)
    rounds = g.fresh(np.int64, [], True) if g.r.random() < .5 else g.const(np.array(g.r.randint(1, 4)))
    rounds.array = np.array(g.r.randint(1, 4))
    body = [helper.make_node("Tanh", [f"s{k}"], [f"a{k}"]), helper.make_node("Add", [f"a{k}", w.name], [f"b{k}"]),
            helper.make_node("Relu", [f"b{k}"], [f"c{k}"]), helper.make_node("Identity", [f"i{k}"], [f"j{k}"])]
    g.add("Loop", [rounds, None, v], 2, captures=[w], body=region(
        g, "body", body, [(f"j{k}", 9), (f"b{k}", 1), (f"c{k}", 1)],
        [(f"n{k}", 7, []), (f"i{k}", 9, []), (f"s{k}", 1, list(v.array.shape))]))


def embedding(g):
    d, rows = g.r.choice((4, 8, 17)), g.r.randint(2, 9)
    ids = g.fresh(np.int64, [g.r.randint(1, 2), g.r.randint(1, 6)], False)
    ids.array = g.np.integers(0, rows, ids.array.shape)
    h = g.add("Gather", [small(g, [rows, d]), ids], axis=0)
    h = h and g.add("Add", [h, small(g, [ids.array.shape[1], d])])
    row_norm(g, h)


BLOCKS = [residual, residual, squeeze_excite, branches, branches, quantised, quantised, quantised_image,
          quantised_image, attention, row_norm, broadcast_sum, masked,
          chain, chain, choice, repeat, embedding]
