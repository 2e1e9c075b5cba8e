#!/usr/bin/env python3
"""ResNet-50 with random weights: time and memory of compiling, the plan, right numbers at batch 1, 4 and an open batch.

    python tests/artifacts/resnet50_check.py INGOT OUT

Numbers are held against the `onnx` package's reference evaluator at 64x64 pixels, the batches against each other bit
for bit. Compiling 224x224 must take under 10 s and under 3 times the model in memory; `ingot compile --json` gives the
plan and its lower bound, which must be within 1.1.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from artifact import Counter, Failed, call, close, compile_exe, measured, run_exe, same_bits  # noqa: E402
from resnet50 import resnet50  # noqa: E402


def compiles_in_bounds(ingot, out):
    model = out / "resnet50.onnx"
    onnx.save(resnet50(1, 224), model)
    seconds, peak = measured([ingot, "compile", model, "-o", out / "resnet50"])
    size = model.stat().st_size
    print(f"compiling ResNet-50: {seconds:.1f} s, {peak >> 20} MiB, {peak / size:.2f} x the model")
    if seconds > 10:
        raise Failed(f"{seconds:.1f} s, at most 10")
    if peak > 3 * size:
        raise Failed(f"{peak / size:.2f} x the model, at most 3")


def plan_is_tight(ingot, out):
    _, said = call([ingot, "compile", out / "resnet50.onnx", "-o", out / "resnet50", "--json"])
    report = json.loads(said[said.index("{"):])
    ratio = report["plan_bytes"] / report["plan_lower_bound"]
    print(f"plan: {report['plan_bytes']} bytes, {ratio:.3f} x the lower bound")
    if ratio > 1.1:
        raise Failed(f"{ratio:.3f} x the lower bound, at most 1.1")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ingot, out, counter = sys.argv[1], pathlib.Path(sys.argv[2]), Counter()
    out.mkdir(parents=True, exist_ok=True)
    counter.test("time and memory of compiling", compiles_in_bounds, ingot, out)
    counter.test("plan", plan_is_tight, ingot, out)

    x = np.random.default_rng(6).standard_normal((4, 3, 64, 64), np.float32)
    want = ReferenceEvaluator(resnet50(1, 64)).run(None, {"image": x[:1]})[0]
    got = {}
    for batch in (1, 4, "batch"):
        model = out / f"resnet50_{batch}.onnx"
        onnx.save(resnet50(batch, 64), model)
        exe = counter.test(f"batch {batch}: compile", compile_exe, ingot, model, out / f"exe_{batch}")
        for rows in () if exe is None else (1, 4) if batch == "batch" else (batch,):
            y = counter.test(f"batch {batch}: run {rows}", run_exe, exe, {"image": x[:rows]}, ["logits"], out / "run")
            if y is not None:
                got[batch, rows] = y[0]
                counter.test(f"batch {batch}: row 0 of {rows} is right", close, y[0][:1], want, 1e-3, 1e-4)
    for key in ((1, 1), ("batch", 1), ("batch", 4)):
        if key in got and (4, 4) in got:
            counter.test(f"{key} and batch 4", same_bits, f"{key} and batch 4", [got[key]], [got[4, 4][:key[1]]])
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
