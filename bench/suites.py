"""What compare.py compares: the models of each suite, made once and kept.

A row of a suite is a name and a function that gives a model, or a model and its inputs. Files lie in the cache as
NAME-KEY.onnx and .npz, where KEY is a digest of the generator's text, so that a changed generator makes them anew.
"""
import hashlib
import pathlib
import re
from functools import partial

import numpy as np
import onnx
from onnx import helper, numpy_helper

import nets_conv
import nets_int8
import nets_ops
import nets_sweep
import nets_text
from mobilenetv2 import mobilenetv2
from resnet50 import resnet50

HERE = pathlib.Path(__file__).parent
NEEDS = {"nets_text": ("gen_models",), "nets_int8": ("mobilenetv2", "resnet50")}  # and net, which all need

CORE = {
    "resnet18": nets_conv.resnet18,
    "resnet50": resnet50,
    "resnet50_b8": partial(resnet50, 8),
    "mobilenetv2": mobilenetv2,
    "mobilenetv3": nets_conv.mobilenetv3,
    "efficientnet": nets_conv.efficientnet,
    "squeezenet": nets_conv.squeezenet,
    "vgg16": nets_conv.vgg16,
    "densenet121": nets_conv.densenet121,
    "unet": nets_conv.unet,
    "yolo": nets_conv.yolo,
    "vit": nets_text.vit,
    "bert": nets_text.bert,
    "bert_open": partial(nets_text.bert, None),
    "gpt2_prefill": nets_text.gpt2,
    "gpt2_decode": partial(nets_text.gpt2, 1, 128),
    "lstm": nets_text.lstm,
    "mlp_b1": nets_text.mlp,
    "mlp_b64": partial(nets_text.mlp, 64),
}

# name, model, --math: against the peers with their defaults, which may be less exact too
FAST = (("resnet18_winograd", "resnet18", "winograd"), ("vgg16_winograd", "vgg16", "winograd"),
        ("resnet18_bf16", "resnet18", "bf16"), ("resnet50_bf16", "resnet50", "bf16"), ("vgg16_bf16", "vgg16", "bf16"),
        ("bert_bf16", "bert", "bf16"), ("vit_bf16", "vit", "bf16"),
        ("bert_bf16x3", "bert", "bf16x3"), ("vit_bf16x3", "vit", "bf16x3"))


class Case:
    """A model with its inputs: `path`, `feeds` {name: array}, `outputs` [name] and their `shapes`, open `dims` {name: n}."""

    def __init__(self, name, path, cache, dims=(), options=(), peers_fast=False, tolerance=1e-3):
        self.name, self.path, self.cache = name, pathlib.Path(path), cache
        self.options, self.peers_fast, self.tolerance = list(options), peers_fast, tolerance
        model = onnx.load(self.path, load_external_data=False)
        weights = {w.name for w in model.graph.initializer}
        self.infos = [i for i in model.graph.input if i.name not in weights]
        self.outputs = [o.name for o in model.graph.output]
        self.shapes = [[d.dim_value for d in o.type.tensor_type.shape.dim] for o in model.graph.output]
        self.feeds = self.saved() or self.recorded(dict(dims))
        self.dims = {d.dim_param: n for i in self.infos if i.name in self.feeds
                     for d, n in zip(i.type.tensor_type.shape.dim, self.feeds[i.name].shape) if d.dim_param}
        digest = hashlib.sha256(str(self.path.resolve()).encode() + str(self.path.stat().st_mtime_ns).encode())
        self.key = f"{re.sub('[^A-Za-z0-9_]', '_', name)}-{digest.hexdigest()[:8]}"
        self.library = self.symbol = None

    def saved(self):
        beside = self.path.with_suffix(".npz")
        return dict(np.load(beside)) if beside.exists() else None

    def recorded(self, dims):
        """Recorded inputs when there are some, else seeded: normal floats, zeros for integers (indices are safe)."""
        rng, feeds = np.random.default_rng(1), {}
        for k, value in enumerate(self.infos):
            recorded = self.path.parent / "test_data_set_0" / f"input_{k}.pb"
            kind = value.type.tensor_type
            if recorded.exists():
                feeds[value.name] = numpy_helper.to_array(onnx.load_tensor(recorded))
                continue
            shape = [dims.get(d.dim_param, d.dim_value or 1) if d.dim_param else d.dim_value or 1
                     for d in kind.shape.dim]
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
            feeds[value.name] = (rng.standard_normal(shape) if dtype.kind == "f" else np.zeros(shape)).astype(dtype)
        return feeds


def text_key(function):
    """A digest of the text that the model of this function comes from."""
    module = getattr(function, "func", function).__module__
    names = ("net", module, *NEEDS.get(module, ()))
    return hashlib.sha256(b"".join((HERE / f"{name}.py").read_bytes() for name in names)).hexdigest()[:8]


def made(name, function, cache):
    """The file of a generated model, written on first use together with its inputs."""
    path = cache / f"{name}-{text_key(function)}.onnx"
    if path.exists() and path.with_suffix(".npz").exists():
        return path
    for old in cache.glob(f"{name}-????????.*"):
        if not old.is_dir():
            old.unlink()
    model, inputs = result if isinstance(result := function(), tuple) else (result, None)
    if inputs is None:
        rng = np.random.default_rng(1)
        shapes = [[d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input]
        inputs = [rng.standard_normal(shape, np.float32) for shape in shapes]
    np.savez(path.with_suffix(".npz"), **{i.name: x for i, x in zip(model.graph.input, inputs, strict=True)})
    onnx.save(model, path.with_suffix(".part"))
    path.with_suffix(".part").rename(path)
    return path


def folders(root):
    """The models of a corpus: folders with a model.onnx and recorded inputs."""
    found = sorted(p for p in pathlib.Path(root).iterdir() if (p / "model.onnx").exists())
    if not found:
        raise SystemExit(f"compare: {root}: no folder with a model.onnx in it")
    return found


class Row:
    """One model of a suite: made by a function, or there as a file; `about` are what Case takes besides."""

    def __init__(self, name, source, file=None, **about):
        self.name, self.source, self.file, self.about = name, source, file or name, about

    def case(self, cache, dims):
        path = self.source if isinstance(self.source, pathlib.Path) else made(self.file, self.source, cache)
        return Case(self.name, path, cache, dims, **self.about)


NAMES = ("core", "fast", "int8", "ops", "sweep", "corpus")


def rows_of(suite, corpus):
    """{name: Row} of a suite; `corpus` is the folder of the suite of that name."""
    if suite == "corpus":
        # engines round quantised steps differently; recorded outputs, which `ingot test` compares, are the judge
        return {p.name: Row(p.name, p / "model.onnx", tolerance=5e-2) for p in folders(corpus)}
    if suite == "fast":
        return {name: Row(name, CORE[model], model, options=["--math", math], peers_fast=True, tolerance=5e-2)
                for name, model, math in FAST}
    if suite == "int8":  # the last bit of a scale decides how a tie is rounded, and the step goes through the net
        return {name: Row(name, function, tolerance=0.1) for name, function in nets_int8.INT8.items()}
    made_here = {"core": CORE, "ops": nets_ops.OPS, "sweep": nets_sweep.SWEEP}[suite]
    return {name: Row(name, function) for name, function in made_here.items()}
