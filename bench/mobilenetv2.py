#!/usr/bin/env python3
"""Write MobileNetV2 (Sandler et al. 2018) with seeded random weights.

    python bench/mobilenetv2.py [--batch N|symbolic] [--size 224] [-o mobilenetv2.onnx]

3.5 million parameters, 0.3 G multiply-adds per image; relu6 is Clip with bounds as inputs, BatchNormalization stands
unfolded. Needs numpy and onnx.
"""
import argparse

import onnx

from net import Net, batch_of

# expansion, channels, blocks, stride of the first
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def conv_bn(net, x, c_in, c_out, k, stride, name, group=1, relu6=True, gain=1.0):
    x = net.conv(x, c_in, c_out, k, stride, group=group, bias=False, name=f"{name}.0")
    x = net.batch_norm(x, c_out, gain=gain, var=1.2, name=f"{name}.1")
    return net.op("Clip", x, net.f32(0), net.f32(6)) if relu6 else x


def inverted_residual(net, x, c_in, c_out, expansion, stride, name):
    wide, y = c_in * expansion, x
    if expansion != 1:
        y = conv_bn(net, y, c_in, wide, 1, 1, f"{name}.expand")
    y = conv_bn(net, y, wide, wide, 3, stride, f"{name}.depthwise", group=wide)
    y = conv_bn(net, y, wide, c_out, 1, 1, f"{name}.project", relu6=False, gain=0.7)
    return net.op("Add", x, y) if stride == 1 and c_in == c_out else y


def mobilenetv2(batch=1, size=224, seed=2):
    net = Net("mobilenetv2", seed)
    x = net.input("image", [batch, 3, size, size])
    x = conv_bn(net, x, 3, 32, 3, 2, "features.0")
    c_in, at = 32, 0
    for expansion, c_out, blocks, stride in STAGES:
        for j in range(blocks):
            at += 1
            x = inverted_residual(net, x, c_in, c_out, expansion, stride if j == 0 else 1, f"features.{at}")
            c_in = c_out
    x = conv_bn(net, x, c_in, 1280, 1, 1, f"features.{at + 1}")
    x = net.op("Flatten", net.op("GlobalAveragePool", x), axis=1)
    net.output(net.gemm(x, 1280, 1000, name="classifier.1"), "logits", [batch, 1000])
    return net.model()


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--batch", type=batch_of, default=1)
    args.add_argument("--size", type=int, default=224)
    args.add_argument("-o", "--out", default="mobilenetv2.onnx")
    args = args.parse_args()
    onnx.save(mobilenetv2(args.batch, args.size), args.out)


if __name__ == "__main__":
    main()
