"""Language models as onnxruntime-genai's builder writes them: GroupQueryAttention with caches of open length, rotary
embedding inside of it, SkipSimplifiedLayerNormalization, MatMulNBits. Random weights, small sizes."""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from recording import Recorder, Refused

FORMS = ("fp32", "int4")
VOCABULARY, HEAD, WINDOW = 320, 32, 16
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0,
         "sliding_window": WINDOW}
SCALED = {"type": "longrope", "short_factor": [1.0] * 16, "long_factor": [2.0] * 16}
HEADED = {"head_dim": HEAD}
# Row: the kind of model, and what its configuration has beside SMALL.
NETS = {"llama": ("llama", {}), "mistral": ("mistral", {}), "qwen2": ("qwen2", {}), "qwen3": ("qwen3", HEADED),
        "phi": ("phi", {}), "phi3": ("phi3", {"original_max_position_embeddings": 64, "rope_scaling": SCALED}),
        "gemma": ("gemma", HEADED), "gemma2": ("gemma2", HEADED), "olmo": ("olmo", {}), "granite": ("granite", {}),
        "nemotron": ("nemotron", {}), "smollm3": ("smollm3", {}),
        "ernie": ("ernie4_5", HEADED), "lfm2": ("lfm2", {}),
        "gpt_oss": ("gpt_oss", {**HEADED, "num_local_experts": 4, "num_experts_per_tok": 2})}


def save_tokenizer(folder):
    """The builder wants one, and does not look into it."""
    from tokenizers import Tokenizer, models
    words = {f"w{i}": i for i in range(VOCABULARY)}
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w0")), unk_token="w0",
                            eos_token="w1", pad_token="w2").save_pretrained(folder)


def build(row, form, folder):
    """The model as one file."""
    kind, more = row
    torch.manual_seed(1)
    net = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SMALL, **more}))
    source, target = folder / "net", folder / "built"
    net.eval().save_pretrained(source)
    save_tokenizer(source)
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", target, "-p", form, "-e",
               "cpu", "-c", folder / "cache"]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=offline)
    if done.returncode:
        raise Refused(f"the builder: {done.stderr.strip().splitlines()[-1][:160]}")
    model = onnx.load(target / "model.onnx")
    for a in (a for n in model.graph.node if n.op_type == "MatMulNBits" for a in n.attribute):
        if a.name == "accuracy_level":
            a.i = 1  # 4 lets ONNX Runtime round A to bytes
    return model


def feeds_of(inputs, batch, length, past):
    rng = np.random.default_rng(batch + length + past)
    sizes = {"batch_size": batch, "sequence_length": length, "past_sequence_length": past,
             "total_sequence_length": length + past, "past_sliding_length": WINDOW, "kv_cache_dim": HEAD}
    feeds = {}
    for i in inputs:
        shape = [sizes.get(d, d) for d in i.shape]
        if any(isinstance(d, str) for d in shape):
            raise Refused(f"an input {i.name} of {i.shape}")
        if i.name == "input_ids":
            feeds[i.name] = rng.integers(0, VOCABULARY, shape)
        elif i.name == "attention_mask":
            feeds[i.name] = np.ones(shape, np.int64)
        elif i.name == "position_ids":
            feeds[i.name] = np.broadcast_to(np.arange(past, past + length), shape).copy()
        else:
            feeds[i.name] = rng.standard_normal(shape).astype(np.float32)
    return feeds


def make(row, form, folder):
    recorder = Recorder(folder)
    try:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            onnx.save(build(row, form, pathlib.Path(scratch)), recorder.path)
        recorder.open()
        for batch, length, past in ((1, 20, 0), (1, 1, 20), (2, 18, 0), (1, 70, 0), (1, 1, 90)):  # no cache half full
            recorder.add(feeds_of(recorder.runner.get_inputs(), batch, length, past))
    except Refused as e:
        recorder.refuse(e)
