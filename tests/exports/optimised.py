"""What becomes of exports before they are shipped: ONNX Runtime's optimisers, its quantisers, float16.

The first two write operators of com.microsoft: Attention, SkipLayerNormalization, FusedMatMul, MatMulNBits and more."""
import contextlib
import io
import logging
import pathlib
import tempfile
import warnings

import numpy as np
import onnx
import torch

import torchvision_nets
import transformers_nets
from recording import Recorder, Refused, first_line, session
from torch_nets import export, spread

# Form: what quantize_static makes of it (pairs of Q and DQ, or operators of their own), activations, weights.
STATIC = {"qdq": ("QDQ", "QInt8", "QInt8"), "qdq-unsigned": ("QDQ", "QUInt8", "QUInt8"),
          "qdq-16": ("QDQ", "QUInt16", "QInt8"), "qdq-4": ("QDQ", "QUInt8", "QInt4"),
          "qop": ("QOperator", "QUInt8", "QInt8"), "qop-signed": ("QOperator", "QInt8", "QInt8")}
# Form: bits of weights in blocks of 16, symmetric, between Q and DQ rather than in MatMulNBits, of which operators.
BLOCKS = {"int4": (4, False, False, ("MatMul",)), "int4-qdq": (4, True, True, ("MatMul",)),
          "int4-gather": (4, False, False, ("MatMul", "Gather")), "int8-blocks": (8, False, False, ("MatMul",)),
          "int2": (2, False, False, ("MatMul",))}
DYNAMIC = {"int8": {"weight_type": "QUInt8"}, "int8-channels": {"weight_type": "QInt8", "per_channel": True}}
FORMS = ("extended", "extended-dynamo", "fused", "fused-dynamo", *DYNAMIC, "int8-fused", *BLOCKS, "f16", *STATIC)
BYTES = ("int8-fused", *DYNAMIC, *STATIC)
COARSE = 0.02  # of f16, which ONNX Runtime rounds to where ingot fuses; of bytes, where a rounding flips
# Bytes: one that is halfway (x / scale = 58.500005) falls to the other side when a sum before it moves by its last bit,
# and the output by some percent. Few nudges meet such a byte: so there are many, and what they move is let pass.
NUDGES, FLIPS = 16, 0.05
ALL = {**transformers_nets.NETS, **torchvision_nets.NETS}
# Row: what onnxruntime.transformers.optimizer takes it for.
NETS = {name: (name, kind) for name, kind in {
    "bert": "bert", "roberta": "bert", "distilbert": "bert", "albert": "bert", "mpnet": "bert", "bart": "bart",
    "gpt2": "gpt2", "gpt2_past": "gpt2", "opt": "gpt2", "gptj": "gpt2", "llama": "gpt2", "llama_past": "gpt2",
    "mistral": "gpt2", "qwen2": "gpt2", "gemma": "gpt2", "phi": "phi", "t5": "t5", "whisper": "bart", "clip": "clip",
    "vit_hf": "vit", "swin_hf": "swin", "wav2vec2": "bert", "segformer": "vit", "detr": "bert", "resnet18": None,
    "mobilenet_v2": None, "mobilenet_v3": None, "efficientnet": None, "convnext": None, "shufflenet_v2": None,
    "swin": "swin", "yolos": "vit", "modernbert": "bert", "siglip": "clip", "dinov2": "vit"}.items()}


@contextlib.contextmanager
def quiet():
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def fuse(source, target, kind):
    from onnxruntime.transformers import optimizer
    if not kind:
        raise Refused("no transformer")
    model = optimizer.optimize_model(str(source), model_type=kind, num_heads=0, hidden_size=0, opt_level=0)
    model.save_model_to_file(str(target))


def dynamic(source, target, form="int8"):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    options = dict(DYNAMIC[form])
    quantize_dynamic(str(source), str(target), weight_type=QuantType[options.pop("weight_type")], **options)


def static(source, target, feeds, form):
    """Activations too, by what they were on FEEDS."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        rows = iter([{name: np.asarray(value) for name, value in feeds.items()}])

        def get_next(self):
            return next(self.rows, None)

    style, activations, weights = STATIC[form]
    quantize_static(str(source), str(target), Reader(), quant_format=QuantFormat[style],
                    activation_type=QuantType[activations], weight_type=QuantType[weights],
                    per_channel=activations == "QInt8")


def blocks(source, target, form):
    from onnxruntime.quantization import QuantFormat
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    bits, symmetric, pairs, operators = BLOCKS[form]
    quantizer = MatMulNBitsQuantizer(onnx.load(source), bits=bits, block_size=16, is_symmetric=symmetric,
                                     quant_format=QuantFormat.QDQ if pairs else QuantFormat.QOperator,
                                     op_types_to_quantize=operators)
    quantizer.process()
    quantizer.model.save_model_to_file(str(target))
    made = {"MatMulNBits", "DequantizeLinear", "GatherBlockQuantized"}
    if not any(n.op_type in made for n in onnx.load(target).graph.node):
        raise Refused("nothing to quantise")


def half(source, target):
    from onnxruntime.transformers.float16 import convert_float_to_float16
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def change(form, kind, source, target, folder, feeds):
    """The form of the model in SOURCE, written to TARGET."""
    if form.startswith("extended"):
        session(source, optimised=target)
    elif form.startswith("fused"):
        fuse(source, target, kind)
    elif form in DYNAMIC:
        dynamic(source, target, form)
    elif form == "int8-fused":
        dynamic(source, folder / "int8.onnx")
        session(folder / "int8.onnx", optimised=target)
    elif form in STATIC:
        static(source, target, feeds, form)
    elif form in BLOCKS:
        blocks(source, target, form)
    else:
        half(source, target)


def make(row, form, folder):
    recorder, (name, kind) = Recorder(folder), row
    recorder.atol = COARSE if form == "f16" or form in BYTES else recorder.atol
    if form in BYTES:
        recorder.tries, recorder.margin, recorder.moves = NUDGES, 2, FLIPS
    try:
        torch.manual_seed(1)
        net = ALL[name]()
        spread(net.module)  # those of torchvision end at 1e-10, which f16 has not
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            source = pathlib.Path(scratch) / "source.onnx"
            export(net, "dynamo-open" if form.endswith("dynamo") else "script-open", source)
            try:
                with quiet():
                    change(form, kind, source, recorder.path, pathlib.Path(scratch), net.feeds(net.sizes, 3))
            except Refused:
                raise
            except Exception as e:  # so many tools
                raise Refused(f"{form}: {type(e).__name__}: {first_line(e)}") from e
        recorder.open()
        recorder.add(net.feeds(net.sizes, 1))
        recorder.add_other(net.feeds({**net.sizes, **net.other}, 2))
    except Refused as e:
        recorder.refuse(e)
