#!/usr/bin/env python3
"""An ingot library against ONNX Runtime, side by side in one process, turn by turn.

    python bench/compare_ort.py INGOT MODEL... [--threads 1,2] [--rounds 15] [--seconds 0.1] [--json]
                                [--dim NAME=N] [--ingot-option=-O3]

Each model is compiled into a shared library and loaded; both engines get the same seeded inputs and their outputs are
compared first. Then they take turns: in every round each engine with each number of threads runs for --seconds, so that
a machine that slows down slows both. Told are medians over the rounds, and how many times faster ingot is. MODEL is a
file, or a folder in the ONNX layout (its recorded inputs are taken). Open dims are 1 unless --dim says otherwise.
Needs numpy, onnx and onnxruntime (scripts/setup.sh does not install the last one).
"""
import argparse
import ctypes
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

MAX_RANK = 12


class Tensor(ctypes.Structure):
    """ingot_tensor of ingot_rt.h."""
    _fields_ = [("data", ctypes.c_void_p), ("capacity", ctypes.c_int64), ("dtype", ctypes.c_int32),
                ("rank", ctypes.c_int32), ("dims", ctypes.c_int64 * MAX_RANK)]


class Options(ctypes.Structure):
    """ingot_options of ingot_rt.h."""
    _fields_ = [("threads", ctypes.c_int32), ("memory_limit", ctypes.c_int64), ("pool", ctypes.c_void_p),
                ("allocate", ctypes.c_void_p), ("release", ctypes.c_void_p), ("context", ctypes.c_void_p)]


class Ingot:
    """One instance of a compiled model; its library exports SYMBOL_model and the functions of ingot_rt.h."""

    def __init__(self, library, symbol, threads, inputs, n_outputs):
        self.handle = ctypes.c_void_p()
        described = ctypes.c_char.in_dll(library, f"{symbol}_model")
        options = Options(threads=threads)
        if library.ingot_create(ctypes.byref(described), ctypes.byref(options), ctypes.byref(self.handle)) != 0:
            raise RuntimeError("the library refused to make an instance")
        self.function, self.error = library.ingot_run, library.ingot_error
        self.error.restype = ctypes.c_char_p
        self.kept = [np.ascontiguousarray(x) for x in inputs]
        self.inputs = (Tensor * len(inputs))(*map(self.tensor, self.kept))
        self.outputs = (Tensor * n_outputs)()

    @staticmethod
    def tensor(x):
        return Tensor(x.ctypes.data, x.nbytes, helper.np_dtype_to_tensor_dtype(x.dtype), x.ndim,
                      (ctypes.c_int64 * MAX_RANK)(*x.shape))

    def run(self):
        for output in self.outputs:
            output.data = None
        if self.function(self.handle, self.inputs, self.outputs) != 0:
            raise RuntimeError((self.error(self.handle) or b"?").decode())

    def results(self):
        for t in self.outputs:
            dtype = helper.tensor_dtype_to_np_dtype(t.dtype)
            count = int(np.prod(t.dims[:t.rank], dtype=np.int64))
            raw = ctypes.string_at(t.data, count * dtype.itemsize) if count else b""
            yield np.frombuffer(raw, dtype).reshape(t.dims[:t.rank])


class Ort:
    def __init__(self, model, threads, feeds):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
        self.feeds = feeds

    def run(self):
        return self.session.run(None, self.feeds)


def feeds_of(path, dims):
    """Recorded inputs when there are some, else seeded ones: normal floats, zeros for integers (indices are safe)."""
    model = onnx.load(path)
    weights = {w.name for w in model.graph.initializer}
    rng, feeds = np.random.default_rng(1), {}
    for k, value in enumerate(i for i in model.graph.input if i.name not in weights):
        recorded = path.parent / "test_data_set_0" / f"input_{k}.pb"
        kind = value.type.tensor_type
        if recorded.exists():
            feeds[value.name] = numpy_helper.to_array(onnx.load_tensor(recorded))
            continue
        shape = [dims.get(d.dim_param, d.dim_value or 1) if d.dim_param else d.dim_value or 1 for d in kind.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        feeds[value.name] = (rng.standard_normal(shape) if dtype.kind == "f" else np.zeros(shape)).astype(dtype)
    return feeds, len(model.graph.output)


def timed(run, seconds):
    """Milliseconds of one run, the mean over about `seconds`."""
    began, n = time.perf_counter(), 0
    while True:
        run()
        n += 1
        passed = time.perf_counter() - began
        if passed >= seconds:
            return passed / n * 1000


def farthest(ours, theirs):
    """The largest difference of any output, relative to max(1, |x|)."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            raise RuntimeError(f"shapes differ: {a.shape} and {b.shape}")
        if a.size and b.dtype.kind in "fiub":
            a, b = a.astype(np.float64), b.astype(np.float64)
            worst = max(worst, float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)))))
    return worst


def compare(args, path, folder):
    path = path / "model.onnx" if path.is_dir() else path
    dims = dict((name, int(n)) for name, n in (d.split("=") for d in args.dim))
    library = pathlib.Path(folder) / "compared.so"
    command = [args.ingot, "compile", str(path), "--emit", "shared", "-o", str(library), *args.ingot_option]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    loaded = ctypes.CDLL(str(library))
    feeds, n_outputs = feeds_of(path, dims)
    engines = {}
    for threads in map(int, args.threads.split(",")):
        engines["ingot", threads] = Ingot(loaded, "compared", threads, list(feeds.values()), n_outputs)
        engines["ort", threads] = Ort(path, threads, feeds)
    times = {key: [] for key in engines}
    first = next(iter(engines.values()))
    first.run()
    differ = farthest(first.results(), engines["ort", first_threads(engines)].run())
    for _ in range(args.rounds):
        for key, engine in engines.items():
            times[key].append(timed(engine.run, args.seconds))
    result = {"model": str(path), "differs_by": differ, "threads": {}}
    for threads in sorted({t for _, t in engines}):
        ours, theirs = (statistics.median(times[name, threads]) for name in ("ingot", "ort"))
        result["threads"][threads] = {"ingot_ms": ours, "ort_ms": theirs, "times_faster": theirs / ours}
    return result


def first_threads(engines):
    return next(iter(engines))[1]


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("ingot")
    args.add_argument("models", nargs="+", type=pathlib.Path)
    args.add_argument("--threads", default="1,2")
    args.add_argument("--rounds", type=int, default=15)
    args.add_argument("--seconds", type=float, default=0.1)
    args.add_argument("--dim", action="append", default=[])
    args.add_argument("--ingot-option", action="append", default=[])
    args.add_argument("--json", action="store_true")
    args = args.parse_args()
    results, failed = [], 0
    for path in args.models:
        with tempfile.TemporaryDirectory() as folder:
            try:
                result = compare(args, path, folder)
            except (RuntimeError, subprocess.CalledProcessError, ValueError) as error:
                failed += 1
                print(f"{path}: {error}", file=sys.stderr)
                continue
        results.append(result)
        if not args.json:
            print(f"{result['model']}   differs by {result['differs_by']:.2g}")
            for threads, r in result["threads"].items():
                print(f"  {threads} threads: ingot {r['ingot_ms']:9.3f} ms   ort {r['ort_ms']:9.3f} ms   "
                      f"{r['times_faster']:.2f} times faster", flush=True)
    if args.json:
        print(json.dumps(results, indent=1))
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
