#!/usr/bin/env python3
"""No hot loop touches the stack: every level, alone and behind a wider one whose packed weights it shares.

    python tests/artifacts/hot_loops.py INGOT OUT

Products, convolutions, depthwise convolutions and products of bytes, of shapes that take every form of tile, are
compiled into objects and disassembled. In each innermost loop (a backward jump without another one inside) that
multiplies and adds vectors, no operand may lie on the stack; but the rows of a tile that go through an epilogue with a
division come from there. A long product of bytes on tiles of AMX calls what stores rows of the tile before. Needs
objdump; runs nothing, so that every level is covered on every machine.
"""
import pathlib
import re
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artifact import Counter, Failed, call

# level -> what multiplies and adds there: floats, bytes
LEVELS = {
    "x86-64-amx": (r"vfn?madd\d+ps", r"tdpb[us]sd|vpdpbusd"),
    "x86-64-v4-vnni": (r"vfn?madd\d+ps", r"vpdpbusd"),
    "x86-64-v4": (r"vfn?madd\d+ps", r"vpmaddwd"),
    "x86-64-v3-vnni": (r"vfn?madd\d+ps", r"vpdpbusd"),
    "x86-64-v3": (r"vfn?madd\d+ps", r"vpmaddwd"),
    "x86-64-v2": (r"mulps", r"pmaddwd"),
}
PAIRS = [("x86-64-v4", "x86-64-v3"), ("x86-64-v4", "x86-64-v2"), ("x86-64-v3", "x86-64-v2"),
         ("x86-64-amx", "x86-64-v4-vnni"), ("x86-64-v4-vnni", "x86-64-v3-vnni"), ("x86-64-v4-vnni", "x86-64-v4")]
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(?:\{vex\} )?(\S+)\s*(.*)$")


def model_of(nodes, inputs, weights, outputs):
    graph = helper.make_graph(nodes, "model", [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
                              [helper.make_tensor_value_info(n, t, None) for n, t in outputs],
                              [numpy_helper.from_array(w, n) for n, w in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def product(m, n, k, constant=True):
    """m x k times k x n with bias and ReLU; constant: the second operand is known."""
    rng, f32 = np.random.default_rng(1), TensorProto.FLOAT
    weights = {"b": rng.standard_normal((k, n), np.float32)} if constant else {}
    inputs = [("a", f32, (m, k))] + ([] if constant else [("b", f32, (k, n))])
    return model_of([helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("Relu", ["c"], ["y"])], inputs,
                    weights, [("y", f32)])


def gated(m, n, k):
    """A product and x sigmoid(x): an epilogue of many constants."""
    rng, f32 = np.random.default_rng(4), TensorProto.FLOAT
    nodes = [helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("Sigmoid", ["c"], ["s"]),
             helper.make_node("Mul", ["c", "s"], ["y"])]
    return model_of(nodes, [("a", f32, (m, k))], {"b": rng.standard_normal((k, n), np.float32)}, [("y", f32)])


def window(channels, features, size, kernel, stride=1, group=1, batch=1, before=False):
    """A convolution with bias and ReLU; before: behind another one, so that channels are innermost."""
    rng, f32 = np.random.default_rng(2), TensorProto.FLOAT
    w = rng.standard_normal((features, channels // group, kernel, kernel), np.float32)
    pad = kernel // 2
    conv = helper.make_node("Conv", ["x", "w", "c"], ["h"], strides=[stride] * 2, pads=[pad] * 4, group=group)
    weights = {"w": w, "c": rng.standard_normal(features, np.float32)}
    nodes = [conv, helper.make_node("Relu", ["h"], ["y"])]
    if before:
        weights["v"] = rng.standard_normal((channels, 8, 1, 1), np.float32)
        conv.input[0] = "g"
        nodes.insert(0, helper.make_node("Conv", ["x", "v"], ["g"]))
    return model_of(nodes, [("x", f32, (batch, 8 if before else channels, size, size))], weights, [("y", f32)])


def integers(m, n, k, signed, known=True):
    rng = np.random.default_rng(3)
    if not known:
        return model_of([helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
                        [("a", TensorProto.UINT8, (m, k)), ("b", TensorProto.INT8, (k, n))], {},
                        [("y", TensorProto.INT32)])
    return model_of([helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
                    [("a", TensorProto.INT8 if signed else TensorProto.UINT8, (m, k))],
                    {"b": rng.integers(-127, 127, (k, n), np.int8)}, [("y", TensorProto.INT32)])


MODELS = {
    **{f"product {m}x{n}x{k}": product(m, n, k)
       for m, n, k in ((1, 1000, 512), (2, 96, 64), (3, 256, 128), (4, 200, 64), (8, 64, 64), (13, 100, 64), (14, 32, 64),
                       (49, 512, 512), (128, 768, 768), ("m", 64, 64), ("m", 100, 64))},
    "product of two inputs": product(64, 96, 80, False),
    **{f"product of two inputs, {m} rows": product(m, 100, 80, False) for m in (3, 8)},
    "product of two open inputs": product("m", "n", "k", False),
    **{f"window {'x'.join(map(str, a))}": window(*a)
       for a in ((64, 64, 56, 3), (256, 64, 28, 1), (512, 512, 7, 3), (3, 64, 112, 7, 2), (128, 256, 14, 1, 2),
                 (16, 24, 9, 3), (32, 4, 20, 3), (64, 64, 14, 3, 1, 4), (16, 3, 60, 9), (16, 1, 60, 3),
                 (16, 8, 60, 3))},
    "product of many constants": gated(56, 144, 24),
    "depthwise 3": window(96, 96, 28, 3, 1, 96, before=True),
    "depthwise 9": window(40, 40, 15, 9, 1, 40, before=True),
    "depthwise 5": window(40, 40, 15, 5, 2, 40, before=True),
    **{f"planes {'x'.join(map(str, a))}": window(a[0], a[0], *a[1:], group=a[0])
       for a in ((96, 28, 3), (40, 39, 5, 2), (16, 56, 7), (8, 40, 31), (4, 300, 3), (8, "n", 3))},
    **{f"bytes {m}x{n}x{k} {'signed' if s else 'unsigned'}": integers(m, n, k, s)
       for m, n, k in ((1, 256, 64), (13, 96, 160), (64, 48, 63), (70, 100, 200), ("m", 64, 128)) for s in (False, True)},
    "bytes 70x100x2048 unsigned, rows behind": integers(70, 100, 2048, False),
    "bytes of two inputs": integers(64, 96, 80, False, False),
}


def functions(text):
    """(name, [(address, mnemonic, operands)]) of each function."""
    name, code = None, []
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        if head:
            if code:
                yield name, code
            name, code = head[1], []
        found = INSTRUCTION.match(line)
        if found:
            code.append((int(found[1], 16), found[2], found[3]))
    if code:
        yield name, code


def innermost_loops(code):
    at = {address: k for k, (address, _, _) in enumerate(code)}
    jumps = []
    for k, (address, mnemonic, operands) in enumerate(code):
        target = re.match(r"([0-9a-f]+)", operands) if mnemonic.startswith("j") else None
        if target and int(target[1], 16) <= address and int(target[1], 16) in at:
            jumps.append((at[int(target[1], 16)], k))
    for first, last in jumps:
        if not any((f, k) != (first, last) and first <= f and k <= last for f, k in jumps):
            yield code[first:last + 1]


def hot_loops(text, work):
    """Number of loops that do `work`, of at least two instructions; none with an operand on the stack."""
    n, bad = 0, []
    for name, code in functions(text):
        framed = any(m == "mov" and o == "%rsp,%rbp" for _, m, o in code)
        on_stack = re.compile(r"%rsp|\(%rbp" if framed else r"%rsp")
        for loop in innermost_loops(code):
            count = sum(bool(re.fullmatch(work, m)) for _, m, _ in loop)
            if count < 2 or any(m.startswith("vdiv") or m.startswith("div") for _, m, _ in loop):
                continue
            n += 1
            stack = [f"{a:x}: {m} {o}" for a, m, o in loop if on_stack.search(o)]
            if stack:
                bad.append(f"{name}, a loop of {len(loop)} instructions with {count} products: {len(stack)} on the "
                           f"stack: {stack[0]}")
    if bad:
        raise Failed("; ".join(bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else ""))
    return n


def stores_behind(text):
    """Whether a loop of products of tiles calls what stores rows."""
    return any({"call", "tdpbusd"} <= {m for _, m, _ in loop} for _, code in functions(text)
               for loop in innermost_loops(code))


def disassembled(ingot, model, target, out):
    call([ingot, "compile", model, "--emit", "obj", "-o", out / "model.o", "--target", target])
    return subprocess.run(["objdump", "-d", "--no-show-raw-insn", out / "model.o"], check=True, capture_output=True,
                          text=True).stdout


def of_level(text, level):
    """Functions of one level of an object with several."""
    mark = "_" + level.removeprefix("x86-64-").replace("-", "_") + "_k"
    return "\n".join(line for part in re.split(r"\n(?=[0-9a-f]+ <)", text)
                     if mark in part.splitlines()[0] for line in part.splitlines())


def one(ingot, model, level, lead, kind, behind, out):
    target = f"{lead},{level}" if lead else level
    text = disassembled(ingot, model, target, out)
    if lead:
        text = of_level(text, level)
    if hot_loops(text, LEVELS[level][kind]) == 0:
        raise Failed("no hot loop was found")
    if behind and level.endswith("amx") and not stores_behind(text):
        raise Failed("no loop of tiles stores rows of the tile before")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ingot, out, counter = sys.argv[1], pathlib.Path(sys.argv[2]), Counter()
    out.mkdir(parents=True, exist_ok=True)
    for name, model in MODELS.items():
        onnx.save(model, out / "model.onnx")
        kind, behind = name.startswith("bytes"), name.endswith("rows behind")
        for level in LEVELS:
            counter.test(f"{name}: {level}", one, ingot, out / "model.onnx", level, None, kind, behind, out)
        for lead, level in PAIRS:
            counter.test(f"{name}: {level} behind {lead}", one, ingot, out / "model.onnx", level, lead, kind, behind, out)
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
