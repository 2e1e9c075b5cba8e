#!/usr/bin/env python3
"""Write ResNet-50 (He et al. 2015, with the stride in the 3x3 as torchvision has it) with seeded random weights.

    python bench/resnet50.py [--batch N|symbolic] [--size 224] [-o resnet50.onnx]

25.6 million parameters, 4.1 GFLOP multiply-adds per image; BatchNormalization stands unfolded, as exporters write it
in training-preserving mode. Needs numpy and onnx.
"""
import argparse

import onnx

from net import Net, batch_of

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first


def bottleneck(net, x, c_in, width, stride, name):
    y = x
    for i, (a, b, k, s) in enumerate(((c_in, width, 1, 1), (width, width, 3, stride)), 1):
        y = net.conv(y, a, b, k, s, bias=False, name=f"{name}.conv{i}")
        y = net.op("Relu", net.batch_norm(y, b, var=1.2, name=f"{name}.bn{i}"))
    y = net.conv(y, width, 4 * width, 1, bias=False, name=f"{name}.conv3")
    # A small gain on the last normalisation of a branch: sixteen sums in a row must not grow.
    y = net.batch_norm(y, 4 * width, gain=0.3, var=1.2, name=f"{name}.bn3")
    if c_in != 4 * width or stride != 1:
        x = net.conv(x, c_in, 4 * width, 1, stride, bias=False, name=f"{name}.downsample.0")
        x = net.batch_norm(x, 4 * width, var=1.2, name=f"{name}.downsample.1")
    return net.op("Relu", net.op("Add", y, x))


def resnet50(batch=1, size=224, seed=50):
    net = Net("resnet50", seed)
    x = net.input("image", [batch, 3, size, size])
    x = net.conv(x, 3, 64, 7, 2, bias=False, name="conv1")
    x = net.op("Relu", net.batch_norm(x, 64, var=2.0, name="bn1"))
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    c_in = 64
    for i, (width, blocks, stride) in enumerate(STAGES, 1):
        for j in range(blocks):
            x = bottleneck(net, x, c_in, width, stride if j == 0 else 1, f"layer{i}.{j}")
            c_in = 4 * width
    x = net.op("Flatten", net.op("GlobalAveragePool", x), axis=1)
    net.output(net.gemm(x, c_in, 1000), "logits", [batch, 1000])
    return net.model()


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--batch", type=batch_of, default=1)
    args.add_argument("--size", type=int, default=224)
    args.add_argument("-o", "--out", default="resnet50.onnx")
    args = args.parse_args()
    onnx.save(resnet50(args.batch, args.size), args.out)


if __name__ == "__main__":
    main()
