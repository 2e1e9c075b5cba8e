"""What the scripts here share: compile a model into an executable, run it on arrays, compare. Needs numpy and onnx."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import numpy_helper


class Failed(Exception):
    pass


class Counter:
    """Tests one by one; prints failures as they come and the line that check.sh reads at the end."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def test(self, name, function, *args):
        try:
            said = function(*args)
        except (Failed, subprocess.TimeoutExpired, OSError, ValueError) as error:
            self.failed += 1
            print(f"FAIL {name}: {error}", flush=True)
            return None
        self.passed += 1
        return said

    def skip(self, name, why):
        self.skipped += 1
        print(f"skip {name}: {why}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return self.failed != 0


def run_methods(tests, usage):
    """The whole of a script INGOT OUT whose tests are the methods of a class without a leading underscore, in order."""
    if len(sys.argv) != 3:
        sys.exit(usage)
    out = pathlib.Path(sys.argv[2]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    made, counter = tests(pathlib.Path(sys.argv[1]).resolve(), out), Counter()
    for name in vars(tests):
        if not name.startswith("_"):
            counter.test(name, getattr(made, name))
    sys.exit(counter.end())


def call(command, timeout=300, ok=(0,)):
    """(status, what it said); a status that is not among `ok` is a failure."""
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    said = (done.stderr + done.stdout).decode(errors="replace").strip()
    if done.returncode not in ok:
        raise Failed(f"{' '.join(map(str, command[:3]))} ...: status {done.returncode}: {said[-400:]}")
    return done.returncode, said


def compile_exe(ingot, model, out, *options):
    call([ingot, "compile", model, "-o", out, *options])
    return out


MEASURE = """
import os, subprocess, sys, time
began = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_maxrss)
"""


def measured(command):
    """(seconds, peak resident bytes) of a command that must succeed.

    Started by a small interpreter: a process's peak counts that of the one that it was forked from.
    """
    command = [str(c) for c in command]
    said = subprocess.run([sys.executable, "-S", "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    status, seconds, peak = said.stdout.split()
    if status != "0":
        raise Failed(f"{' '.join(command[:3])} ...: status {status}: {said.stderr[-500:]}")
    return float(seconds), int(peak) * 1024


def run_exe(exe, inputs, outputs, folder, *options):
    """inputs: name -> array or file; outputs: names. Gives the list of output arrays."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    command = [os.path.abspath(exe), *options]
    for k, (name, value) in enumerate(inputs.items()):
        if isinstance(value, np.ndarray):
            np.save(folder / f"in_{k}.npy", value)
            value = folder / f"in_{k}.npy"
        command += ["--input", f"{name}={value}"]
    files = [folder / f"out_{k}.npy" for k in range(len(outputs))]
    for name, file in zip(outputs, files):
        file.unlink(missing_ok=True)
        command += ["--output", f"{name}={file}"]
    call(command)
    return [np.load(file) for file in files]


def names_of(model):
    """Names of inputs without initialisers, and of outputs."""
    weights = {w.name for w in model.graph.initializer}
    return [i.name for i in model.graph.input if i.name not in weights], [o.name for o in model.graph.output]


def test_set(folder):
    """(input name -> file, output name -> array) of test_data_set_0."""
    folder = pathlib.Path(folder)
    inputs, outputs = names_of(onnx.load(folder / "model.onnx", load_external_data=False))
    data = folder / "test_data_set_0"
    return ({n: data / f"input_{k}.pb" for k, n in enumerate(inputs) if (data / f"input_{k}.pb").exists()},
            {n: numpy_helper.to_array(onnx.load_tensor(data / f"output_{k}.pb")) for k, n in enumerate(outputs)})


def same_bits(what, got, want):
    for k, (g, w) in enumerate(zip(got, want)):
        if g.shape != w.shape or g.dtype != w.dtype:
            raise Failed(f"{what}: output {k}: {g.dtype}{list(g.shape)} and {w.dtype}{list(w.shape)}")
        differ = g.tobytes() != w.tobytes() and not np.array_equal(g, w, equal_nan=g.dtype.kind == "f")
        if differ:
            at = int(np.flatnonzero(g.ravel() != w.ravel())[0])
            raise Failed(f"{what}: output {k}: element {at}: {g.ravel()[at]!r} and {w.ravel()[at]!r}")


def close(got, want, rtol, atol):
    """numpy's own comparison; what is no float must be equal."""
    if got.shape != want.shape or got.dtype != want.dtype:
        raise Failed(f"got {got.dtype}{list(got.shape)}, want {want.dtype}{list(want.shape)}")
    if want.dtype.kind in "fc":
        np_ok = np.allclose(got.astype("c16"), want.astype("c16"), rtol, atol, equal_nan=True)
        if not np_ok:
            raise Failed(f"differs by up to {np.nanmax(np.abs(got.astype('c16') - want.astype('c16'))):.3g}")
    elif not np.array_equal(got, want):
        raise Failed("differs")
