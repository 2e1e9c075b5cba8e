"""A compiled model by ctypes: include/ingot/ingot_rt.h, which `Tensor`, `PortStruct` and `ModelStruct` repeat."""

import _ctypes
import ctypes
import pathlib
import re
import threading
import weakref
from dataclasses import dataclass

import numpy as np

from ingot.library import Error

ABI_VERSION = 3
MAX_RANK = 12
STRING = 8
SEQUENCE, OPTIONAL, MAP = 101, 102, 103  # ingot_rt.h's own: lists, whose elements are tensors or lists
LISTS = {SEQUENCE: "sequence", OPTIONAL: "optional", MAP: "map"}

# The number of ONNX's TensorProto.DataType -> its name, and what numpy (or ml_dtypes) calls it.
DTYPES = {
    1: ("f32", "float32"), 2: ("u8", "uint8"), 3: ("i8", "int8"), 4: ("u16", "uint16"), 5: ("i16", "int16"),
    6: ("i32", "int32"), 7: ("i64", "int64"), STRING: ("string", "object"), 9: ("bool", "bool"),
    10: ("f16", "float16"), 11: ("f64", "float64"), 12: ("u32", "uint32"), 13: ("u64", "uint64"),
    14: ("c64", "complex64"), 15: ("c128", "complex128"), 16: ("bf16", "bfloat16"), 17: ("f8e4m3fn", "float8_e4m3fn"),
    18: ("f8e4m3fnuz", "float8_e4m3fnuz"), 19: ("f8e5m2", "float8_e5m2"), 20: ("f8e5m2fnuz", "float8_e5m2fnuz"),
    21: ("u4", "uint4"), 22: ("i4", "int4"), 23: ("f4e2m1", "float4_e2m1fn"), 24: ("f8e8m0", "float8_e8m0fnu"),
    25: ("u2", "uint2"), 26: ("i2", "int2"), 27: ("f6e2m3", "float6_e2m3fn"), 28: ("f6e3m2", "float6_e3m2fn"),
}


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("capacity", ctypes.c_int64), ("dtype", ctypes.c_int32),
                ("rank", ctypes.c_int32), ("dims", ctypes.c_int64 * MAX_RANK)]


class String(ctypes.Structure):
    _fields_ = [("s", ctypes.c_void_p), ("n", ctypes.c_int64)]


class PortStruct(ctypes.Structure):
    pass


PortStruct._fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int32), ("rank", ctypes.c_int32),
                       ("dims", ctypes.POINTER(ctypes.c_int64)), ("symbols", ctypes.POINTER(ctypes.c_char_p)),
                       ("optional", ctypes.c_int32), ("elem", ctypes.POINTER(PortStruct))]


class ModelStruct(ctypes.Structure):  # its head: all that is read here
    _fields_ = [("abi_version", ctypes.c_int32), ("n_inputs", ctypes.c_int32), ("n_outputs", ctypes.c_int32),
                ("inputs", ctypes.POINTER(PortStruct)), ("outputs", ctypes.POINTER(PortStruct)),
                ("name", ctypes.c_char_p)]


class Options(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int32), ("memory_limit", ctypes.c_int64), ("pool", ctypes.c_void_p),
                ("allocate", ctypes.c_void_p), ("release", ctypes.c_void_p), ("context", ctypes.c_void_p),
                ("isa", ctypes.c_char_p)]


def numpy_dtype(number):
    """numpy's dtype for a number of ONNX; those that numpy lacks are ml_dtypes'."""
    name = DTYPES[number][1]
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))


@dataclass(frozen=True)
class Port:
    """An input or output: dims are numbers, the names of open dims, or None; None in place of dims: any rank. A
    sequence (a Python list), an optional (None, or its element) and a map (a dict) have `elem`, what they hold."""

    name: str
    dtype: str
    dims: tuple | None
    optional: bool
    number: int  # of the dtype in ONNX, or SEQUENCE, OPTIONAL, MAP
    elem: tuple = ()

    def type_text(self):
        if self.number in LISTS:
            return f"{self.dtype}({', '.join(e.type_text() for e in self.elem)})"
        dims = "..." if self.dims is None else ", ".join("?" if d is None else str(d) for d in self.dims)
        return f"{self.dtype}[{dims}]"

    def __str__(self):
        return f"{self.name}: {self.type_text()}" + (" (optional)" if self.optional else "")


def describe(p, name=None):
    name = name or p.name.decode()
    if p.dtype in LISTS:
        elem = tuple(describe(p.elem[i], name) for i in range((2 if p.dtype == MAP else 1) if p.elem else 0))
        return Port(name, LISTS[p.dtype], None, bool(p.optional), p.dtype, elem)
    dims = None
    if p.rank >= 0:
        dims = tuple(p.dims[i] if p.dims[i] >= 0 else p.symbols[i].decode() if p.symbols[i] else None
                     for i in range(p.rank))
    dtype = DTYPES[p.dtype][0] if p.dtype in DTYPES else f"dtype {p.dtype}"
    return Port(name, dtype, dims, bool(p.optional), p.dtype)


def symbol_of(path):
    """What `ingot compile` names a model after: its file, as a C identifier."""
    file = pathlib.Path(path)
    name = file.stem if file.suffix else file.name
    if file.suffix and len(name) > 3 and name.startswith("lib"):
        name = name[3:]
    if not name or name[0].isdigit() or name.startswith("ingot"):
        name = "m_" + name
    return re.sub(r"[^A-Za-z0-9_]", "_", name) + "_model"


def open_artifact(path):
    """The shared object and the model in it."""
    try:
        lib = ctypes.CDLL(path)
    except OSError as e:
        raise Error(5, str(e)) from e
    try:
        model = ModelStruct.in_dll(lib, symbol_of(path))
    except ValueError as e:
        raise Error(2, f"{path}: no symbol '{symbol_of(path)}': renamed, or no work of ingot compile") from e
    if model.abi_version != ABI_VERSION:
        raise Error(7, f"{path}: ABI version {model.abi_version}, expected {ABI_VERSION}")
    lib.ingot_create_explained.argtypes = [ctypes.POINTER(ModelStruct), ctypes.POINTER(Options),
                                           ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p, ctypes.c_size_t]
    lib.ingot_run.argtypes = [ctypes.c_void_p, ctypes.POINTER(Tensor), ctypes.POINTER(Tensor)]
    lib.ingot_destroy.argtypes = [ctypes.c_void_p]
    lib.ingot_destroy.restype = None
    lib.ingot_error.argtypes = [ctypes.c_void_p]
    lib.ingot_error.restype = ctypes.c_char_p
    return lib, model


def close_artifact(lib, instance, keep):
    lib.ingot_destroy(instance)
    _ctypes.dlclose(lib._handle)
    if keep:
        keep.cleanup()


# ---- tensors ----


def from_strings(array):
    """Elements of ingot_string, and the bytes that they point to."""
    items = [s if isinstance(s, bytes) else str(s).encode() for s in array.ravel().tolist()]
    elements = (String * len(items))()
    held = [ctypes.create_string_buffer(s, len(s)) if s else None for s in items]
    for element, buffer, s in zip(elements, held, items):
        element.s, element.n = (ctypes.addressof(buffer) if buffer else None), len(s)
    return elements, held


def items_of(port, value):
    """Elements of a list with their ports; None: an optional without one."""
    if port.number == OPTIONAL:
        return None if value is None else [(port.elem[0], value)]
    if port.number == MAP:
        if not isinstance(value, dict):
            raise Error(2, f"input '{port.name}': {type(value).__name__}, expected a dict")
        return [(port.elem[0], list(value.keys())), (port.elem[1], list(value.values()))]
    if not isinstance(value, (list, tuple)):
        raise Error(2, f"input '{port.name}': {type(value).__name__}, expected a list")
    return [(port.elem[0], v) for v in value]


def to_list(port, value):
    items = items_of(port, value)
    if items is None:
        return Tensor(), None
    pairs = [to_tensor(p, v) for p, v in items]
    elements = (Tensor * max(len(pairs), 1))(*[t for t, _ in pairs])
    tensor = Tensor(dtype=port.number, rank=1, data=ctypes.addressof(elements))
    tensor.dims[0] = len(pairs)
    return tensor, (elements, pairs)


def to_tensor(port, value):
    """`value` as the port wants it, and what must live while the tensor is used."""
    if port.number in LISTS:
        return to_list(port, value)
    want = numpy_dtype(port.number)
    array = np.asarray(value)
    if port.number != STRING and array.dtype != want:
        if not np.can_cast(array.dtype, want, "same_kind" if np.isscalar(value) or isinstance(value, list) else "no"):
            raise Error(2, f"input '{port.name}': dtype {array.dtype}, expected {want}")
        array = array.astype(want)
    if array.ndim > MAX_RANK:
        raise Error(2, f"input '{port.name}': rank {array.ndim}, at most {MAX_RANK}")
    array = np.ascontiguousarray(array).reshape(array.shape)  # which makes a scalar a vector
    tensor = Tensor(dtype=port.number, rank=array.ndim)
    tensor.dims[:array.ndim] = array.shape
    if port.number == STRING:
        elements, held = from_strings(array)
        tensor.data = ctypes.addressof(elements) if array.size else ctypes.addressof(String())
        return tensor, (elements, held)
    tensor.data = array.ctypes.data
    return tensor, array


def from_tensor(tensor):
    """A copy: the instance takes its memory back at the next run."""
    if tensor.dtype in LISTS or tensor.dtype == 0:
        count = tensor.dims[0] if tensor.dtype else 0
        elements = ctypes.cast(tensor.data, ctypes.POINTER(Tensor))
        items = [from_tensor(elements[i]) for i in range(count)]
        if tensor.dtype == MAP:
            return dict(zip(items[0].tolist(), items[1]))
        return items if tensor.dtype == SEQUENCE else items[0] if items else None
    shape = tuple(tensor.dims[:tensor.rank])
    dtype = numpy_dtype(tensor.dtype)
    size = int(np.prod(shape, dtype=np.int64))
    if tensor.dtype == STRING:
        elements = ctypes.cast(tensor.data, ctypes.POINTER(String))
        texts = [ctypes.string_at(elements[i].s, elements[i].n).decode("utf-8", "replace") for i in range(size)]
        out = np.empty(size, dtype=object)
        out[:] = texts
        return out.reshape(shape)
    data = ctypes.string_at(tensor.data, size * dtype.itemsize) if size else b""
    return np.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


class Model:
    """A compiled model. `inputs` and `outputs` are lists of Port. Threads may share it: they take turns."""

    def __init__(self, path, threads=0, keep=None):
        self.path = str(path)
        lib, model = open_artifact(self.path)
        instance = ctypes.c_void_p()
        reason = ctypes.create_string_buffer(400)
        status = lib.ingot_create_explained(ctypes.byref(model), ctypes.byref(Options(threads=threads)),
                                            ctypes.byref(instance), reason, len(reason))
        if status != 0:
            _ctypes.dlclose(lib._handle)
            raise Error(status, f"{self.path}: cannot start: {reason.value.decode(errors='replace')}")
        self.inputs = [describe(model.inputs[i]) for i in range(model.n_inputs)]
        self.outputs = [describe(model.outputs[i]) for i in range(model.n_outputs)]
        self._lib, self._instance, self._lock = lib, instance, threading.Lock()
        self.close = weakref.finalize(self, close_artifact, lib, instance, keep)

    def __repr__(self):
        return "\n".join([f"ingot model {self.path}"] + [f"  in   {p}" for p in self.inputs]
                         + [f"  out  {p}" for p in self.outputs])

    def _gather(self, inputs):
        if not isinstance(inputs, dict):
            if len(inputs) > len(self.inputs):
                raise Error(2, f"{len(inputs)} inputs, the model takes {len(self.inputs)}")
            inputs = dict(zip((p.name for p in self.inputs), inputs, strict=False))
        unknown = set(inputs) - {p.name for p in self.inputs}
        if unknown:
            raise Error(2, f"no input '{sorted(unknown)[0]}'; there are: {', '.join(p.name for p in self.inputs)}")
        tensors, held = (Tensor * len(self.inputs))(), []
        for i, port in enumerate(self.inputs):
            value = inputs.get(port.name)
            if value is None and port.number != OPTIONAL:
                if not port.optional:
                    raise Error(2, f"input '{port.name}' is missing: {port}")
                continue
            tensors[i], alive = to_tensor(port, value)
            held.append(alive)
        return tensors, held

    def run(self, inputs):
        """{name: array}, or arrays in order -> {name: array}. Inputs that are optional may be left out."""
        if not self.close.alive:
            raise Error(2, "the model is closed")
        tensors, held = self._gather(inputs)
        results = (Tensor * len(self.outputs))()
        with self._lock:
            status = self._lib.ingot_run(self._instance, tensors, results)
            if status != 0:
                raise Error(status, self._lib.ingot_error(self._instance).decode("utf-8", "replace"))
            return {p.name: from_tensor(results[i]) for i, p in enumerate(self.outputs)}
