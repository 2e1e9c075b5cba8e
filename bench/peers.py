"""The engines that compare.py sets side by side. Each is made from (Case, threads) and has run() and results().

run() is what is timed: inputs are bound before, outputs stay in the engine's own memory, so that no engine pays for
Python's copies. results() gives the outputs of the last run as arrays, in the order of the model. An engine that is not
installed, or does not take a model, raises Missing with the reason.
"""
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

import ml_dtypes
import numpy as np
from onnx import helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bindings" / "python"))

from ingot.model import MAX_RANK, ModelStruct, Options, Tensor  # noqa: E402  (ingot_rt.h in ctypes)


class Missing(Exception):
    """This engine cannot run this model here."""


class Ingot:
    """One instance of a compiled model; its library exports NAME_model and the functions of ingot_rt.h."""

    def __init__(self, case, threads):
        library = ctypes.CDLL(str(case.library))
        self.handle = ctypes.c_void_p()
        described, options = ModelStruct.in_dll(library, f"{case.symbol}_model"), Options(threads=threads)
        why = ctypes.create_string_buffer(256)
        if library.ingot_create_explained(ctypes.byref(described), ctypes.byref(options), ctypes.byref(self.handle), why,
                                          ctypes.c_size_t(len(why))) != 0:
            raise RuntimeError(why.value.decode())
        self.function, self.error = library.ingot_run, library.ingot_error
        self.error.restype = ctypes.c_char_p
        self.kept = [np.array(x, order="C") for x in case.feeds.values()]
        self.inputs = (Tensor * len(self.kept))(*map(self.tensor, self.kept))
        self.outputs = (Tensor * len(case.outputs))()

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
    """ONNX Runtime with all optimisations; inputs and outputs bound, so that run() copies nothing."""

    def __init__(self, case, threads):
        try:
            import onnxruntime
        except ImportError as error:
            raise Missing(f"onnxruntime is not installed ({error})") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        try:
            self.session = onnxruntime.InferenceSession(str(case.path), options, ["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class
            raise Missing(f"onnxruntime refuses the model: {first_line(error)}") from error
        self.binding, self.feeds, self.last = self.session.io_binding(), case.feeds, None
        self.kept = {k: onnxruntime.OrtValue.ortvalue_from_numpy(np.array(x, order="C")) for k, x in case.feeds.items()}
        for name, value in self.kept.items():
            self.binding.bind_ortvalue_input(name, value)
        for name in case.outputs:
            self.binding.bind_output(name, "cpu")
        try:
            for _ in range(2):  # the second one knows the outputs of the first
                self.session.run_with_iobinding(self.binding)
        except Exception:  # a model that declares other shapes than it gives: only run() lets that pass
            self.binding = None

    def run(self):
        if self.binding:
            self.session.run_with_iobinding(self.binding)
        else:
            self.last = self.session.run(None, self.feeds)

    def results(self):
        return self.binding.copy_outputs_to_cpu() if self.binding else self.last


class OpenVino:
    """OpenVINO's CPU plugin: f32 kept f32 unless the fast table asks, one stream, shared inputs and outputs."""

    def __init__(self, case, threads):
        try:
            import openvino
        except ImportError as error:
            raise Missing(f"openvino is not installed ({error})") from error
        settings = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                    "ENABLE_CPU_PINNING": False}
        if not case.peers_fast:
            settings |= {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
        try:
            compiled = openvino.Core().compile_model(str(case.path), "CPU", settings)
        except RuntimeError as error:
            raise Missing(f"openvino refuses the model: {first_line(error)}") from error
        self.request = compiled.create_infer_request()
        self.kept = [openvino.Tensor(np.array(x, order="C"), shared_memory=True) for x in case.feeds.values()]
        names = list(case.feeds)
        for port in compiled.inputs:  # an input that nothing reads is gone
            at = next((k for k, name in enumerate(names) if name in port.get_names()), None)
            if at is None:
                raise Missing(f"openvino renamed the input {port.get_any_name()}")
            self.request.set_tensor(port, self.kept[at])
        self.ports = compiled.outputs

    def run(self):
        self.request.start_async()
        self.request.wait()

    def results(self):
        """bf16, which numpy does not have, comes as f16 of the same bits."""
        found = [(np.array(self.request.get_tensor(p).data), p.element_type.get_type_name()) for p in self.ports]
        return [a.view(ml_dtypes.bfloat16) if t == "bf16" else a for a, t in found]


class Ncnn:
    """ncnn, with what pnnx makes of the ONNX file. Exact: Winograd, fp16 and bf16 off; fast: its defaults."""

    def __init__(self, case, threads):
        try:
            import ncnn
        except ImportError as error:
            raise Missing(f"ncnn is not installed ({error})") from error
        param, weights = self.converted(case)
        self.net, self.ncnn = ncnn.Net(), ncnn
        self.net.opt.num_threads = threads
        self.net.opt.use_vulkan_compute = False
        if not case.peers_fast:
            for name in dir(self.net.opt):
                if "winograd" in name or "fp16" in name or "bf16" in name:
                    setattr(self.net.opt, name, False)
        if self.net.load_param(str(param)) != 0 or self.net.load_model(str(weights)) != 0:
            raise Missing("ncnn does not load what pnnx wrote")
        names = self.net.input_names()
        if len(names) != len(case.feeds) or len(self.net.output_names()) != len(case.outputs):
            raise Missing("pnnx lost inputs or outputs")
        self.shapes = case.shapes
        self.inputs = {f"in{k}": self.mat(x) for k, x in enumerate(case.feeds.values())}
        self.last = []

    def mat(self, x):
        x = x.astype(np.int32) if x.dtype == np.int64 else x
        batch = next((axis for axis in (0, 1) if x.ndim > axis + 1 and x.shape[axis] == 1), None)
        return self.ncnn.Mat(np.ascontiguousarray(x if batch is None else x.squeeze(batch))).clone()

    @staticmethod
    def converted(case):
        """The two files of ncnn for this model, from the cache or from pnnx."""
        program = pathlib.Path(sys.executable).with_name("pnnx")
        program = str(program) if program.exists() else shutil.which("pnnx")
        if not program:
            raise Missing("pnnx is not installed: nothing converts ONNX to ncnn")
        folder = case.cache / f"{case.key}.ncnn.{'fp16' if case.peers_fast else 'fp32'}"
        param, weights, refused = folder / "model.param", folder / "model.bin", folder / "refused.txt"
        if not param.exists() and not refused.exists():
            folder.mkdir(exist_ok=True)
            link = folder / "model.onnx"
            link.unlink(missing_ok=True)
            link.symlink_to(case.path.resolve())
            for k, x in enumerate(case.feeds.values()):  # real inputs: pnnx would draw indices out of bounds
                np.save(folder / f"in{k}.npy", x)
            inputs = ",".join(f"in{k}.npy" for k in range(len(case.feeds)))
            said = subprocess.run([program, "model.onnx", f"input={inputs}", f"fp16={int(case.peers_fast)}",
                                   "ncnnparam=made.param", "ncnnbin=model.bin"], cwd=folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            made = folder / "made.param"
            if said.returncode or not made.exists() or not weights.exists():
                refused.write_text(f"pnnx ends with {said.returncode}: " + (said.stdout.strip().split("\n")[-1]))
            else:
                os.rename(made, param)
            for extra in folder.glob("model.pnnx*"):
                extra.unlink()
        if refused.exists():
            raise Missing(refused.read_text())
        return param, weights

    def run(self):
        extractor = self.net.create_extractor()
        for name, value in self.inputs.items():
            extractor.input(name, value)
        self.last = []
        for k in range(len(self.shapes)):
            status, value = extractor.extract(f"out{k}")
            if status != 0:
                raise RuntimeError("ncnn's extract fails")
            self.last.append(value)

    def results(self):
        """ncnn has no batch axis: shapes are the model's."""
        arrays = [np.array(m) for m in self.last]
        return [a.reshape(s) if s and a.size == np.prod(s) else a for a, s in zip(arrays, self.shapes)]


def first_line(error):
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return (lines[-1] if lines else "?")[:160]


PEERS = {"ort": Ort, "openvino": OpenVino, "ncnn": Ncnn}
