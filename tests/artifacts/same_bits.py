#!/usr/bin/env python3
"""The same bits everywhere: threads, AVX2 and AVX-512, static and open dims, batch 1 and a slice of batch 8,
and two compilations in different folders with different thread counts against each other.

    python tests/artifacts/same_bits.py INGOT OUT [MODEL_FOLDER...]

Each MODEL_FOLDER is in the ONNX layout; its recorded inputs are used. The batch test runs on models of bench/. Needs a
processor with AVX2; what needs AVX-512 is skipped loudly where there is none.
"""
import pathlib
import sys

import numpy as np
import onnx

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bench"))

from artifact import Counter, Failed, compile_exe, names_of, run_exe, same_bits, test_set  # noqa: E402
from gen_models import MODELS  # noqa: E402
from mobilenetv2 import mobilenetv2  # noqa: E402

AVX512 = " avx512vl " in pathlib.Path("/proc/cpuinfo").read_text()


def dims_of(folder):
    """--dim options that fix every named open dim of the inputs to its size in the recorded data."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    weights = {w.name for w in model.graph.initializer}
    fixed, inputs = {}, [i for i in model.graph.input if i.name not in weights]
    for k, value in enumerate(inputs):
        data = onnx.load_tensor(folder / "test_data_set_0" / f"input_{k}.pb")
        for dim, size in zip(value.type.tensor_type.shape.dim, data.dims):
            if dim.dim_param not in ("", "?"):
                fixed[dim.dim_param] = size
    return [part for name, size in fixed.items() for part in ("--dim", f"{name}={size}")]


def one_model(counter, ingot, folder, out):
    out.mkdir(parents=True, exist_ok=True)
    inputs, outputs = test_set(folder)
    names, name = list(outputs), folder.name
    exe = counter.test(f"{name}: compile for AVX2", compile_exe, ingot, folder / "model.onnx", out / "v3",
                       "--target", "x86-64-v3")
    if not exe:
        return
    want = counter.test(f"{name}: run", run_exe, exe, inputs, names, out / "t1", "--threads", "1")
    if want is None:
        return

    def agrees(what, exe, *options):
        same_bits(what, run_exe(exe, inputs, names, out / "other", *options), want)
    for threads in (2, 3, 8):
        counter.test(f"{name}: {threads} threads", agrees, f"1 and {threads} threads", exe, "--threads", str(threads))
    if AVX512:
        wide = counter.test(f"{name}: compile for AVX-512", compile_exe, ingot, folder / "model.onnx", out / "v4",
                            "--target", "x86-64-v4")
        if wide:
            counter.test(f"{name}: AVX-512", agrees, "AVX2 and AVX-512", wide, "--threads", "2")
    else:
        counter.skip(f"{name}: AVX-512", "this processor has none")
    dims = dims_of(folder)
    if dims:
        static = counter.test(f"{name}: compile static", compile_exe, ingot, folder / "model.onnx", out / "static",
                              "--target", "x86-64-v3", *dims)
        if static:
            counter.test(f"{name}: static dims", agrees, "open and static dims", static)
    counter.test(f"{name}: compiled again", again, ingot, folder / "model.onnx", exe, out / "elsewhere" / "deeper")


def again(ingot, model, exe, folder):
    folder.mkdir(parents=True, exist_ok=True)
    other = compile_exe(ingot, model, folder / exe.name, "--target", "x86-64-v3", "--threads", "1")
    if other.read_bytes() != exe.read_bytes():
        raise Failed("two compilations of one model differ")


def batches(counter, ingot, name, model, out):
    """An open batch: eight at once, and one by one."""
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out / "model.onnx")
    exe = counter.test(f"{name}: compile", compile_exe, ingot, out / "model.onnx", out / "exe")
    if not exe:
        return
    dims = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    x = np.random.default_rng(5).standard_normal((8, *dims), np.float32)
    (feed,), names = names_of(model)
    eight = counter.test(f"{name}: batch 8", run_exe, exe, {feed: x}, names, out / "eight")
    if eight is None:
        return

    def slice_agrees(k):
        same_bits(f"batch 1 and row {k} of batch 8", run_exe(exe, {feed: x[k:k + 1]}, names, out / "one"),
                  [y[k:k + 1] for y in eight])
    for k in (0, 3, 7):
        counter.test(f"{name}: row {k}", slice_agrees, k)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    ingot, out, folders = sys.argv[1], pathlib.Path(sys.argv[2]), [pathlib.Path(f) for f in sys.argv[3:]]
    counter = Counter()
    for folder in folders:
        one_model(counter, ingot, folder, out / folder.name)
    batches(counter, ingot, "mobilenetv2, open batch", mobilenetv2("batch", 64), out / "mobilenetv2")
    for name in ("vgg_block", "vit"):
        batches(counter, ingot, f"{name}, open batch", MODELS[name]()[0].model(), out / name)
    digits = onnx.load(HERE.parents[1] / "models/digits/digits.onnx")
    batches(counter, ingot, "digits, open batch", digits, out / "digits")
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
