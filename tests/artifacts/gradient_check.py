#!/usr/bin/env python3
"""The operator Gradient through generated code, against central differences in double.

    python tests/artifacts/gradient_check.py INGOT OUT

Each case is a small graph, and the same function in numpy. The Gradient node stands in front of what it names, as any
node may.
"""
import pathlib
import sys
from math import erf

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artifact import Counter, Failed, call, close

RNG = np.random.default_rng(7)
STEP = 1e-5
UNARY = {
    "Exp": np.exp, "Tanh": np.tanh, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Relu": lambda x: np.maximum(x, 0),
    "Sin": np.sin, "Cos": np.cos, "Tan": np.tan, "Erf": np.vectorize(erf), "Abs": np.abs, "Neg": np.negative,
    "Softplus": lambda x: np.log1p(np.exp(x)), "Elu": lambda x: np.where(x < 0, np.exp(x) - 1, x), "Atan": np.arctan,
    "Gelu": lambda x: 0.5 * x * (1 + np.vectorize(erf)(x / 2 ** 0.5)), "Sinh": np.sinh, "Cosh": np.cosh,
    "Asinh": np.arcsinh, "Softsign": lambda x: x / (1 + np.abs(x)), "Reciprocal": lambda x: 1 / x,
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1), "LeakyRelu": lambda x: np.where(x < 0, 0.01 * x, x),
    "Identity": lambda x: x, "Floor": np.floor,
}
BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Min": np.minimum, "Max": np.maximum}


def floats(*dims):
    return RNG.uniform(0.3, 1.4, dims) * RNG.choice([-1, 1], dims)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], **attributes)


def cases():
    """name -> nodes (the last gives y), inputs {name: array}, function of the inputs, constants {name: array}."""
    for op, function in UNARY.items():
        yield op, [node(op, ["a"], "y")], {"a": floats(3, 4)}, function, {}
    for op, function in {"Sqrt": np.sqrt, "Log": np.log}.items():
        yield op, [node(op, ["a"], "y")], {"a": np.abs(floats(3, 4))}, function, {}
    for op, function in {"Asin": np.arcsin, "Acos": np.arccos, "Atanh": np.arctanh}.items():
        yield op, [node(op, ["a"], "y")], {"a": floats(5) / 2}, function, {}
    for op, function in BINARY.items():
        yield op, [node(op, ["a", "b"], "y")], {"a": floats(2, 3, 4), "b": floats(3, 1)}, function, {}
    yield "Pow", [node("Pow", ["a", "b"], "y")], {"a": np.abs(floats(3, 4)), "b": floats(4)}, np.power, {}
    yield ("Clip", [node("Clip", ["a", "low", "high"], "y")], {"a": floats(9)}, lambda a: np.clip(a, -.7, .9),
           {"low": np.float32(-.7), "high": np.float32(.9)})
    yield "Where", [node("Greater", ["a", "b"], "c"), node("Where", ["c", "a", "b"], "y")], \
        {"a": floats(3, 4), "b": floats(4)}, np.maximum, {}
    yield ("net", [node("Gemm", ["x", "w", "b"], "h", transB=1, alpha=.5), node("Tanh", ["h"], "t"),
                   node("MatMul", ["t", "v"], "l"), node("Softmax", ["l"], "p"), node("Mul", ["p", "k"], "q"),
                   node("ReduceMean", ["q", "axis"], "y", keepdims=0)],
           {"x": floats(5, 3), "w": floats(4, 3), "b": floats(4), "v": floats(4, 2)},
           lambda x, w, b, v: (softmax(np.tanh(.5 * x @ w.T + b) @ v) * [1, 3]).mean(1),
           {"axis": np.array([1]), "k": np.array([1, 3], "f4")})
    yield ("moves", [node("MatMul", ["a", "b"], "m"), node("Transpose", ["m"], "t", perm=[2, 0, 1]),
                     node("Reshape", ["t", "s"], "u"), node("ReduceL2", ["u"], "y")],
           {"a": floats(2, 3, 4), "b": floats(4, 5)}, lambda a, b: np.sqrt(((a @ b) ** 2).sum()), {"s": np.array([5, -1])})
    yield ("sums", [node("ReduceSumSquare", ["a", "axis"], "u", keepdims=0), node("Abs", ["c"], "d"),
                    node("ReduceLogSum", ["d", "axis"], "v", keepdims=0), node("ReduceL1", ["a", "axis"], "w", keepdims=0),
                    node("Sum", ["u", "v", "w"], "y")],
           {"a": floats(3, 4), "c": floats(3, 4)},
           lambda a, c: (a * a).sum(0) + np.log(np.abs(c).sum(0)) + np.abs(a).sum(0), {"axis": np.array([0])})
    yield "apart", [node("Mul", ["a", "a"], "y")], {"a": floats(3), "b": floats(2)}, lambda a, b: a * a, {}


def differences(function, feeds, name):
    out = np.zeros_like(feeds[name])
    for i in np.ndindex(*out.shape):
        side = []
        for step in (STEP, -STEP):
            moved = {k: v.copy() for k, v in feeds.items()}
            moved[name][i] += step
            side.append(np.sum(function(*moved.values())))
        out[i] = (side[0] - side[1]) / (2 * STEP)
    return out


def model(nodes, feeds, constants, **changed):
    names = list(feeds)
    attributes = {"xs": names, "y": "y", **changed}
    gradient = helper.make_node("Gradient", names, [f"d{n}" for n in names], domain="ai.onnx.preview.training", **attributes)
    graph = helper.make_graph(
        [gradient, *nodes], "gradient",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in feeds.items()],
        [helper.make_tensor_value_info(f"d{n}", TensorProto.FLOAT, v.shape) for n, v in feeds.items()],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()])
    return helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.preview.training", 1)])


def agrees(ingot, out, name, nodes, feeds, function, constants):
    feeds = {n: v.astype("f4").astype("f8") for n, v in feeds.items()}
    onnx.save(model(nodes, feeds, constants), out / f"{name}.onnx")
    command = [ingot, "run", out / f"{name}.onnx"]
    for n, v in feeds.items():
        np.save(out / f"{n}.npy", v.astype("f4"))
        command += ["--input", f"{n}={out / (n + '.npy')}", "--output", f"d{n}={out / ('d' + n + '.npy')}"]
    call(command)
    for n in feeds:
        close(np.load(out / f"d{n}.npy"), differences(function, feeds, n).astype("f4"), 2e-3, 1e-4)


def refused(ingot, out):
    feeds = {"a": floats(3)}
    for nodes, changed, status, words in (
            ([node("Neg", ["a"], "y")], {"y": "nowhere"}, 4, "not defined"),
            ([node("Neg", ["a"], "y")], {"xs": ["y"]}, 3, "not the values it names"),
            ([node("CumSum", ["a", "axis"], "y")], {}, 3, "a derivative of this operator")):
        onnx.save(model(nodes, feeds, {"axis": np.array(0)}, **changed), out / "refused.onnx")
        got, said = call([ingot, "run", out / "refused.onnx", "--input", "random"], ok=range(8))
        if got != status or words not in said:
            raise Failed(f"status {got}, wanted {status} and '{words}': {said[-200:]}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ingot, out, counter = sys.argv[1], pathlib.Path(sys.argv[2]), Counter()
    out.mkdir(parents=True, exist_ok=True)
    for name, *case in cases():
        counter.test(name, agrees, ingot, out, name, *case)
    counter.test("refused", refused, ingot, out)
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
