"""A model with what ONNX Runtime computes for it, as a folder that `ingot test` reads."""
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

RTOL = 1e-3
ATOL = 1e-5      # times the largest element of an output, of the output where that is smallest
PERTURB = 1e-6   # relative: how far outputs move when float inputs move by so much may be the difference, four times
MOVES = 1e-2     # an output that moves by more than this of its largest element says nothing


class Refused(Exception):
    """The exporter or ONNX Runtime cannot do this form: nothing to test."""


def first_line(e):
    lines = str(e).strip().splitlines()
    return lines[0][:160] if lines else ""


def session(path, optimised=None, plain=False):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    if plain:
        options.graph_optimization_level = level.ORT_DISABLE_ALL
    if optimised:
        options.graph_optimization_level = level.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimised)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # its exceptions have no common type
        raise Refused(f"ONNX Runtime: {first_line(e)}") from e


def run(runner, feeds):
    try:
        return runner.run(None, feeds)
    except Exception as e:
        raise Refused(f"ONNX Runtime: {first_line(e)}") from e


def map_of(values):
    strings = isinstance(next(iter(values)), str)
    proto = onnx.MapProto(key_type=TensorProto.STRING if strings else TensorProto.INT64)
    (proto.string_keys if strings else proto.keys).extend(
        [k.encode() if strings else k for k in values])
    proto.values.elem_type = onnx.SequenceProto.TENSOR
    proto.values.tensor_values.extend([numpy_helper.from_array(np.float32(v)) for v in values.values()])
    return proto


def proto_of(value, name):
    """A tensor; or a list of maps, which is what ZipMap gives."""
    if isinstance(value, list):
        proto = onnx.SequenceProto(name=name, elem_type=onnx.SequenceProto.MAP)
        proto.map_values.extend([map_of(v) for v in value])
        return proto
    return numpy_helper.from_array(np.asarray(value), name)


def floats(values):
    return [v for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.size]


def largest(value):
    return float(np.abs(value[np.isfinite(value)]).max(initial=0))


def nudged(feeds, seed):
    rng = np.random.default_rng(seed)
    return {n: (a * (1 + PERTURB * rng.standard_normal(a.shape))).astype(a.dtype) if a.dtype.kind == "f" else a
            for n, a in feeds.items()}


def movement(runner, plain, feeds, want, tries):
    """How far float outputs move when float inputs do, and between ONNX Runtime with and without its optimiser."""
    others = [run(runner, nudged(feeds, 4 + k)) for k in range(tries)]
    most = 0.0
    for other in [*others, run(plain, feeds) if plain else want]:
        for a, b in zip(floats(want), floats(other)):
            if a.shape != b.shape:
                return np.inf
            with np.errstate(invalid="ignore"):
                difference = np.abs(a - b) - RTOL / 4 * np.abs(a)
            most = max(most, largest(difference.clip(0)))
    return most


class Recorder:
    """Writes model.onnx and test sets into FOLDER; `atol` is stated in compare.txt by what has been seen."""

    def __init__(self, folder):
        self.folder, self.atol, self.sets = folder, ATOL, 0
        self.tries, self.margin, self.moves = 1, 4, MOVES
        self.known = 0.0  # error of ONNX Runtime in these outputs, where it has been measured against float64
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.path = folder / "model.onnx"
        self.least = self.moved = None

    def open(self):
        self.runner = session(self.path)
        self.inputs = [i.name for i in self.runner.get_inputs()]
        try:
            self.plain = session(self.path, plain=True)
        except Refused:
            self.plain = None

    def add(self, feeds):
        """A test set of these inputs."""
        if not set(self.inputs) <= set(feeds):
            raise Refused(f"the exporter made inputs of its own: {', '.join(set(self.inputs) - set(feeds))}")
        feeds = {n: np.asarray(feeds[n]) for n in self.inputs}
        want = run(self.runner, feeds)
        moved = movement(self.runner, self.plain, feeds, want, self.tries)
        sizes = [largest(v) for v in floats(want)]
        least = min((s for s in sizes if s > 0), default=1.0)
        if moved > self.moves * least:
            raise Refused(f"ill-conditioned: outputs of {least:.3g} move by {moved:.3g} of themselves")
        self.least = min(self.least or least, least)
        self.moved = max(self.moved or 0.0, moved)
        data = self.folder / f"test_data_set_{self.sets}"
        data.mkdir()
        self.sets += 1
        names = [o.name for o in self.runner.get_outputs()]
        for kind, pairs in (("input", feeds.items()), ("output", zip(names, want))):
            for k, (name, value) in enumerate(pairs):
                (data / f"{kind}_{k}.pb").write_bytes(proto_of(value, name).SerializeToString())
        atol = max(self.atol * self.least, self.margin * self.moved, self.known)
        (self.folder / "compare.txt").write_text(f"rtol {RTOL:g} atol {atol:.3g}\n")

    def add_other(self, feeds):
        """A set of other sizes, which a model can have fixed in spite of open dims."""
        try:
            self.add(feeds)
        except Refused as e:
            (self.folder / "one_size.txt").write_text(f"{e}\n")

    def refuse(self, e):
        (self.folder / "refused.txt").write_text(f"{e}\n")


__all__ = ["Recorder", "Refused", "first_line", "helper", "session"]
