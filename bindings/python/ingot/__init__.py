"""ONNX models as native code, from Python: compile once, run with numpy arrays.

    import ingot
    model = ingot.compile("digits.onnx")          # a path, bytes, or an onnx.ModelProto
    print(model)                                  # inputs and outputs, with dtypes and dims
    y = model.run({"image": x})["probabilities"]

Uses libingot.so, which a build leaves in build/ (INGOT_LIBRARY names another), and numpy; ml_dtypes where a model has
dtypes that numpy lacks. Nothing is built or installed: put this folder's parent on PYTHONPATH.
"""

from ingot.library import Error, compile_model, version
from ingot.model import Model, Port

__all__ = ["Error", "Model", "Port", "compile", "load", "version"]


def compile(model, output=None, *, dims=None, threads=0, options=()):  # the verb, as re.compile
    """Compile `model` (a path, bytes, or anything with SerializeToString) and load it: a Model.

    output   where the shared library and its header stay; None: in a temporary folder, which goes with the Model
    dims     {"batch": 8}: open dims of the model that are fixed
    threads  that run it; 0: all cores
    options  more of `ingot compile`, a string each: "-O3", "--target=x86-64-v3", "--external-data=DIR"

    Raises Error, whose `status` is the exit status of the command: 3 unsupported, 4 invalid model, ...
    """
    path, keep = compile_model(model, output, dims or {}, list(options))
    return Model(path, threads, keep)


def load(path, *, threads=0):
    """A Model of what `ingot compile --emit shared` has written."""
    return Model(path, threads, None)
