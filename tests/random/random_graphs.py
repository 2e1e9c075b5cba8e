#!/usr/bin/env python3
"""Random graphs, valid by construction, through generated code at several levels, targets and pass selections.

    python tests/random/random_graphs.py INGOT OUT [--count N] [--seed S] [--nodes N] [--blocks P]

Each seed gives one model: nodes from the table below on values that are there; every node is at once evaluated by the
reference evaluator of the onnx package on recorded inputs, and is dropped where that fails or where a result is not a
number of moderate size. What jumps (Floor, comparisons, ArgMax, ...) is put on exact values only, so that no rounding
can flip it. Some dims of inputs are open, some operands constant. All folders then go through `ingot test` with every
row of CONFIGURATIONS. Ends with `N passed, N failed, 0 skipped`; a failing folder is replayed by the command printed.
Needs numpy and onnx.
"""
import argparse
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from graph_blocks import BLOCKS

OPSET = 21
CONFIGURATIONS = ["", "-O0", "-O3 --no-fold --verify-each", "--target x86-64-v3", "--target x86-64-v2 --skip-pass fuse",
                  "--target scalar -O1", "--skip-pass cse,simplify,fold", "--eval", "-O3 --threads 2",
                  "--skip-pass layout,halo,concat", "-O1 --skip-pass qdq,widen --target x86-64-v3"]
FLOATS = (np.float32, np.float32, np.float32, np.float64, np.float16)
INTS = (np.int32, np.int64, np.uint8, np.int8)


class Value:
    def __init__(self, name, array, exact, constant=False):
        self.name, self.array, self.exact, self.constant = name, array, exact, constant
        self.fixed = False  # dims may not be open


class Graph:
    def __init__(self, seed):
        self.r, self.np = random.Random(seed), np.random.default_rng(seed)
        self.nodes, self.values, self.inputs, self.constants, self.used = [], [], [], [], set()

    # ---- operands

    def data(self, dtype, shape):
        if dtype == np.bool_:
            return self.np.integers(0, 2, shape).astype(dtype)
        if np.issubdtype(dtype, np.integer):
            return self.np.integers(0 if np.issubdtype(dtype, np.unsignedinteger) else -9, 10, shape).astype(dtype)
        return (self.np.integers(-12, 13, shape) / 4).astype(dtype)

    def fresh(self, dtype, shape, constant=None):
        array, constant = self.data(dtype, shape), self.r.random() < 0.5 if constant is None else constant
        v = Value(f"{'c' if constant else 'x'}{len(self.values) + len(self.constants)}", array, True, constant)
        (self.constants if constant else self.inputs).append(v)
        if not constant:
            self.values.append(v)
        return v

    def const(self, array):
        v = Value(f"k{len(self.constants)}_{len(self.values)}", np.asarray(array), True, True)
        self.constants.append(v)
        return v

    def pick(self, want=lambda v: True):
        found = [v for v in self.values if want(v)]
        return self.r.choice(found[-8:] if self.r.random() < 0.7 else found) if found else None

    def floats(self, rank=None, exact=False):
        return self.pick(lambda v: v.array.dtype.kind == "f" and (rank is None or v.array.ndim == rank)
                         and (v.exact or not exact))

    def partner(self, v):
        """An operand that broadcasts with v."""
        same = self.pick(lambda u: u.array.dtype == v.array.dtype and u is not v and broadcasts(u, v))
        if same and self.r.random() < 0.6:
            return same
        shape = [1 if self.r.random() < 0.3 else d for d in v.array.shape][self.r.randrange(v.array.ndim + 1):]
        return self.fresh(v.array.dtype, shape)

    # ---- nodes

    def add(self, op, inputs, outputs=1, keeps=False, captures=(), **attrs):
        """keeps: exact operands give an exact result, where it is still a small multiple of 1/1024."""
        if any(v is None for v in inputs[:1]) and op != "Loop":
            return None
        names = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(op, [v.name if v else "" for v in inputs], names, name=f"{op}_{len(self.nodes)}", **attrs)
        given = [v for v in inputs if v] + list(captures)
        graph = helper.make_graph([node], "g", [info(v.name, v.array) for v in unique(given)],
                                  [helper.make_empty_tensor_value_info(n) for n in names])
        try:
            with np.errstate(all="ignore"):
                results = ReferenceEvaluator(model_of(graph)).run(None, {v.name: v.array for v in given})
        except Exception:  # not valid here: another node instead
            return None
        made = []
        for name, array in zip(names, results):
            array = np.asarray(array)
            if array.size > 20000 or array.ndim > 5 or (array.dtype.kind == "f" and not moderate(array)):
                return None
            exact = array.dtype.kind != "f" or (keeps and all(v.exact for v in given) and on_grid(array))
            made.append(Value(name, array, exact))
        self.nodes.append(node)
        self.values += made
        self.used.update(v.name for v in given)
        return made[0]

    def shape(self, least=0, most=4, top=7):
        return [self.r.choice((1, 2, 3, 4, 5, top)) for _ in range(self.r.randint(least, most))]


def unique(values):
    return list({v.name: v for v in values}.values())


def broadcasts(u, v):
    try:
        return np.broadcast_shapes(u.array.shape, v.array.shape) == v.array.shape
    except ValueError:
        return False


def moderate(a):
    return bool(np.all(np.isfinite(a)) and np.all(np.abs(a) < 1000))


def on_grid(a):
    return bool(np.all(np.abs(a) < 512) and np.all(a.astype(np.float64) * 1024 == np.rint(a.astype(np.float64) * 1024)))


def info(name, array, dims=None):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), dims or array.shape)


def captured(node):
    return [name for a in node.attribute if a.type == onnx.AttributeProto.GRAPH for n in a.g.node for name in n.input]


def model_of(graph):
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


# ---- the table: each row adds nodes to g, or does nothing

SMOOTH = "Sigmoid Tanh Erf Softplus Softsign HardSigmoid HardSwish Elu Selu Celu Gelu Mish Sin Cos Atan".split()
PLAIN = "Relu Abs Neg LeakyRelu ThresholdedRelu Identity".split()
JUMPS = "Floor Ceil Round Sign".split()
REDUCE = "ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ReduceProd".split()


def smooth(g):
    v = g.floats()
    if v:
        g.add(g.r.choice(SMOOTH), [v])


def plain(g):
    v = g.floats()
    if v:
        g.add(g.r.choice(PLAIN), [v], keeps=True)


def jump(g):
    v = g.floats(exact=True)
    if v:
        g.add(g.r.choice(JUMPS), [v], keeps=True)


def guarded(g):
    v = g.floats()
    a = v and g.add("Abs", [v], keeps=True)
    s = a and g.add("Add", [a, g.const(np.asarray(0.5, v.array.dtype))], keeps=True)
    if not s:
        return
    op = g.r.choice(("Sqrt", "Log", "Reciprocal", "Div", "Pow"))
    if op == "Div":
        g.add("Div", [g.floats() if g.r.random() < 0.3 else v, s])
    elif op == "Pow":
        g.add("Pow", [s, g.const(np.asarray(g.r.choice((2, 3, 0.5, -1, 1.5)), v.array.dtype))])
    else:
        g.add(op, [s])


def binary(g):
    v = g.pick(lambda v: v.array.dtype.kind in "fiu")
    ops = ("Add", "Sub", "Mul", "Max", "Min", "Add", "Mul")
    if v:
        w = g.partner(v)
        g.add(g.r.choice(ops), [v, w] if g.r.random() < 0.5 else [w, v], keeps=True)


def integers(g):
    v = g.pick(lambda v: v.array.dtype in (np.int32, np.int64))
    if v:
        w = g.add("Add", [g.add("Abs", [v]) or v, g.const(np.asarray(1, v.array.dtype))])
        if w and not np.any(w.array == 0):
            g.add("Mod", [v, w])
            g.add("BitwiseXor", [v, w])


def compare(g):
    v = g.pick(lambda v: v.exact and v.array.dtype.kind in "fiu")
    c = v and g.add(g.r.choice(("Less", "Greater", "Equal", "LessOrEqual")), [v, g.partner(v)])
    w = c and g.pick(lambda u: u.array.dtype.kind in "fiu" and broadcasts(u, c))
    if w:
        g.add("Where", [c, w, g.partner(w)], keeps=True)


def logic(g):
    v = g.pick(lambda v: v.array.dtype == np.bool_)
    if v:
        g.add(g.r.choice(("And", "Or", "Xor")), [v, g.partner(v)])
        g.add("Not", [v])


def cast(g):
    v = g.pick(lambda v: v.exact)
    if v:
        to = g.r.choice(FLOATS + INTS[:2] + (np.bool_,))
        if v.array.dtype.kind != "f" or np.all(np.abs(v.array) < 100):
            g.add("Cast", [v], keeps=True, to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))


def reduction(g):
    v = g.floats()
    if not v or not v.array.ndim:
        return
    axes = g.r.sample(range(v.array.ndim), g.r.randint(1, v.array.ndim))
    axes = [a - v.array.ndim if g.r.random() < 0.3 else a for a in axes]
    g.add(g.r.choice(REDUCE), [v, g.const(np.array(axes, np.int64))], keepdims=g.r.randint(0, 1))


def extremes(g):
    v = g.pick(lambda v: v.exact and v.array.ndim and v.array.dtype in (np.float32, np.int32, np.int64))
    if not v:
        return
    axis = g.r.randrange(v.array.ndim)
    if g.r.random() < 0.6:
        g.add(g.r.choice(("ArgMax", "ArgMin")), [v], axis=axis, keepdims=g.r.randint(0, 1),
              select_last_index=g.r.randint(0, 1))
    else:
        g.add("TopK", [v, g.const(np.array([g.r.randint(1, v.array.shape[axis])], np.int64))], 2, keeps=True, axis=axis,
              largest=g.r.randint(0, 1))


def softmax(g):
    v = g.floats()
    if v and v.array.ndim:
        g.add(g.r.choice(("Softmax", "LogSoftmax")), [v], axis=g.r.randrange(-v.array.ndim, v.array.ndim))


def normalize(g):
    v = g.floats()
    if not v or v.array.ndim < 2 or v.array.dtype == np.float16:
        return
    t, shape = v.array.dtype, v.array.shape
    if g.r.random() < 0.5:
        axis = g.r.randrange(1, len(shape))
        g.add("LayerNormalization", [v, g.fresh(t, shape[axis:], True), g.fresh(t, shape[axis:], True)], axis=axis,
              epsilon=0.1)
    else:
        c = shape[1:2]
        var = g.const(np.abs(g.data(t, c)) + np.asarray(0.5, t))
        g.add("BatchNormalization", [v, g.fresh(t, c, True), g.fresh(t, c, True), g.fresh(t, c, True), var])


def matmul(g):
    v = g.floats()
    if not v or v.array.ndim < 1 or v.array.dtype == np.float64:
        return
    shape = v.array.shape
    n = g.r.choice((1, 3, 8, 17, 33))
    batch = list(shape[:-2]) if g.r.random() < 0.4 else []
    w = g.fresh(v.array.dtype, batch + [shape[-1], n])
    h = g.add("MatMul", [v, w])
    if h and g.r.random() < 0.6:
        h = g.add("Add", [h, g.fresh(v.array.dtype, [n])])
        if h:
            g.add(g.r.choice(PLAIN + SMOOTH), [h])


def gemm(g):
    v = g.floats(2)
    if v and v.array.dtype != np.float64:
        ta, tb, n = g.r.randint(0, 1), g.r.randint(0, 1), g.r.choice((1, 4, 9, 32))
        k, m = v.array.shape[0 if ta else 1], v.array.shape[1 if ta else 0]
        w = g.fresh(v.array.dtype, [n, k] if tb else [k, n])
        g.add("Gemm", [v, w, g.fresh(v.array.dtype, g.r.choice(([n], [1], [m, 1], [m, n])))], transA=ta, transB=tb,
              alpha=0.5, beta=2.0)


def conv(g):
    v = g.pick(lambda v: v.array.dtype == np.float32 and v.array.ndim in (3, 4))
    if not v:
        shape = [g.r.randint(1, 2), g.r.choice((1, 2, 4, 6)), g.r.randint(3, 9), g.r.randint(3, 12)]
        v = g.fresh(np.float32, shape, False)
    spatial, c = v.array.ndim - 2, v.array.shape[1]
    groups = g.r.choice([d for d in (1, 1, 2, 3, c) if c % d == 0])
    f = groups * g.r.choice((1, 2, 5, 9))
    kernel = [g.r.choice((1, 2, 3)) for _ in range(spatial)]
    attrs = dict(strides=[g.r.choice((1, 1, 2)) for _ in kernel], pads=[g.r.randint(0, k - 1) for k in kernel * 2])
    if g.r.random() < 0.25:
        w = g.fresh(np.float32, [c, f // groups or 1] + kernel, True)
        g.add("ConvTranspose", [v, w], group=groups, strides=attrs["strides"])
        return
    w = g.fresh(np.float32, [f, c // groups] + kernel, None)
    w.fixed = True
    h = g.add("Conv", [v, w, g.fresh(np.float32, [f])], group=groups, dilations=[g.r.choice((1, 1, 2)) for _ in kernel],
              **attrs)
    if h and g.r.random() < 0.5:
        g.add(g.r.choice(PLAIN + SMOOTH), [h])


def pool(g):
    v = g.floats(4)
    if v:
        kernel = [g.r.choice((1, 2, 3)) for _ in range(2)]
        attrs = dict(kernel_shape=kernel, strides=[g.r.choice((1, 2)) for _ in kernel])
        pads = [g.r.randint(0, k - 1) for k in kernel * 2]
        if g.r.random() < 0.5:  # the reference mixes up sides that differ
            g.add("MaxPool", [v], keeps=True, pads=pads[:2] * 2, **attrs)
        else:
            g.add("AveragePool", [v], pads=pads, count_include_pad=1, **attrs)


def transpose(g):
    v = g.pick(lambda v: v.array.ndim > 1)
    if v:
        perm = list(range(v.array.ndim))
        g.r.shuffle(perm)
        g.add("Transpose", [v], keeps=True, perm=perm)


def reshape(g):
    v = g.pick()
    if not v or not v.array.size:
        return
    left, dims = v.array.size, []
    for p in (2, 3, 5, 7, 2):
        if left % p == 0 and g.r.random() < 0.6:
            dims.append(p)
            left //= p
    dims.insert(g.r.randrange(len(dims) + 1), -1 if g.r.random() < 0.5 else left)
    g.add("Reshape", [v, g.const(np.array(dims, np.int64))], keeps=True)


def slices(g):
    v = g.pick(lambda v: v.array.ndim)
    if v:
        axis = g.r.randrange(v.array.ndim)
        d = v.array.shape[axis]
        start, end, step = g.r.randint(-d - 1, d), g.r.randint(-d - 1, d + 2), g.r.choice((1, 1, 2, -1, -2))
        if len(range(d)[start:end:step]):
            k = [g.const(np.array([x], np.int64)) for x in (start, end, axis, step)]
            g.add("Slice", [v] + k, keeps=True)


def concat(g):
    v = g.pick(lambda v: v.array.ndim)
    if v:
        axis = g.r.randrange(v.array.ndim)
        shape = list(v.array.shape)
        shape[axis] = g.r.randint(1, 4)
        more = [g.fresh(v.array.dtype, shape)] + ([v] if g.r.random() < 0.3 else [])
        g.add("Concat", g.r.sample([v] + more, len(more) + 1), keeps=True, axis=axis)


def split(g):
    v = g.pick(lambda v: v.array.ndim and max(v.array.shape) > 1)
    if v:
        axis = max(range(v.array.ndim), key=lambda i: v.array.shape[i])
        d = v.array.shape[axis]
        at = g.r.randint(1, d - 1)
        g.add("Split", [v, g.const(np.array([at, d - at], np.int64))], 2, keeps=True, axis=axis)


def pad(g):
    v = g.pick(lambda v: v.array.ndim and v.array.dtype.kind == "f")
    if v:
        mode = g.r.choice(("constant", "reflect", "edge"))
        pads = [g.r.randint(0, max(0, min(2, d - 1))) for d in v.array.shape * 2]
        g.add("Pad", [v, g.const(np.array(pads, np.int64))], keeps=True, mode=mode)


def stretch(g):
    v = g.pick(lambda v: v.array.size < 500)
    if not v:
        return
    if g.r.random() < 0.5 and v.array.ndim:
        g.add("Tile", [v, g.const(np.array([g.r.randint(1, 3) for _ in v.array.shape], np.int64))], keeps=True)
    else:
        shape = [g.r.randint(1, 3)] + [g.r.randint(1, 4) if d == 1 else d for d in v.array.shape]
        g.add("Expand", [v, g.const(np.array(shape, np.int64))], keeps=True)


def axes(g):
    v = g.pick()
    if v and g.r.random() < 0.5:
        g.add("Unsqueeze", [v, g.const(np.array([g.r.randint(0, v.array.ndim)], np.int64))], keeps=True)
    elif v and 1 in v.array.shape:
        g.add("Squeeze", [v, g.const(np.array([v.array.shape.index(1)], np.int64))], keeps=True)


def gather(g):
    v = g.pick(lambda v: v.array.ndim)
    if not v:
        return
    axis = g.r.randrange(v.array.ndim)
    d = v.array.shape[axis]
    if g.r.random() < 0.6:
        index = g.const(g.np.integers(-d, d, g.shape(0, 2)).astype(np.int64))
        g.add("Gather", [v, index], keeps=True, axis=axis)
    else:
        index = g.const(g.np.integers(0, d, v.array.shape).astype(np.int64))
        g.add("GatherElements", [v, index], keeps=True, axis=axis)
        if v.array.dtype == np.float32:
            g.add("ScatterElements", [v, index, g.fresh(np.float32, v.array.shape)], keeps=True, axis=axis, reduction="add")


def running(g):
    v = g.floats()
    if v and v.array.ndim and v.array.dtype != np.float16:
        g.add("CumSum", [v, g.const(np.asarray(g.r.randrange(v.array.ndim), np.int64))], keeps=True,
              exclusive=g.r.randint(0, 1), reverse=g.r.randint(0, 1))


def of_shape(g):
    v = g.pick(lambda v: v.array.ndim and v.array.size < 400)
    s = v and g.add("Shape", [v])
    if s:
        h = g.add("Expand", [g.fresh(np.float32, [1]), s], keeps=True)
        if h and v.array.dtype == np.float32:
            g.add("Add", [h, v], keeps=True)


ROWS = [smooth, plain, jump, guarded, binary, binary, binary, integers, compare, logic, cast, reduction, reduction, extremes,
        softmax, normalize, matmul, matmul, gemm, conv, conv, pool, transpose, transpose, reshape, reshape, slices, concat,
        split, pad, stretch, axes, gather, running, of_shape]


# ---- a model and its folder

def generate(seed, nodes, blocks=.3):
    """blocks: the chance of a row of graph_blocks.py."""
    g = Graph(seed)
    for _ in range(g.r.randint(1, 3)):
        g.fresh(np.dtype(g.r.choice(FLOATS + INTS[:2])), g.shape(1), False)
    for _ in range(nodes * 4):
        if len(g.nodes) >= nodes:
            break
        g.r.choice(BLOCKS if g.r.random() < blocks else ROWS)(g)
    return g


def results_of(g):
    made = {v.name for v in g.values} - {v.name for v in g.inputs}
    leaves = [v for v in g.values if v.name in made and v.name not in g.used]
    inner = [v for v in g.values if v.name in made and v.name in g.used]
    return leaves[:12] + g.r.sample(inner, min(len(inner), g.r.choice((0, 0, 1, 3))))


def write_folder(g, folder):
    outputs = results_of(g)
    read = {name for n in g.nodes for name in n.input} | {v for n in g.nodes for v in captured(n)}
    inputs = [v for v in g.inputs if v.name in read]
    if not outputs or not inputs:
        return False

    same = g.r.random() < .3  # dims of one extent are one symbol

    def open_dims(v):
        return [(f"n{d}" if same else f"{v.name}_{i}") if g.r.random() < 0.3 and not v.fixed else d
                for i, d in enumerate(v.array.shape)]
    constants = [v for v in unique(g.constants) if v.name in read]
    defaults = [v for v in constants if g.r.random() < .1] if g.r.random() < .2 else []  # inputs that nobody gives
    graph = helper.make_graph(
        g.nodes, "random", [info(v.name, v.array, open_dims(v)) for v in inputs]
        + [info(v.name, v.array) for v in defaults],
        [helper.make_tensor_value_info(v.name, helper.np_dtype_to_tensor_dtype(v.array.dtype),
                                       [f"{v.name}_{i}" for i in range(v.array.ndim)]) for v in outputs],
        [numpy_helper.from_array(v.array, v.name) for v in constants])
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(model_of(graph), folder / "model.onnx")
    for kind, values in (("input", inputs), ("output", outputs)):
        for i, v in enumerate(values):
            (data / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(v.array, v.name).SerializeToString())
    half = any(v.array.dtype == np.float16 for v in g.values)
    (folder / "compare.txt").write_text("rtol 2e-2 atol 2e-2\n" if half else "rtol 1e-3 atol 2e-4\n")
    return True


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("ingot")
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--count", type=int, default=60)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--nodes", type=int, default=12)
    p.add_argument("--blocks", type=float, default=.3, help="chance of several nodes at once (graph_blocks.py)")
    a = p.parse_args()
    shutil.rmtree(a.out, ignore_errors=True)
    made = sum(write_folder(generate(s, a.nodes, a.blocks), a.out / f"seed_{s}") for s in range(a.seed, a.seed + a.count))
    print(f"{made} models of up to {a.nodes} nodes and more")
    passed = failed = 0
    for options in CONFIGURATIONS:
        command = [a.ingot, "test", str(a.out), *options.split()]
        said = subprocess.run(command, capture_output=True, text=True)
        end = re.search(r"^(\d+) passed, (\d+) failed, \d+ skipped$", said.stdout, re.M)
        ok, bad = (int(end[1]), int(end[2])) if end else (0, made)
        passed, failed = passed + ok, failed + bad + (made != ok + bad)
        if bad or not end or made != ok + bad:
            print(f"{shlex.join(command)}\n{said.stdout[-6000:]}{said.stderr[-2000:]}", end="")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
