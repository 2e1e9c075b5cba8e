#!/usr/bin/env python3
"""Several levels of processor in one artifact: it runs each of them when asked, with the bits of an artifact of that
level alone (so that AVX2 and AVX-512 agree), picks the best by itself, is compiled twice to the same bytes, and, on a
model whose weights matter, is at most 1.1 times as large as one for this machine.

    python tests/artifacts/levels_check.py INGOT OUT

What needs AVX2 or AVX-512 is skipped loudly where there is none.
"""
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bench"))

import nets_conv  # noqa: E402
import nets_int8  # noqa: E402
from artifact import Counter, Failed, call, compile_exe, names_of, run_exe, same_bits  # noqa: E402
from gen_models import MODELS  # noqa: E402
from mobilenetv2 import mobilenetv2  # noqa: E402

LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
FLAGS = set(pathlib.Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
NEEDS = {"x86-64-v2": "sse4_2", "x86-64-v3": "avx2", "x86-64-v3-vnni": "avx_vnni", "x86-64-v4": "avx512vl",
         "x86-64-v4-vnni": "avx512_vnni"}
LARGEST = 1.1


def feeds_of(model):
    rng, weights = np.random.default_rng(7), {w.name for w in model.graph.initializer}
    feeds = {}
    for value in model.graph.input:
        if value.name in weights:
            continue
        kind = value.type.tensor_type
        dims = [d.dim_value or 3 for d in kind.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        feeds[value.name] = rng.standard_normal(dims).astype(dtype) if dtype.kind == "f" else np.ones(dims, dtype)
    return feeds


def forced(exe, level, feeds, names, out):
    """Outputs of one level of an artifact."""
    os.environ["INGOT_ISA"] = level
    try:
        return run_exe(exe, feeds, names, out, "--threads", "1")
    finally:
        del os.environ["INGOT_ISA"]


def says(exe, feeds, out, level):
    """--verbose tells the level."""
    command = [exe, "--verbose", *(f"--input={n}={out}/in_{k}.npy" for k, n in enumerate(feeds))]
    said = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True).stderr
    if f"runs the code for {level}, one of: " not in said:
        raise Failed(f"expected the level {level}, it said: {said.strip()}")


def refuses(exe, level, status):
    os.environ["INGOT_ISA"] = level
    try:
        _, said = call([exe, "--input", "random"], ok=(status,))
    finally:
        del os.environ["INGOT_ISA"]
    if level not in said:
        raise Failed(f"it does not say '{level}': {said}")


def one_model(counter, ingot, name, model, out, levels=LEVELS):
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out / "model.onnx")
    feeds, (_, names) = feeds_of(model), names_of(model)
    all_levels = ",".join(levels)
    exe = counter.test(f"{name}: compile {all_levels}", compile_exe, ingot, out / "model.onnx", out / "all", "--target",
                       all_levels)
    if not exe:
        return

    def agrees(level):
        alone = compile_exe(ingot, out / "model.onnx", out / "alone", "--target", level)
        want = run_exe(alone, feeds, names, out / "run", "--threads", "1")
        same_bits(f"{level} alone and among {all_levels}", forced(exe, level, feeds, names, out / "run"), want)
        return want
    outputs = {}
    for level in levels:
        if NEEDS[level] not in FLAGS:
            counter.skip(f"{name}: {level}", "this processor has none")
            continue
        outputs[level] = counter.test(f"{name}: {level}", agrees, level)
    fused = [level for level in outputs if level != "x86-64-v2" and outputs[level]]
    for level in fused[1:]:
        counter.test(f"{name}: {fused[0]} and {level}", same_bits, "bits", outputs[level], outputs[fused[0]])
    best = max(outputs, key=list(NEEDS).index)
    counter.test(f"{name}: picks {best}", says, exe, feeds, out / "run", best)

    def again():
        other = compile_exe(ingot, out / "model.onnx", out / "again", "--target", all_levels, "--threads", "1")
        if other.read_bytes() != exe.read_bytes():
            raise Failed("two compilations differ")
    counter.test(f"{name}: compiled again", again)


def sizes(ingot, model, out):
    native = compile_exe(ingot, model, out / "native").stat().st_size
    several = compile_exe(ingot, model, out / "several", "--target", ",".join(LEVELS)).stat().st_size
    print(f"ResNet-18: {native} bytes for this machine, {several} with three levels: {several / native:.3f}x")
    if several > LARGEST * native:
        raise Failed(f"{several / native:.3f}x the size for one level, at most {LARGEST}x")


def libraries(ingot, model, out):
    """Shared, static and object forms hold all levels too."""
    for form, name in (("shared", "m.so"), ("lib", "m.a"), ("obj", "m.o")):
        call([ingot, "compile", model, "--emit", form, "-o", out / name, "--keep-symbols", "--target",
              ",".join(LEVELS)])
        said = subprocess.run(["nm", out / name], check=True, capture_output=True, text=True).stdout
        for level in ("v2", "v3", "v4"):
            if f" m_{level}_k0" not in said:
                raise Failed(f"{name} has no m_{level}_k0")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ingot, out, counter = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), Counter()
    os.environ.pop("INGOT_ISA", None)
    digits = onnx.load(HERE.parents[1] / "models/digits/digits.onnx")
    models = {"digits": digits, "mobilenetv2": mobilenetv2("batch", 64),
              **{name: MODELS[name]()[0].model() for name in ("vgg_block", "vit")}}
    for name, model in models.items():
        one_model(counter, ingot, name, model, out / name)
    quantised = nets_int8.INT8["mobilenetv2_u8s8"]()
    one_model(counter, ingot, "mobilenetv2 in bytes", quantised[0] if isinstance(quantised, tuple) else quantised,
              out / "bytes", ("x86-64-v2", "x86-64-v3", "x86-64-v3-vnni", "x86-64-v4", "x86-64-v4-vnni"))
    counter.test("an unknown level", refuses, out / "digits" / "all", "v9", 2)
    counter.test("libraries", libraries, ingot, out / "digits" / "model.onnx", out)
    onnx.save(nets_conv.resnet18(), out / "resnet18.onnx")
    counter.test("size", sizes, ingot, out / "resnet18.onnx", out)
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
