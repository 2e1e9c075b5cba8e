#!/usr/bin/env python3
"""A seeded sample of the ONNX node tests as standalone executables, their outputs compared by numpy.

    python tests/artifacts/exe_sample.py INGOT NODE_TESTS OUT [--count 100] [--seed 1]

Taken are tests whose inputs and outputs are all tensors that numpy has a type for, and whose results follow from the
inputs (no random numbers). What the compiler says it does not
support (exit status 3) is passed over, until --count are compiled.
"""
import argparse
import pathlib
import random
import sys

import onnx
from onnx import TensorProto

from artifact import Counter, Failed, call, close, run_exe, test_set

KNOWN = {TensorProto.DataType.Value(n) for n in (
    "FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL")}
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}


def suits(folder):
    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    if any(n.op_type in RANDOM or (n.op_type == "Dropout" and len(n.input) > 2) for n in graph.node):
        return False
    values = [*graph.input, *graph.output]
    return graph.output and all(v.type.HasField("tensor_type") and v.type.tensor_type.elem_type in KNOWN and v.name
                                for v in values)


def check(exe, folder, out):
    inputs, outputs = test_set(folder)
    got = run_exe(exe, inputs, list(outputs), out)
    for (name, want), array in zip(outputs.items(), got):
        try:
            close(array, want, 1e-3, 1e-7)
        except Failed as error:
            raise Failed(f"output {name}: {error}") from None


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("ingot")
    args.add_argument("tests", type=pathlib.Path)
    args.add_argument("out", type=pathlib.Path)
    args.add_argument("--count", type=int, default=100)
    args.add_argument("--seed", type=int, default=1)
    args = args.parse_args()
    folders = sorted(p for p in args.tests.iterdir() if (p / "model.onnx").exists())
    random.Random(args.seed).shuffle(folders)
    counter, taken, passed_over = Counter(), 0, 0
    for folder in filter(suits, folders):
        if taken == args.count:
            break
        out = args.out / folder.name
        out.mkdir(parents=True, exist_ok=True)

        def compiled():
            return call([args.ingot, "compile", folder / "model.onnx", "-o", out / "exe"], ok=(0, 3))[0]
        status = counter.test(f"{folder.name}: compile", compiled)
        if status == 3:
            counter.passed -= 1
            passed_over += 1
            continue
        taken += 1
        if status == 0:
            counter.passed -= 1  # one test: compiled and right
            counter.test(folder.name, check, out / "exe", folder, out)
    print(f"passed over as not supported: {passed_over}")
    if taken < args.count:
        counter.failed += 1
        print(f"FAIL only {taken} of {args.count} could be taken")
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
