#!/usr/bin/env python3
"""Hostile data through executables: what an input holds may end in the stated result or in a status, never in a trap.

    python tests/hostile/hostile_data.py INGOT OUT [NAME...]

Each case is compiled into an executable, which runs on hostile inputs and must, within 10 seconds, either
    give exactly the stated arrays (Want),
    end with a status that is not 0, below 126, and a message that names the node (Status), or
    do one or the other (Ends), where ONNX states nothing.
Results are stated in ir/sx.def: integers wrap; division by zero gives 0, the least by -1 the least; shifts past the
width give 0 or the sign; float to integer truncates, saturates, and makes NaN 0. Needs numpy and onnx.
Ends with `N passed, N failed, 0 skipped`.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

NAN, INF = float("nan"), float("inf")
I64_MIN, I64_MAX = -(1 << 63), (1 << 63) - 1
BYTES = {"int8": TensorProto.INT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
         "uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16, "uint32": TensorProto.UINT32,
         "uint64": TensorProto.UINT64}
WILD = [NAN, INF, -INF, 1e30, -1e30, 3.9, -3.9, 300, -300, 0.0]


class Case:
    def __init__(self, name, nodes, inputs, outputs, kind, wants=(), dims=None):
        """inputs: name -> array; outputs: name -> (dtype, dims); dims: open dims of inputs, by name."""
        self.name, self.nodes, self.inputs, self.outputs = name, nodes, inputs, outputs
        self.kind, self.wants, self.dims = kind, list(wants), dims or {}

    def model(self):
        def info(name, dtype, dims):
            return helper.make_tensor_value_info(name, dtype, dims)
        inputs = [info(n, helper.np_dtype_to_tensor_dtype(a.dtype), self.dims.get(n, a.shape))
                  for n, a in self.inputs.items()]
        outputs = [info(n, d, s) for n, (d, s) in self.outputs.items()]
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
        model.ir_version = 10
        return model


def node(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), f"the_{op}_{outputs[0]}", **attributes)


def i64(*values):
    return np.array(values, np.int64)


def f32(*values):
    return np.array(values, np.float32)


def truncated(a, b):
    """Division as stated, in Python's unbounded integers."""
    if b == 0:
        return 0, 0
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - quotient * b


def wrapped(values, dtype):
    bits = np.iinfo(dtype).bits
    return np.array([v & ((1 << bits) - 1) for v in values], f"uint{bits}").view(dtype)


def integer_cases():
    for name, dtype in BYTES.items():
        low, high = np.iinfo(name).min, np.iinfo(name).max
        pairs = [(low, -1 if low else 1), (low, 0), (high, 0), (0, 0), (7, 2), (high, high), (low, low), (low, 1)]
        if low:
            pairs += [(-7, 2), (7, -2), (-7, -2), (high, -1)]
        a, b = (np.array(side, name) for side in zip(*pairs))
        quotients, remainders = zip(*(truncated(x, y) for x, y in pairs))
        floored = [r + y if r and (r < 0) != (y < 0) else r for r, (_, y) in zip(remainders, pairs)]
        yield Case(f"divide_{name}",
                   [node("Div", "ab", "q"), node("Mod", "ab", "m"), node("Mod", "ab", "f", fmod=1)],
                   {"a": a, "b": b}, {k: (dtype, [len(pairs)]) for k in "qmf"}, "want",
                   [wrapped(quotients, name), wrapped(floored, name), wrapped(remainders, name)])
    for name in ("uint8", "uint16", "uint32", "uint64"):
        bits, high = np.iinfo(name).bits, np.iinfo(name).max
        amounts = [0, 1, bits - 1, bits, bits + 1, high]
        a, b = np.full(len(amounts), high, name), np.array(amounts, name)
        yield Case(f"shift_{name}", [node("BitShift", "ab", "l", direction="LEFT"),
                                     node("BitShift", "ab", "r", direction="RIGHT")],
                   {"a": a, "b": b}, {k: (BYTES[name], [len(amounts)]) for k in "lr"}, "want",
                   [wrapped([high << s if s < bits else 0 for s in amounts], name),
                    wrapped([high >> s if s < bits else 0 for s in amounts], name)])
    low = np.array([-128, 127, -1], np.int8)
    yield Case("least_int8", [node("Neg", "a", "n"), node("Abs", "a", "b")], {"a": low},
               {k: (TensorProto.INT8, [3]) for k in "nb"}, "want",
               [np.array([-128, -127, 1], np.int8), np.array([-128, 127, 1], np.int8)])


def cast_cases():
    for source in ("float32", "float64"):
        x = np.array(WILD, source)
        wants = []
        for name in BYTES:
            low, high = np.iinfo(name).min, np.iinfo(name).max
            wants.append(np.array([0 if np.isnan(v) else min(max(int(v), low), high) if np.isfinite(v)
                                   else (high if v > 0 else low) for v in WILD], name))
        wants.append(np.array([v != 0 for v in WILD]))
        outputs = {f"to_{n}": (d, [len(x)]) for n, d in [*BYTES.items(), ("bool", TensorProto.BOOL)]}
        yield Case(f"cast_{source}", [node("Cast", ["x"], [n], to=d) for n, (d, _) in outputs.items()],
                   {"x": x}, outputs, "want", wants)
    x = i64(300, -300, 1 << 40, I64_MIN, I64_MAX)
    yield Case("cast_narrow", [node("Cast", "x", [f"to_{n}"], to=d) for n, d in BYTES.items()], {"x": x},
               {f"to_{n}": (d, [5]) for n, d in BYTES.items()}, "want", [wrapped([int(v) for v in x], n) for n in BYTES])
    q = f32(NAN, INF, -INF, 1e30, -1e30, 2.5)
    yield Case("quantize_wild", [node("QuantizeLinear", ["x", "s", "z"], ["y"])],
               {"x": q, "s": np.array(0, np.float32), "z": np.array(3, np.uint8)}, {"y": (TensorProto.UINT8, [6])},
               "ends")


def open_cases():
    """Open dims that do not fit together."""
    a, b = np.ones((4, 5), np.float32), np.ones((3, 2), np.float32)
    yield Case("matmul_open", [node("MatMul", "ab")], {"a": a, "b": b}, {"y": (TensorProto.FLOAT, [4, 2])}, "status",
               dims={"a": ["m", "k"], "b": ["q", "n"]})
    yield Case("matmul_integer_open", [node("MatMulInteger", "abzw")],
               {"a": np.ones((4, 2), np.uint8), "b": np.ones((2, 4), np.uint8), "z": np.ones(2, np.uint8),
                "w": np.ones(3, np.uint8)},
               {"y": (TensorProto.INT32, [4, 4])}, "status", dims={"z": ["zs"], "w": ["ws"]})
    x = np.ones((1, 1, 9), np.float32)
    w = node("Constant", [], ["w"], value=helper.make_tensor("w", TensorProto.FLOAT, [2, 700, 3], [1.0] * 4200))
    yield Case("conv_open", [w, node("Conv", "xw")], {"x": x}, {"y": (TensorProto.FLOAT, [1, 2, 7])}, "status",
               dims={"x": ["n", "c", 9]})
    v = np.ones(3, np.float32)
    yield Case("batch_norm_open", [node("BatchNormalization", "xsbmv")],
               {"x": np.ones((1, 3, 2), np.float32), "s": v, "b": v, "m": np.ones(1, np.float32), "v": v},
               {"y": (TensorProto.FLOAT, [1, 3, 2])}, "status", dims={"m": ["mean"]})
    yield Case("rnn_open", [node("RNN", "xwrb", "yh", hidden_size=2)],
               {"x": np.ones((3, 1, 4), np.float32), "w": np.ones((1, 2, 4), np.float32),
                "r": np.ones((1, 2, 2), np.float32), "b": np.ones((1, 1), np.float32)},
               {"y": (TensorProto.FLOAT, [3, 1, 1, 2]), "h": (TensorProto.FLOAT, [1, 1, 2])}, "status",
               dims={"b": [1, "bias"]})
    yield Case("concat_open", [node("Neg", "a", "c"), node("Neg", "b", "d"), node("Concat", "cd", axis=1)],
               {"a": np.ones((1, 2), np.float32), "b": np.ones((700, 3), np.float32)},
               {"y": (TensorProto.FLOAT, [1, 5])}, "status", dims={"b": ["n", 3]})


def index_cases():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for far in (3, -4, 1 << 40, I64_MIN, I64_MAX):
        tag = f"{far}".replace("-", "minus_")
        yield Case(f"gather_{tag}", [node("Gather", "xi")], {"x": x, "i": i64(0, far)},
                   {"y": (TensorProto.FLOAT, [2, 4])}, "status")
        yield Case(f"gather_elements_{tag}", [node("GatherElements", "xi")],
                   {"x": x, "i": i64(0, far, 1, 1).reshape(1, 4)}, {"y": (TensorProto.FLOAT, [1, 4])}, "status")
        yield Case(f"scatter_elements_{tag}", [node("ScatterElements", "xiu")],
                   {"x": x, "i": i64(0, far, 1, 1).reshape(1, 4), "u": np.ones((1, 4), np.float32)},
                   {"y": (TensorProto.FLOAT, [3, 4])}, "status")
    yield Case("gather_nd", [node("GatherND", "xi")], {"x": x, "i": i64(0, 99).reshape(1, 2)},
               {"y": (TensorProto.FLOAT, [1])}, "status")
    yield Case("scatter_nd", [node("ScatterND", "xiu")],
               {"x": x, "i": i64(-77).reshape(1, 1), "u": f32(1, 2, 3, 4).reshape(1, 4)}, {"y": (TensorProto.FLOAT, [3, 4])}, "status")
    yield Case("gather_from_the_end", [node("Gather", "xi")], {"x": x, "i": i64(-1, -3)},
               {"y": (TensorProto.FLOAT, [2, 4])}, "want", [x[[-1, -3]]])
    hot = np.zeros((5, 3), np.float32)
    hot[1, 2] = hot[4, 0] = 1
    yield Case("one_hot_far", [node("OneHot", "ydv", "o")],
               {"y": i64(99, 2, I64_MIN, 3, -3), "d": i64(3), "v": f32(0, 1)}, {"o": (TensorProto.FLOAT, [5, "d"])}, "want",
               [hot], {"d": [1]})
    yield Case("cumsum_axis", [node("CumSum", "xa")], {"x": x, "a": np.array(7, np.int64)},
               {"y": (TensorProto.FLOAT, [3, 4])}, "status")
    yield Case("reverse_lengths", [node("ReverseSequence", "xl")], {"x": x, "l": i64(99, -1, 0, 2)},
               {"y": (TensorProto.FLOAT, [3, 4])}, "ends")
    yield Case("grid_wild", [node("GridSample", "xg")],
               {"x": x.reshape(1, 1, 3, 4), "g": f32(NAN, 0, INF, 0, 1e30, -1e30, -INF, NAN).reshape(1, 2, 2, 2)},
               {"y": (TensorProto.FLOAT, [1, 1, 2, 2])}, "ends")
    yield Case("roi_wild", [node("RoiAlign", "xrb", output_height=2, output_width=2)],
               {"x": x.reshape(1, 1, 3, 4), "r": f32(NAN, 0, 1e30, INF, 0, 0, -1e30, 1).reshape(2, 4), "b": i64(0, 9)},
               {"y": (TensorProto.FLOAT, [2, 1, 2, 2])}, "ends")
    boxes = np.array([[[NAN, 0, 1, 1], [INF, -INF, 0, 0], [0, 0, 1, 1]]], np.float32)
    yield Case("nms_wild", [node("NonMaxSuppression", "bsmio")],
               {"b": boxes, "s": np.array([[[0.5, NAN, INF]]], np.float32), "m": i64(I64_MAX), "i": f32(NAN),
                "o": f32(-INF)},
               {"y": (TensorProto.INT64, ["n", 3])}, "ends")


def size_cases():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    two, any_two = {"y": (TensorProto.FLOAT, ["a", "b"])}, ["a", "b"]
    shapes = {"wrong": (7, 7), "negative": (-5, 1), "two_open": (-1, -1), "huge": (1 << 40, 1 << 40),
              "open_huge": (-1, I64_MAX)}
    for tag, s in shapes.items():
        yield Case(f"reshape_{tag}", [node("Reshape", "xs")], {"x": x, "s": i64(*s)}, two, "status")
    for tag, s in {"mismatch": (2, 5), "negative": (-2, 3), "huge": (1 << 40, 1 << 22)}.items():
        yield Case(f"expand_{tag}", [node("Expand", "xs")],
                   {"x": x[:1, :1] if tag == "huge" else x, "s": i64(*s)}, two, "status")
        yield Case(f"constant_of_shape_{tag}", [node("ConstantOfShape", "s")], {"s": i64(*s)}, two,
                   "ends" if tag == "mismatch" else "status")
        yield Case(f"tile_{tag}", [node("Tile", "xs")], {"x": x, "s": i64(*s)}, two,
                   "ends" if tag == "mismatch" else "status")
    yield Case("expand_other_rank", [node("Expand", "xs")], {"x": x, "s": i64(4, 2, 3)},
               {"y": (TensorProto.FLOAT, ["a", "b", "c"])}, "want", [np.broadcast_to(x, (4, 2, 3))])
    wild = {"s": i64(I64_MIN, I64_MAX), "e": i64(I64_MAX, I64_MIN), "a": i64(0, 1), "t": i64(1, -1)}
    yield Case("slice_wild", [node("Slice", "xseat")], {"x": x, **wild}, two, "want", [x[:, ::-1]])
    yield Case("slice_step_zero", [node("Slice", "xseat")], {"x": x, **wild, "t": i64(1, 0)}, two, "status")
    yield Case("slice_step_least", [node("Slice", "xseat")], {"x": x, **wild, "t": i64(I64_MAX, I64_MIN)}, two, "want",
               [x[:1, 2:]])
    yield Case("slice_axis", [node("Slice", "xseat")], {"x": x, **wild, "a": i64(0, 9)}, two, "status")
    for tag, values in {"step_zero": (0, 5, 0), "huge": (0, I64_MAX, 1), "wraps": (I64_MIN, I64_MAX, 1)}.items():
        yield Case(f"range_{tag}", [node("Range", "abc")], dict(zip("abc", (np.array(v, np.int64) for v in values))),
                   {"y": (TensorProto.INT64, ["n"])}, "status" if tag == "huge" else "ends")
    yield Case("range_nan", [node("Range", "abc")], dict(zip("abc", (np.array(v, np.float32) for v in (0, NAN, 1)))),
               {"y": (TensorProto.FLOAT, ["n"])}, "ends")
    for tag, k in {"negative": -1, "too_many": 9}.items():
        yield Case(f"topk_{tag}", [node("TopK", "xk", "yi")], {"x": x, "k": i64(k)},
                   {"y": (TensorProto.FLOAT, any_two), "i": (TensorProto.INT64, any_two)}, "status")
    for tag, s in {"sum": (5, 5), "negative": (-1, 3)}.items():
        yield Case(f"split_{tag}", [node("Split", "xs", "yz", axis=0)], {"x": x, "s": i64(*s)},
                   {k: (TensorProto.FLOAT, any_two) for k in "yz"}, "status")
    for tag, p in {"negative": (-9, 0, 0, 0), "huge": (1 << 62, 0, 1 << 62, 0)}.items():
        yield Case(f"pad_{tag}", [node("Pad", "xp")], {"x": x, "p": i64(*p)}, two,
                   "ends" if tag == "negative" else "status")
    yield Case("reflect_far", [node("Pad", "xp", mode="reflect")], {"x": x, "p": i64(0, 50, 0, 50)}, two, "ends")
    image = x.reshape(1, 1, 2, 3)
    scales = {"nan": (1, 1, NAN, 1), "infinite": (1, 1, INF, 1), "negative": (1, 1, -2, 1), "huge": (1, 1, 1e18, 1)}
    for tag, s in scales.items():
        yield Case(f"resize_{tag}", [node("Resize", ["x", "", "s"])], {"x": image, "s": f32(*s)},
                   {"y": (TensorProto.FLOAT, ["a", "b", "c", "d"])}, "status")
    yield Case("unsqueeze_axis", [node("Unsqueeze", "xa")], {"x": x, "a": i64(9)},
               {"y": (TensorProto.FLOAT, ["a", "b", "c"])}, "status")


def float_cases():
    x = f32(NAN, INF, -INF, 0, -0.0, 1e-45, 3.4e38, -1)
    ops = ("Exp", "Log", "Sqrt", "Sin", "Cos", "Tanh", "Erf", "Sigmoid", "Reciprocal", "Floor", "Round", "Softplus")
    yield Case("functions_wild", [node(op, "x", [f"y_{op}"]) for op in ops], {"x": x},
               {f"y_{op}": (TensorProto.FLOAT, [8]) for op in ops}, "ends")
    yield Case("orders_wild", [node("ArgMax", "x", "a", axis=0, keepdims=0), node("Softmax", "x", "s", axis=0),
                               node("ReduceMax", "x", "m", keepdims=0), node("NonZero", "x", "n"),
                               node("IsNaN", "x", "i")], {"x": x},
               {"a": (TensorProto.INT64, []), "s": (TensorProto.FLOAT, [8]), "m": (TensorProto.FLOAT, []),
                "n": (TensorProto.INT64, [1, "k"]), "i": (TensorProto.BOOL, [8])}, "ends")
    yield Case("sort_nan", [node("TopK", "xk", "yi")], {"x": x, "k": i64(8)},
               {"y": (TensorProto.FLOAT, ["k"]), "i": (TensorProto.INT64, ["k"])}, "ends")
    yield Case("fmod_wild", [node("Mod", "ab", fmod=1)], {"a": f32(5, INF, NAN, 5), "b": f32(0, 2, 1, INF)},
               {"y": (TensorProto.FLOAT, [4])}, "want", [f32(NAN, NAN, NAN, 5)])
    yield Case("power_wild", [node("Pow", "ab")], {"a": f32(NAN, 1, 0, -8, INF), "b": f32(0, NAN, -1, 1 / 3, 0)},
               {"y": (TensorProto.FLOAT, [5])}, "want", [f32(1, 1, INF, NAN, 1)])
    yield Case("integer_power", [node("Pow", "ab")],
               {"a": np.array([2, 0, -2, 2], np.int32), "b": np.array([-1, -1, 63, 31], np.int32)}, {"y": (TensorProto.INT32, [4])}, "ends")


def control_cases():
    body = helper.make_graph(
        [node("Add", "vx", "w"), node("Less", "wl", "g"), node("Identity", "g", ["go"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("c", TensorProto.BOOL, []),
         helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])])
    for tag, trips, want in (("negative", -5, f32(0)), ("least", I64_MIN, f32(0)), ("endless", I64_MAX, f32(10))):
        yield Case(f"loop_{tag}", [node("Loop", ["m", "t", "s"], body=body)],
                   {"m": np.array(trips, np.int64), "t": np.array(True), "s": f32(0), "x": f32(1), "l": f32(10)},
                   {"y": (TensorProto.FLOAT, [1])}, "want", [want])


def all_cases():
    for group in (integer_cases, cast_cases, open_cases, index_cases, size_cases, float_cases, control_cases):
        yield from group()


def run(command, folder):
    """(exit status or -signal, what it said)"""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=10, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return -14, "not within 10 seconds"
    return done.returncode, (done.stderr + done.stdout).decode(errors="replace").strip()


def same(got, want):
    return got.shape == want.shape and got.dtype == want.dtype and np.array_equal(
        got, want, equal_nan=want.dtype.kind == "f")


def check(case, ingot, out):
    """None when all is well, else what is wrong."""
    folder = out / case.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("out_*.npy"):
        old.unlink()
    onnx.save(case.model(), folder / "model.onnx")
    status, said = run([ingot, "compile", "model.onnx", "-o", "model"], folder)
    if status:
        return f"compile ended with {status}: {said[:300]}"
    command = ["./model"]
    for name, array in case.inputs.items():
        np.save(folder / f"in_{name}.npy", array)
        command += ["--input", f"{name}=in_{name}.npy"]
    for name in case.outputs:
        command += ["--output", f"{name}=out_{name}.npy"]
    status, said = run(command, folder)
    if status < 0 or status >= 126:
        return f"ended by a signal or with {status}: {said[:300]}"
    if case.kind == "status" and status == 0:
        return "gave a result where an error is stated"
    if case.kind == "status" and "the_" not in said:
        return f"status {status}, but the message names no node: {said[:300]}"
    if status and case.kind == "want":
        return f"status {status}: {said[:300]}"
    if status:
        return None if said else f"status {status} without a word"
    for name, want in zip(case.outputs, case.wants):
        got = np.load(folder / f"out_{name}.npy")
        if not same(got, want):
            return (f"output {name}: got {got.dtype}{list(got.shape)} {got.ravel()[:12]}, "
                    f"want {want.dtype}{list(want.shape)} {want.ravel()[:12]}")
    return None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    ingot, out = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    cases = [c for c in all_cases() if not sys.argv[3:] or c.name in sys.argv[3:]]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, wrong in zip(cases, pool.map(lambda c: check(c, ingot, out), cases)):
            if wrong:
                failed += 1
                print(f"FAIL {case.name}: {wrong}")
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
