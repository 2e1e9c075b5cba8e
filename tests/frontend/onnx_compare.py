#!/usr/bin/env python3
"""The reader's view of ONNX files against that of the onnx package, field by field.

    onnx_compare.py PATH/TO/onnx_dump FOLDER...     every *.onnx below the folders

--mutate N adds, for each file up to 64 KiB, N copies with bytes changed, cut or doubled: where both
readers accept the bytes they must see the same. (Ours does not look into fields that it drops, and is
stricter with names.)
Exit status 77 (skipped) where the package or every folder is absent."""
import argparse
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import zlib

try:
    from onnx import ModelProto
    from google.protobuf.message import DecodeError
except ImportError:
    print("SKIPPED: the onnx package is not installed")
    sys.exit(77)

DROPPED = {
    "ModelProto": {"producer_version", "domain", "model_version", "doc_string", "metadata_props",
                   "training_info", "configuration"},
    "GraphProto": {"doc_string", "quantization_annotation", "metadata_props"},
    "NodeProto": {"doc_string", "metadata_props", "device_configurations"},
    "AttributeProto": {"doc_string"},
    "ValueInfoProto": {"doc_string", "metadata_props"},
    "TensorProto": {"doc_string", "metadata_props"},
    "Dimension": {"denotation"},
    "TypeProto": {"denotation"},
    "FunctionProto": {"doc_string", "value_info", "metadata_props"},
}
PAYLOAD = {"TensorProto": {"float_data", "int32_data", "int64_data", "double_data", "uint64_data"},
           "AttributeProto": {"floats", "ints"}}


def raw(data):
    return f"{len(data)} {zlib.crc32(data):08x}"


def numbers(field, values):
    if field.type == field.TYPE_FLOAT:
        data = struct.pack(f"<{len(values)}f", *values)
    elif field.type == field.TYPE_DOUBLE:
        data = struct.pack(f"<{len(values)}d", *values)
    else:
        data = b"".join((v & (2**64 - 1)).to_bytes(8, "little") for v in values)
    return f"{len(values)} {zlib.crc32(data):08x}"


def dump(m, indent, out):
    kind = m.DESCRIPTOR.name
    for f in sorted(m.DESCRIPTOR.fields, key=lambda f: f.number):
        if f.name in DROPPED.get(kind, ()):
            continue
        repeated = f.is_repeated if hasattr(f, "is_repeated") else f.label == f.LABEL_REPEATED
        if repeated and f.name in PAYLOAD.get(kind, ()):
            values = getattr(m, f.name)
            if len(values):
                out.append(f"{' ' * indent}{f.name} {numbers(f, values)}")
            continue
        if repeated:
            values = getattr(m, f.name)
        else:
            values = [getattr(m, f.name)] if m.HasField(f.name) else []
        for v in values:
            head = f"{' ' * indent}{f.name} "
            if f.type == f.TYPE_MESSAGE:
                out.append(head)
                dump(v, indent + 1, out)
            elif f.type == f.TYPE_STRING:
                out.append(head + raw(v if isinstance(v, bytes) else v.encode()))
            elif f.type == f.TYPE_BYTES:
                out.append(head + raw(v))
            elif f.type == f.TYPE_FLOAT:
                out.append(head + raw(struct.pack("<f", v)))
            else:
                out.append(head + str(v))
    return out


def theirs(data):
    m = ModelProto()
    try:
        m.ParseFromString(data)
    except DecodeError:
        return None
    return dump(m, 0, [])


def known(line):
    """The package drops values that an enumeration does not have; ours keeps them."""
    name, _, value = line.strip().partition(" ")
    top = {"type": 14, "data_location": 1}.get(name)
    return top is None or not value or 0 <= int(value) <= top


def ours(tool, path):
    r = subprocess.run([tool, str(path)], capture_output=True, text=True, timeout=60)
    if r.returncode not in (0, 4, 6):
        return f"exit status {r.returncode}: {r.stderr[:300]}"
    return list(filter(known, r.stdout.splitlines())) if r.returncode == 0 else None


def compare(tool, path, data, strict):
    """None when both agree; else what differs."""
    got, want = ours(tool, path), theirs(data)
    if isinstance(got, str):
        return got
    if got is None or want is None:
        return "only one of them accepts it" if strict and got is not want else None
    for i, (a, b) in enumerate(zip(got + [""] * len(want), want + [""] * len(got))):
        if a != b:
            return f"line {i}: ours '{a}', theirs '{b}'"
    return None


def mutants(data, count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        b = bytearray(data)
        how = rng.randrange(3)
        at = rng.randrange(len(b))
        if how == 0:
            for _ in range(rng.randrange(1, 4)):
                b[rng.randrange(len(b))] = rng.randrange(256)
        elif how == 1:
            del b[at:]
        else:
            b[at:at] = data[rng.randrange(len(data)):][:rng.randrange(1, 40)]
        yield bytes(b)
    yield data + data  # a message twice is the two merged


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("tool")
    p.add_argument("folder", nargs="+")
    p.add_argument("--mutate", type=int, default=0, metavar="N")
    args = p.parse_args()
    files = [f for d in args.folder for f in sorted(pathlib.Path(d).rglob("*.onnx"))]
    if not files:
        print("SKIPPED: no models below", *args.folder)
        return 77
    failed = done = 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder) / "mutant.onnx"
        for i, f in enumerate(files):
            data = f.read_bytes()
            cases = [(f, data, True)]
            if args.mutate and len(data) <= 65536:
                cases += [(scratch, m, False) for m in mutants(data, args.mutate, i)]
            for path, b, strict in cases:
                if path is scratch:
                    scratch.write_bytes(b)
                why = compare(args.tool, path, b, strict)
                done += 1
                if why:
                    failed += 1
                    print(f"{f}{'' if strict else ' (mutant)'}: {why}")
                    if not strict:
                        pathlib.Path(f"mutant-{failed}.onnx").write_bytes(b)
    print(f"{done - failed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
