#!/usr/bin/env python3
"""Operators of a user (--op): compiled into executable, shared and static library and object, right and wrong.

    python tests/artifacts/user_op_check.py INGOT OUT

Models are made here; the operators are those of user_op/clip_scale.c.
"""
import pathlib
import subprocess

import numpy as np
import onnx
from onnx import TensorProto, helper

from artifact import Failed, call, close, run_exe, run_methods

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
F, I = TensorProto.FLOAT, TensorProto.INT64


def value(name, dtype=F, dims=("n",)):
    return helper.make_tensor_value_info(name, dtype, dims)


def save(path, nodes, inputs, outputs, declared=()):
    graph = helper.make_graph(nodes, "user", inputs, outputs, value_info=list(declared))
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("my.domain", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def clip_scale(out, name="ClipScale", **attributes):
    attributes = {"scale": 0.5, "range": [-1.0, 2.0], **attributes}
    nodes = [helper.make_node("Neg", ["x"], ["m"]),
             helper.make_node(name, ["m"], ["c"], name="own", domain="my.domain", **attributes),
             helper.make_node("Add", ["c", "c"], ["y"])]
    return save(out / "clip.onnx", nodes, [value("x", F, (2, "n"))], [value("y", F, (2, "n"))])


def every_nth(out, declared=(), kept=("k",), **attributes):
    nodes = [helper.make_node("EveryNth", ["x", "n"], ["e", "count"], domain="my.domain", **attributes),
             helper.make_node("Mul", ["e", "e"], ["y"])]
    return save(out / "nth.onnx", nodes, [value("x", F, ("len",)), value("n", I, ())],
                [value("y", F, kept), value("count", I, ())], declared)


def wanted_clip(x):
    return 2 * np.float32(0.5) * np.clip(-x, np.float32(-1), np.float32(2))


class Tests:
    def __init__(self, ingot, out):
        self.ingot, self.out = ingot, out
        self.object = out / "clip_scale.o"
        call(["cc", "-O2", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", "-c",
              HERE / "user_op" / "clip_scale.c", "-o", self.object])
        self.x = np.arange(-6, 6, dtype=np.float32).reshape(2, 6) / 2

    def _op(self, *names):
        return [word for n in names for word in ("--op", f"my.domain:{n}={self.object}")]

    def _compile(self, model, to, *options):
        call([self.ingot, "compile", model, "-o", self.out / to, *options])
        return self.out / to

    def executable(self):
        exe = self._compile(clip_scale(self.out), "clip", *self._op("ClipScale"))
        close(run_exe(exe, {"x": self.x}, ["y"], self.out)[0], wanted_clip(self.x), 0, 0)

    def sizes_from_data(self):
        x = np.arange(10, dtype=np.float32)
        for attributes, first in (({}, 0), ({"from": "end"}, 9 % 4)):
            declared = [value("e", F, ("k",)), value("count", I, ())]
            exe = self._compile(every_nth(self.out, declared, **attributes), "nth", *self._op("EveryNth", "ClipScale"))
            y, count = run_exe(exe, {"x": x, "n": np.array(4)}, ["y", "count"], self.out)
            close(y, x[first::4] ** 2, 0, 0)
            close(count, np.array(len(x[first::4])), 0, 0)

    def libraries(self):
        model = clip_scale(self.out)
        (self.out / "use.c").write_text('''
#include <stdio.h>
#include "clip.h"
int main(void)
{
    float x[4] = {-4, -1, 0, 3}, y[4];
    ingot_tensor in = {.data = x, .dtype = INGOT_F32, .rank = 2, .dims = {2, 2}};
    ingot_tensor out = {.data = y, .capacity = sizeof y};
    ingot_instance *m;
    if (ingot_create(&clip_model, NULL, &m) || ingot_run(m, &in, &out)) return 1;
    printf("%g %g %g %g\\n", y[0], y[1], y[2], y[3]);
    ingot_destroy(m);
    return 0;
}
''')
        self._compile(model, "clip.h", "--emit", "header", *self._op("ClipScale"))
        for form, name in (("shared", "libclip.so"), ("lib", "libclip.a"), ("obj", "clip.o")):
            made = self._compile(model, name, "--emit", form, *self._op("ClipScale"))
            call(["cc", "-w", f"-I{self.out}", f"-I{ROOT / 'include'}", self.out / "use.c", made, "-lm", "-pthread", "-o",
                  self.out / "use", f"-Wl,-rpath,{self.out}"])
            said = call([self.out / "use"])[1]
            if said != "2 1 -0 -1" and said != "2 1 0 -1":
                raise Failed(f"{form}: said '{said}'")

    def bench_and_run(self):
        np.save(self.out / "x.npy", self.x)
        call([self.ingot, "run", clip_scale(self.out), "--input", f"x={self.out / 'x.npy'}", "--output",
              f"y={self.out / 'y.npy'}", *self._op("ClipScale")])
        close(np.load(self.out / "y.npy"), wanted_clip(self.x), 0, 0)
        for command in ("inspect",), ("check", "--bits"), ("bench", "--dim", "n=8", "--input", "random"):
            call([self.ingot, *command, clip_scale(self.out), *self._op("ClipScale")])

    def _says(self, status, words, *command):
        got, said = call([self.ingot, *command], ok=(0, 1, 2, 3, 4, 5, 6, 7))
        if got != status or words not in said:
            raise Failed(f"status {got}, wanted {status} and '{words}': {said[-300:]}")

    def refusals(self):
        model, nothing = clip_scale(self.out), self.out / "nothing"
        to = ["-o", nothing]
        self._says(3, "--op my.domain:ClipScale=OBJECT.o", "compile", model, *to)
        self._says(2, "--op takes", "compile", model, *to, "--op", "ClipScale=x.o")
        self._says(2, "--op takes", "compile", model, *to, "--op", "my.domain:Clip-Scale=x.o")
        self._says(5, "missing.o", "compile", model, *to, "--op", "my.domain:ClipScale=missing.o")
        self._says(2, "no relocatable object", "compile", model, *to, "--op", f"my.domain:ClipScale={model}")
        self._says(7, "ingot_call_user_Other", "compile", clip_scale(self.out, "Other"), *to, *self._op("Other"))
        clip_scale(self.out, odd=helper.make_tensor("t", F, [1], [1.0]))
        self._says(3, "attribute 'odd'", "compile", model, *to, *self._op("ClipScale"))
        nodes = [helper.make_node("EveryNth", [], ["y"], domain="my.domain")]
        untyped = save(self.out / "untyped.onnx", nodes + [helper.make_node("Neg", ["x"], ["z"])],
                       [value("x")], [value("z")])
        self._says(3, "the type of its result", "compile", untyped, *to, *self._op("EveryNth"))
        if nothing.exists():
            raise Failed("a refused compilation wrote its artifact")

    def failures_when_run(self):
        exe = self._compile(clip_scale(self.out, range=[1.0]), "bad", *self._op("ClipScale"))
        self._fails(exe, {"x": self.x}, "range needs two numbers")
        declared = [value("e", F, (7,)), value("count", I, ())]
        exe = self._compile(every_nth(self.out, declared, (7,)), "wrong", *self._op("EveryNth"))
        x = np.arange(10, dtype=np.float32)
        self._fails(exe, {"x": x, "n": np.array(4)}, "gave a dim of 3, expected 7")
        self._fails(exe, {"x": x, "n": np.array(0)}, "n must be at least 1")

    def _fails(self, exe, inputs, words):
        command = [exe]
        for name, array in inputs.items():
            np.save(self.out / f"{name}.npy", array)
            command += ["--input", f"{name}={self.out / (name + '.npy')}"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
        if done.returncode <= 0 or words not in done.stderr + done.stdout:
            raise Failed(f"status {done.returncode}, wanted a failure and '{words}': {done.stderr[-300:]}")

    def same_bytes_again(self):
        a, b = (self._compile(clip_scale(self.out), n, *self._op("ClipScale"), "--name", "m").read_bytes() for n in "ab")
        if a != b:
            raise Failed("compiled twice, two artifacts")


if __name__ == "__main__":
    run_methods(Tests, __doc__)
