#!/usr/bin/env python3
"""Random programs on sequences and optionals, through generated code and through the evaluator.

    python tests/random/random_sequences.py INGOT OUT [--count N] [--seed S]

Each seed gives one model: a chain of sequence operators, branches and loops on a sequence and a tensor from outside,
with positions that are constants or inputs, of either sign. What it must give is worked out here with Python lists as
it is made, so that positions are valid for the recorded inputs. All folders then go through `ingot test` with every row
of CONFIGURATIONS. Ends with `N passed, N failed, 0 skipped`. Needs numpy and onnx.
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
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
CONFIGURATIONS = ["", "-O0 --no-fold --verify-each", "--skip-pass cse,simplify,fold,dce", "--eval"]


class Program:
    def __init__(self, seed):
        self.r, self.np = random.Random(seed), np.random.default_rng(seed)
        self.words = self.r.random() < 0.2
        self.width = self.r.randint(1, 3)
        self.nodes, self.inputs, self.constants, self.count = [], [], [], 0
        self.sequences, self.tensors, self.results = [], [], []
        self.open = self.r.random() < 0.5
        self.sequences.append(("x", [self.array(self.r.randint(0, 3)) for _ in range(self.r.randint(0, 4))]))
        self.inputs.append((self.sequence_info("x"), self.sequences[0][1]))
        self.tensors.append(("v", self.array(self.r.randint(1, 4))))
        shape = [None, self.width] if self.open else list(self.tensors[0][1].shape)
        self.inputs.append((helper.make_tensor_value_info("v", self.dtype(), shape), self.tensors[0][1]))

    # ---- values

    def dtype(self):
        return TensorProto.STRING if self.words else TensorProto.FLOAT

    def array(self, rows):
        if self.words:
            return np.array([self.r.choice(["", "a", "zwei", "trois"]) for _ in range(rows * self.width)],
                            dtype=object).reshape(rows, self.width)
        return (self.np.integers(-12, 13, (rows, self.width)) / 4).astype(np.float32)

    def sequence_info(self, name, shape=(None, None)):
        return helper.make_tensor_sequence_value_info(name, self.dtype(), list(shape))

    def name(self):
        self.count += 1
        return f"t{self.count}"

    def node(self, op, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [self.name()], **attributes))
        return self.nodes[-1].output[0]

    def number(self, value, dtype=np.int64):
        """A constant, or an input."""
        name, value = self.name(), np.array(value, dtype)
        if self.r.random() < 0.5:
            self.constants.append(numpy_helper.from_array(value, name))
        else:
            info = helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [])
            self.inputs.append((info, value))
        return name

    def position(self, length, most):
        at = self.r.randint(-length, most)
        return self.number(at, self.r.choice([np.int64, np.int32])), at + length if at < 0 else at

    # ---- operators: each gives what comes out

    def insert(self):
        (s, a), (t, v) = self.r.choice(self.sequences), self.r.choice(self.tensors)
        if self.r.random() < 0.3:
            return self.node("SequenceInsert", [s, t]), a + [v]
        p, at = self.position(len(a), len(a))
        return self.node("SequenceInsert", [s, t, p]), a[:at] + [v] + a[at:]

    def erase(self):
        s, a = self.r.choice(self.sequences)
        if not a:
            return None
        if self.r.random() < 0.3:
            return self.node("SequenceErase", [s]), a[:-1]
        p, at = self.position(len(a), len(a) - 1)
        return self.node("SequenceErase", [s, p]), a[:at] + a[at + 1:]

    def at(self):
        s, a = self.r.choice(self.sequences)
        if not a:
            return None
        p, at = self.position(len(a), len(a) - 1)
        return self.node("SequenceAt", [s, p]), a[at]

    def length(self):
        s, a = self.r.choice(self.sequences)
        self.results.append((helper.make_tensor_value_info(self.node("SequenceLength", [s]), TensorProto.INT64, []),
                             np.array(len(a), np.int64)))

    def concat(self):
        s, a = self.r.choice(self.sequences)
        if not a:
            return None
        return self.node("ConcatFromSequence", [s], axis=self.r.choice([0, -2])), np.concatenate(a)

    def construct(self):
        parts = [self.r.choice(self.tensors) for _ in range(self.r.randint(1, 3))]
        return self.node("SequenceConstruct", [n for n, _ in parts]), [v for _, v in parts]

    def empty(self):
        return self.node("SequenceEmpty", [], dtype=self.dtype()), []

    def split(self):
        t, v = self.r.choice(self.tensors)
        axis = self.r.choice([0, 1])
        each = self.r.choice([None, 1, 2, 3])
        inputs = [t] if each is None else [t, self.number(each)]
        parts = [np.take(v, range(i, min(i + (each or 1), v.shape[axis])), axis)
                 for i in range(0, v.shape[axis], each or 1)]
        return self.node("SplitToSequence", inputs, axis=self.r.choice([axis, axis - 2])), parts

    def optional(self):
        s, a = self.r.choice(self.sequences)
        return self.node("OptionalGetElement", [self.node("Optional", [s])]), a

    def branch(self):
        """One of two sequences, or an optional that may be empty with what a third graph makes of it."""
        (s, a), (u, b), (t, v) = self.r.choice(self.sequences), self.r.choice(self.sequences), self.r.choice(self.tensors)
        yes, taken, x, y = self.r.random() < 0.5, self.name(), self.name(), self.name()
        self.inputs.append((helper.make_tensor_value_info(taken, TensorProto.BOOL, []), np.array(yes)))
        if self.r.random() < 0.5:
            first = helper.make_graph([helper.make_node("Identity", [s], [x])], "a", [], [self.sequence_info(x)])
            other = helper.make_graph([helper.make_node("SequenceInsert", [u, t], [y])], "b", [],
                                      [self.sequence_info(y)])
            return self.node("If", [taken], then_branch=first, else_branch=other), a if yes else b + [v]
        kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(self.dtype(), None))
        info = [helper.make_value_info(n, helper.make_optional_type_proto(kind)) for n in (x, y)]
        first = helper.make_graph([helper.make_node("Optional", [s], [x])], "a", [], info[:1])
        other = helper.make_graph([helper.make_node("Optional", [], [y], type=kind)], "b", [], info[1:])
        held = self.node("If", [taken], then_branch=first, else_branch=other)
        there, x, y = self.node("OptionalHasElement", [held]), self.name(), self.name()
        first = helper.make_graph([helper.make_node("OptionalGetElement", [held], [x])], "a", [],
                                  [self.sequence_info(x)])
        other = helper.make_graph([helper.make_node("SequenceConstruct", [t], [y])], "b", [], [self.sequence_info(y)])
        return self.node("If", [there], then_branch=first, else_branch=other), a if yes else [v]

    def loop(self):
        """Grows a sequence by a part of a tensor each turn, or turns a queue."""
        (s, a), (t, v) = self.r.choice(self.sequences), self.r.choice(self.tensors)
        turns, queue, a = self.r.randint(0, 5), self.r.random() < 0.5, list(a)
        i, go, on, part, carried, more, given, axis, end = (self.name() for _ in range(9))
        one, zero = (helper.make_node("Constant", [], [self.name()], value=numpy_helper.from_array(np.array(k)))
                     for k in ([1], [0]))
        body = [helper.make_node("Identity", [go], [on]), one, zero,
                helper.make_node("Add", [i, one.output[0]], [end]),
                helper.make_node("Slice", [t, zero.output[0], end], [part]),
                helper.make_node("SequenceInsert", [carried, part], [more])]
        if queue:
            place = helper.make_node("Squeeze", [zero.output[0]], [axis])
            body += [place, helper.make_node("SequenceErase", [more, axis], [given])]
        info = [helper.make_tensor_value_info(i, TensorProto.INT64, []),
                helper.make_tensor_value_info(go, TensorProto.BOOL, []), self.sequence_info(carried)]
        last = given if queue else more
        graph = helper.make_graph(body, "body", info,
                                  [helper.make_tensor_value_info(on, TensorProto.BOOL, []), self.sequence_info(last)])
        for k in range(turns):
            a.append(v[:k + 1])
            a = a[1:] if queue else a
        return self.node("Loop", [self.number(turns), "", s], body=graph), a

    def map(self):
        s, a = self.r.choice(self.sequences)
        (t, v), x, y, z = self.r.choice(self.tensors), self.name(), self.name(), self.name()
        info = [helper.make_tensor_value_info(n, self.dtype(), [None, None]) for n in (x, y)]
        graph = helper.make_graph([helper.make_node("Concat", [x, y], [z], axis=0)], "body", info,
                                  [helper.make_tensor_value_info(z, self.dtype(), [None, None])])
        return self.node("SequenceMap", [s, t], body=graph), [np.concatenate([e, v]) for e in a]

    # ---- the whole

    def write(self, folder):
        steps = [self.insert, self.erase, self.at, self.length, self.concat, self.construct, self.empty, self.split,
                 self.optional, self.branch, self.loop, self.map]
        for _ in range(self.r.randint(2, 8)):
            made = self.r.choice(steps)()
            if not made:
                continue
            many = isinstance(made[1], list)
            arrays = made[1] if many else [made[1]]
            if sum(e.size for e in arrays) > 5000:
                continue
            if all(e.shape[1] == self.width for e in arrays):
                (self.sequences if many else self.tensors).append(made)
            elif many:  # parts of rows: nothing more is made of them
                self.results.append((self.sequence_info(made[0]), made[1]))
        for s, a in self.sequences[1:] or self.sequences:
            self.results.append((self.sequence_info(self.node("Identity", [s])), a))
        for t, v in self.tensors[1:]:
            name = self.node("Identity", [t])
            self.results.append((helper.make_tensor_value_info(name, self.dtype(), [None, None]), v))
        graph = helper.make_graph(self.nodes, "sequences", [i for i, _ in self.inputs], [o for o, _ in self.results],
                                  self.constants)
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8),
                  folder / "model.onnx")
        for what, values in (("input", self.inputs), ("output", self.results)):
            for k, (_, value) in enumerate(values):
                (data / f"{what}_{k}.pb").write_bytes(serialized(value))


def serialized(value):
    if isinstance(value, list):
        s = onnx.SequenceProto(elem_type=onnx.SequenceProto.TENSOR)
        s.tensor_values.extend(numpy_helper.from_array(v) for v in value)
        return s.SerializeToString()
    return numpy_helper.from_array(np.asarray(value)).SerializeToString()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("ingot")
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--count", type=int, default=60)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    shutil.rmtree(a.out, ignore_errors=True)
    for seed in range(a.seed, a.seed + a.count):
        Program(seed).write(a.out / f"s{seed}")
    passed = failed = 0
    for options in CONFIGURATIONS:
        command = [a.ingot, "test", str(a.out), *shlex.split(options)]
        text = subprocess.run(command, capture_output=True, text=True).stdout
        print(f"{shlex.join(command)}\n" + "\n".join(line for line in text.splitlines() if line.startswith("FAIL")))
        found = re.search(r"(\d+) passed, (\d+) failed", text)
        passed += int(found[1]) if found else 0
        failed += int(found[2]) if found else 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
