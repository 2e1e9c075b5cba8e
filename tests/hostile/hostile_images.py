#!/usr/bin/env python3
"""Damaged image files through executables: cut, and with bytes changed.

    hostile_images.py INGOT NODE_TESTS FOLDER [--each N]

Each of ONNX's tests of ImageDecoder becomes an executable with --memory-limit's default; it gets its
own image N times, each time damaged in another way (seeded). It must end with status 0 (an image, or
none), 6 (a limit) or 7 (no such decoder); never by a signal, and not after more than 10 seconds."""
import argparse
import os
import random
import subprocess
import sys

import numpy as np
import onnx
from onnx import numpy_helper


def damaged(data, rng):
    data = bytearray(data)
    if rng.random() < 0.3:
        return bytes(data[:rng.randrange(len(data))])
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data) if rng.random() < 0.4 else min(len(data), 100))
        data[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
    return bytes(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ingot")
    parser.add_argument("tests")
    parser.add_argument("folder")
    parser.add_argument("--each", type=int, default=30)
    o = parser.parse_args()
    os.makedirs(o.folder, exist_ok=True)
    rng = random.Random(1)
    passed = failed = skipped = 0
    for name in sorted(os.listdir(o.tests)):
        if not name.startswith("test_image_decoder"):
            continue
        program = os.path.abspath(os.path.join(o.folder, name))
        model = os.path.join(o.tests, name, "model.onnx")
        m = onnx.load(model)
        m.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
        for d in m.graph.output[0].type.tensor_type.shape.dim:
            d.Clear()
        onnx.save(m, program + ".onnx")
        subprocess.run([o.ingot, "compile", program + ".onnx", "-o", program], check=True)
        tensor = onnx.TensorProto()
        with open(os.path.join(o.tests, name, "test_data_set_0", "input_0.pb"), "rb") as f:
            tensor.ParseFromString(f.read())
        data = numpy_helper.to_array(tensor).tobytes()
        for i in range(o.each):
            bad = damaged(data, rng) if i else data
            np.save(program + ".npy", np.frombuffer(bad, np.uint8))
            try:
                r = subprocess.run([program, "--input", f"data={program}.npy"], capture_output=True, timeout=10)
                good = r.returncode in ((0, 7) if i == 0 else (0, 6, 7))
                why = f"status {r.returncode}: {r.stderr.decode(errors='replace')[-200:]}"
            except subprocess.TimeoutExpired:
                good, why = False, "more than 10 seconds"
            passed += good
            failed += not good
            if not good:
                kept = f"{program}.{i}.npy"
                os.replace(program + ".npy", kept)
                print(f"FAIL {name} {kept}: {why}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


sys.exit(main())
