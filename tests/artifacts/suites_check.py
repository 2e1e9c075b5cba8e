#!/usr/bin/env python3
"""The nets of the benchmark suites, small: generated code against the reference evaluator.

    python tests/artifacts/suites_check.py INGOT OUT

The same generators as bench/compare.py, with images of 32 to 64 pixels, short sequences and vocabularies of 100, so that
what is measured there is known to be right here, whether or not another engine is installed; and compare.py itself, once.
"""
import json
import pathlib
import sys
from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import nets_conv  # noqa: E402
import nets_int8  # noqa: E402
import nets_text  # noqa: E402
from artifact import Counter, Failed, call  # noqa: E402
from mobilenetv2 import mobilenetv2  # noqa: E402
from nets_ops import OPS  # noqa: E402

def transform(op, inputs, dims, **attributes):
    """One node on x: a transform long enough to be a fast one."""
    names = ["x", *[f"c{k}" for k in range(len(inputs))]]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)], op,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(a), n) for a, n in zip(inputs, names[1:])])
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])


SMALL = {
    "stft": partial(transform, "STFT", [100, np.hanning(512).astype("f4")], ["batch", 2000, 1]),
    "dft": partial(transform, "DFT", [1050, 1], [3, 1000, 2, 2]),
    "dft_wide": partial(transform, "DFT", [12, 1], [3, 12, 20, 2]),
    "dft_inverse": partial(transform, "DFT", [720, 2], [2, 3, 800, 2], inverse=1),
    "resnet18": partial(nets_conv.resnet18, 1, 64),
    "mobilenetv3": partial(nets_conv.mobilenetv3, 2, 64),
    "efficientnet": partial(nets_conv.efficientnet, 1, 64),
    "squeezenet": partial(nets_conv.squeezenet, 1, 65),
    "densenet121": partial(nets_conv.densenet121, 1, 64),
    "unet": partial(nets_conv.unet, 1, 32),
    "yolo": partial(nets_conv.yolo, 64),
    "vit": partial(nets_text.vit, 48),
    "bert": partial(nets_text.bert, 8, 100),
    "bert_open": partial(nets_text.bert, None, 100),
    "gpt2_prefill": partial(nets_text.gpt2, 4, 0, 100),
    "gpt2_decode": partial(nets_text.gpt2, 1, 5, 100),
    "lstm": partial(nets_text.lstm, 5),
    "mlp": partial(nets_text.mlp, 3),
    "mobilenetv2_u8s8": partial(nets_int8.qdq, mobilenetv2, False, 64),
    "mobilenetv2_s8s8": partial(nets_int8.qdq, mobilenetv2, True, 64),
    **{name: OPS[name] for name in ("conv1x1_56x56_64_256", "depthwise_56x56x144", "layernorm_128x768",
                                    "softmax_12x128x128", "gelu_128x3072", "maxpool_112", "transpose_1024")},
}
OPTIONS = {
    "stft": ["--dim", "batch=2"],
    "bert_open": ["--dim", "batch=2", "--dim", "sequence=7"],
}


def checked(ingot, name, build, out):
    built = build()
    path = out / f"{name}.onnx"
    onnx.save(built[0] if isinstance(built, tuple) else built, path)
    call([ingot, "check", path, *OPTIONS.get(name, [])])
    path.unlink()


def compared(ingot, out):
    """bench/compare.py itself, once and briefly: ingot and ONNX Runtime agree and both have a time."""
    call([sys.executable, ROOT / "bench" / "compare.py", ROOT / "models" / "digits" / "digits.onnx", "--ingot", ingot, "--peers", "ort",
          "--rounds", 1, "--seconds", 0.01, "--cache", out / "bench", "--json", out / "compared.json"])
    told = json.loads((out / "compared.json").read_text())["models"]
    if len(told) != 1 or not told[0]["ingot_ms"] > 0 or not told[0]["peers"]["ort"] > 0:
        raise Failed(f"compare.py tells {told}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ingot, out, counter = sys.argv[1], pathlib.Path(sys.argv[2]), Counter()
    out.mkdir(parents=True, exist_ok=True)
    for name, build in SMALL.items():
        counter.test(name, checked, ingot, name, build, out)
    counter.test("compare.py", compared, ingot, out)
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
