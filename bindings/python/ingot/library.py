"""libingot.so by ctypes: include/ingot/ingot.h."""

import ctypes
import os
import pathlib
import tempfile


class Error(RuntimeError):
    """What ingot refuses. `status` is the exit status that the command would end with."""

    def __init__(self, status, message):
        super().__init__(message.strip() or f"ingot failed with status {status}")
        self.status = status


def find_library():
    """INGOT_LIBRARY, else the build of the tree that this file is in, else what the system's loader finds."""
    named = os.environ.get("INGOT_LIBRARY")
    built = pathlib.Path(__file__).resolve().parents[3] / "build" / "libingot.so"
    return named or (str(built) if built.exists() else "libingot.so")


def open_library():
    try:
        lib = ctypes.CDLL(find_library())
    except OSError as e:
        raise ImportError(f"{e}: build ingot (ninja -C build), or name its libingot.so in INGOT_LIBRARY") from e
    strings = ctypes.POINTER(ctypes.c_char_p)
    messages = ctypes.POINTER(ctypes.c_void_p)
    lib.ingot_compile.argtypes = [ctypes.c_char_p, ctypes.c_int32, strings, messages]
    lib.ingot_compile_bytes.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int32, strings,
                                        messages]
    lib.ingot_free.argtypes = [ctypes.c_void_p]
    lib.ingot_free.restype = None
    lib.ingot_compiler_version.restype = ctypes.c_char_p
    return lib


lib = open_library()


def version():
    return lib.ingot_compiler_version().decode()


def call(model, name, options):
    """The status, and what was said."""
    words = [os.fsencode(o) for o in options]
    array = (ctypes.c_char_p * len(words))(*words)
    said = ctypes.c_void_p()
    if isinstance(model, bytes):
        status = lib.ingot_compile_bytes(model, len(model), name, len(words), array, ctypes.byref(said))
    else:
        status = lib.ingot_compile(name, len(words), array, ctypes.byref(said))
    text = ctypes.string_at(said.value).decode("utf-8", "replace") if said.value else ""
    lib.ingot_free(said)
    return status, text


def compile_model(model, output, dims, options):
    """Path of the shared library, and what must live as long as it is used."""
    keep = None
    if hasattr(model, "SerializeToString"):
        model = model.SerializeToString()
    if isinstance(model, (bytearray, memoryview)):
        model = bytes(model)
    if output is None:
        keep = tempfile.TemporaryDirectory(prefix="ingot-")
        output = pathlib.Path(keep.name) / "model.so"
    words = ["--emit=shared", f"--output={os.fspath(output)}"]
    words += [f"--dim={name}={int(value)}" for name, value in dims.items()] + [str(o) for o in options]
    name = b"model.onnx" if isinstance(model, bytes) else os.fsencode(model)
    status, text = call(model, name, words)
    if status != 0:
        if keep:
            keep.cleanup()
        raise Error(status, text)
    return os.path.abspath(output), keep
