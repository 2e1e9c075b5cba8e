#!/usr/bin/env python3
"""--tune: what it remembers is taken again, and no choice of tiles changes a bit.

    python tests/artifacts/tune_check.py INGOT OUT

A small net of convolutions and a matrix product is tuned with little time; then each choice is written into the file of
what is remembered, and the outputs of all artifacts are compared.
"""
import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artifact import Failed, call, run_exe, run_methods, same_bits

CHOICES = 7


def model(path):
    rng = np.random.default_rng(1)
    weights = {"a": (40, 3, 3, 3), "b": (72, 40, 3, 3), "c": (100, 72, 1, 1), "d": (100, 37)}
    nodes = [helper.make_node("Conv", ["x", "a"], ["p"], pads=[1] * 4), helper.make_node("Relu", ["p"], ["q"]),
             helper.make_node("Conv", ["q", "b"], ["r"], strides=[2, 2]), helper.make_node("Conv", ["r", "c"], ["s"]),
             helper.make_node("GlobalAveragePool", ["s"], ["t"]), helper.make_node("Flatten", ["t"], ["u"]),
             helper.make_node("MatMul", ["u", "d"], ["y"])]
    graph = helper.make_graph(
        nodes, "tune", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 3, 20, 20))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 37)),
         helper.make_tensor_value_info("s", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(rng.standard_normal(d).astype("f4"), n) for n, d in weights.items()])
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]), path)


class Tests:
    def __init__(self, ingot, out):
        self.ingot, self.out, self.file = ingot, out, out / "tiles"
        model(out / "model.onnx")
        self.x = np.random.default_rng(2).standard_normal((2, 3, 20, 20)).astype("f4")
        self.want = run_exe(self._compile("plain"), {"x": self.x}, ["y", "s"], out)

    def _compile(self, name, *options):
        call([self.ingot, "compile", self.out / "model.onnx", "-o", self.out / name, *options])
        return self.out / name

    def _tuned(self, name):
        return self._compile(name, "--tune", "--tune-seconds", "1", "--tune-file", self.file, "--name", "m")

    def remembers(self):
        self.file.unlink(missing_ok=True)
        first = self._tuned("first").read_bytes()
        lines = self.file.read_text()
        if not re.fullmatch(r"([0-9a-f]{32} [0-9]+\n)+", lines) or lines.count("\n") < 3:
            raise Failed(f"the file says {lines!r}")
        if self._tuned("again").read_bytes() != first:
            raise Failed("another artifact the second time")
        if self.file.read_text() != lines:
            raise Failed("measured again what was known")

    def bits(self):
        lines = self.file.read_text()
        made = set()
        for choice in range(CHOICES):
            self.file.write_text(re.sub(r" [0-9]+\n", f" {choice}\n", lines))
            exe = self._tuned(f"choice{choice}")
            made.add(exe.read_bytes())
            same_bits(f"choice {choice}", run_exe(exe, {"x": self.x}, ["y", "s"], self.out), self.want)
        if len(made) < 4:
            raise Failed("the choices make no difference")

    def odd_files(self):
        lines = self.file.read_text()
        digest = lines[:32]
        if self.file.read_text().count("\n") < 3:
            raise Failed("the file lost lines")
        self.file.write_text(f"rubbish\n{digest}\n{digest} 99\n{digest} -1\n\x00\n")
        self._tuned("odd")
        refused = [self.ingot, "compile", self.out / "model.onnx", "-o", self.out / "none", "--tune"]
        call([*refused, "--tune-file", self.out / "no" / "such" / "tiles"], ok=(5,))
        call([*refused, "--tune-seconds", "0"], ok=(2,))
        if (self.out / "none").exists():
            raise Failed("a refused compilation wrote its artifact")


if __name__ == "__main__":
    run_methods(Tests, __doc__)
