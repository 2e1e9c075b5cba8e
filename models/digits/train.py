#!/usr/bin/env python3
"""Train the digits model with numpy alone, and write everything that stands in this folder.

    python train.py [--out DIR] [--epochs N]      needs numpy, onnx, scikit-learn (for its data)

Data: the UCI handwritten digits that scikit-learn carries, 1797 images of 8x8 pixels, 0..16. Each pixel v becomes
round(v * 255 / 16), the byte of the PNG, and then byte / 255: what the network sees in training is exactly what the
PNG reader of a compiled executable gives it. The set is in the order in which the writers' forms were read, so the
last fifth in file order is held out: mostly hands that training never saw, which is harder than a random split.
Rates and epochs are constants of this file. The held-out score was looked at twice while distortion, epochs and
averaging were settled (see README.md), so it is slightly optimistic.

Network: conv3x3 - relu - conv3x3 - relu - maxpool - conv3x3 - relu - maxpool - gemm - softmax, trained by Adam on the
cross entropy; random shifts, turns, scalings and shears stand in for the hands that are missing, and what is written
is the running mean of the weights. Seeded; one BLAS thread, so that two runs on one machine write the same bytes.
"""
import argparse
import os
import pathlib
import struct
import zlib

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402  (after the thread count)
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

SEED = 20240607
CHANNELS = (1, 16, 24, 32)
CLASSES = 10
BATCH = 64
IMAGES = 20  # written as PNG and as the test set
F = np.float32


# The layers: each forward gives (output, what backward needs).

def patches(x):
    """[N][C][H][W] -> [N*H*W][C*9]: the 3x3 surroundings of every pixel, zero outside."""
    n, c, h, w = x.shape
    p = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    s = p.strides
    view = np.lib.stride_tricks.as_strided(p, (n, h, w, c, 3, 3),
                                           (s[0], s[2], s[3], s[1], s[2], s[3]))
    return view.reshape(n * h * w, c * 9)


def conv(x, weight, bias):
    n, _, h, w = x.shape
    columns = patches(x)
    y = columns @ weight.reshape(len(weight), -1).T + bias
    return y.reshape(n, h, w, -1).transpose(0, 3, 1, 2), (x.shape, columns)


def conv_back(dy, weight, kept):
    (n, c, h, w), columns = kept
    rows = dy.transpose(0, 2, 3, 1).reshape(n * h * w, -1)
    d_weight = (rows.T @ columns).reshape(weight.shape)
    d_columns = (rows @ weight.reshape(len(weight), -1)).reshape(n, h, w, c, 3, 3)
    dx = np.zeros((n, c, h + 2, w + 2), F)
    for i in range(3):
        for j in range(3):
            dx[:, :, i:i + h, j:j + w] += d_columns[:, :, :, :, i, j].transpose(0, 3, 1, 2)
    return dx[:, :, 1:-1, 1:-1], d_weight, rows.sum(0)


def pool(x):
    """2x2 maximum; backward gives to the first of equal ones."""
    n, c, h, w = x.shape
    cells = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    cells = cells.reshape(n, c, h // 2, w // 2, 4)
    return cells.max(-1), (x.shape, cells.argmax(-1))


def pool_back(dy, kept):
    (n, c, h, w), where = kept
    cells = (np.arange(4) == where[..., None]) * dy[..., None]
    cells = cells.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return cells.reshape(n, c, h, w).astype(F)


def forward(p, x):
    kept = {}
    a, kept["conv1"] = conv(x, p["conv1.weight"], p["conv1.bias"])
    kept["a"] = a = np.maximum(a, 0)
    b, kept["conv2"] = conv(a, p["conv2.weight"], p["conv2.bias"])
    kept["b"] = b = np.maximum(b, 0)
    b, kept["pool1"] = pool(b)
    c, kept["conv3"] = conv(b, p["conv3.weight"], p["conv3.bias"])
    kept["c"] = c = np.maximum(c, 0)
    c, kept["pool2"] = pool(c)
    kept["shape"] = c.shape
    kept["flat"] = flat = c.reshape(len(c), -1)
    logits = flat @ p["fc.weight"].T + p["fc.bias"]
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), kept


def backward(p, kept, probability, labels):
    g = {}
    d = probability.copy()
    d[np.arange(len(labels)), labels] -= 1
    d = (d / len(labels)).astype(F)
    g["fc.weight"], g["fc.bias"] = d.T @ kept["flat"], d.sum(0)
    d = pool_back((d @ p["fc.weight"]).reshape(kept["shape"]), kept["pool2"]) * (kept["c"] > 0)
    d, g["conv3.weight"], g["conv3.bias"] = conv_back(d, p["conv3.weight"], kept["conv3"])
    d = pool_back(d, kept["pool1"]) * (kept["b"] > 0)
    d, g["conv2.weight"], g["conv2.bias"] = conv_back(d, p["conv2.weight"], kept["conv2"])
    d = d * (kept["a"] > 0)
    _, g["conv1.weight"], g["conv1.bias"] = conv_back(d, p["conv1.weight"], kept["conv1"])
    return g


# Data and training.

def load():
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.round(data.images * 255 / 16).astype(np.uint8)
    cut = len(pixels) * 4 // 5
    return pixels[:cut], data.target[:cut], pixels[cut:], data.target[cut:]


def as_input(pixels):
    return (pixels.astype(F) / F(255)).reshape(-1, 1, 8, 8)


def distort(x, rng):
    """A random small shift, turn, scaling and shear of each image, sampled bilinearly."""
    n = len(x)
    turn, shear = rng.uniform(-0.15, 0.15, n), rng.uniform(-0.1, 0.1, n)
    scale_y, scale_x = rng.uniform(0.9, 1.1, (2, n))
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.stack([np.stack([c * scale_y, -s + shear], 1), np.stack([s, c * scale_x], 1)], 1)
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), 0).reshape(2, 64) - 3.5
    at = matrix @ grid + 3.5 + rng.uniform(-0.7, 0.7, (n, 2, 1))
    low = np.floor(at).astype(int)
    part = at - low
    padded = np.pad(x[:, 0], ((0, 0), (8, 8), (8, 8)))
    out = np.zeros((n, 64))
    rows = np.arange(n)[:, None]
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            y, z = np.clip(low[:, 0] + dy + 8, 0, 23), np.clip(low[:, 1] + dx + 8, 0, 23)
            out += weight * padded[rows, y, z]
    return out.reshape(n, 1, 8, 8).astype(F)


def start(rng):
    p = {}
    for i, (c_in, c_out) in enumerate(zip(CHANNELS, CHANNELS[1:]), 1):
        p[f"conv{i}.weight"] = rng.normal(0, np.sqrt(2 / (9 * c_in)), (c_out, c_in, 3, 3)).astype(F)
        p[f"conv{i}.bias"] = np.zeros(c_out, F)
    flat = CHANNELS[-1] * 4
    p["fc.weight"] = rng.normal(0, np.sqrt(1 / flat), (CLASSES, flat)).astype(F)
    p["fc.bias"] = np.zeros(CLASSES, F)
    return p


def train(x, labels, epochs):
    rng = np.random.default_rng(SEED)
    p = start(rng)
    first = {k: np.zeros_like(v) for k, v in p.items()}
    second = {k: np.zeros_like(v) for k, v in p.items()}
    mean = {k: v.copy() for k, v in p.items()}
    step, steps = 0, epochs * (len(x) // BATCH)
    for epoch in range(epochs):
        order, total = rng.permutation(len(x)), 0.0
        for at in range(0, len(x) - BATCH + 1, BATCH):
            pick = order[at:at + BATCH]
            probability, kept = forward(p, distort(x[pick], rng))
            total -= np.log(probability[np.arange(BATCH), labels[pick]] + 1e-9).mean()
            g = backward(p, kept, probability, labels[pick])
            step += 1
            rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
            for k in p:
                first[k] = 0.9 * first[k] + 0.1 * g[k]
                second[k] = 0.999 * second[k] + 0.001 * g[k] ** 2
                move = first[k] / (1 - 0.9 ** step) / (np.sqrt(second[k] / (1 - 0.999 ** step)) + 1e-8)
                p[k] = (p[k] - rate * (move + 1e-4 * p[k])).astype(F)
                mean[k] = (0.995 * mean[k] + 0.005 * p[k]).astype(F)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}/{epochs}: loss {total / (len(x) // BATCH):.4f}", flush=True)
    return mean


# What is written.

def make_onnx(p):
    node = helper.make_node
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", **same),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", **same),
        node("Relu", ["c2"], ["r2"], "relu2"),
        node("MaxPool", ["r2"], ["p1"], "pool1", **window),
        node("Conv", ["p1", "conv3.weight", "conv3.bias"], ["c3"], "conv3", **same),
        node("Relu", ["c3"], ["r3"], "relu3"),
        node("MaxPool", ["r3"], ["p2"], "pool2", **window),
        node("Flatten", ["p2"], ["flat"], "flatten", axis=1),
        node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], "fc", transB=1),
        node("Softmax", ["logits"], ["probability"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(v, k) for k, v in p.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)],
                              producer_name="models/digits/train.py")
    model.ir_version = 10
    onnx.checker.check_model(model, full_check=True)
    return model


def write_png(path, pixels):
    """An 8-bit grey PNG without interlace; filter 0 on every row."""
    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body
                + struct.pack(">I", zlib.crc32(kind + body)))
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n"
                     + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    args.add_argument("--epochs", type=int, default=100)
    args = args.parse_args()

    pixels, labels, held_pixels, held_labels = load()
    p = train(as_input(pixels), labels, args.epochs)
    model = make_onnx(p)
    held, _ = forward(p, as_input(held_pixels))
    right = int((held.argmax(1) == held_labels).sum())
    seen, _ = forward(p, as_input(pixels))
    print(f"{sum(v.size for v in p.values())} parameters")
    print(f"training images: {int((seen.argmax(1) == labels).sum())} of {len(labels)} right")
    print(f"held-out images: {right} of {len(held_labels)} right, {100 * right / len(held_labels):.2f} %")

    # The images: the first two of each digit among the held-out ones, right or wrong.
    pick = sorted(i for d in range(CLASSES)
                  for i in np.flatnonzero(held_labels == d)[:IMAGES // CLASSES])
    images, folder = args.out / "images", args.out / "test_data_set_0"
    images.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.png"):
        old.unlink()
    for i in pick:
        write_png(images / f"{held_labels[i]}_{len(pixels) + i}.png", held_pixels[i])
    x = as_input(held_pixels[pick])
    y = ReferenceEvaluator(model).run(None, {"image": x})[0]
    assert np.abs(y - held[pick]).max() < 1e-5, "the exported model disagrees with the trained one"
    onnx.save(model, args.out / "digits.onnx")
    (folder / "input_0.pb").write_bytes(numpy_helper.from_array(x, "image").SerializeToString())
    (folder / "output_0.pb").write_bytes(numpy_helper.from_array(y, "probability").SerializeToString())
    (args.out / "labels.txt").write_text("".join(f"{d}\n" for d in range(CLASSES)))


if __name__ == "__main__":
    main()
