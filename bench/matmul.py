#!/usr/bin/env python3
"""Write one f32 matrix product, [M, K] times [K, N].

    python bench/matmul.py [--m 1024] [--n 1024] [--k 1024] [--inputs] [-o matmul.onnx]

The second matrix is a weight, or, with --inputs, an input as the first one. --m symbolic leaves M open.
"""
import argparse

import onnx

from net import Net, batch_of


def matmul(m=1024, n=1024, k=1024, both_inputs=False, seed=3):
    net = Net("matmul", seed)
    a = net.input("a", [m, k])
    b = net.input("b", [k, n]) if both_inputs else net.weight(net.random(k, n, std=k ** -0.5), "b")
    net.output(net.op("MatMul", a, b), "c", [m, n])
    return net.model()


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--m", type=batch_of, default=1024)
    args.add_argument("--n", type=int, default=1024)
    args.add_argument("--k", type=int, default=1024)
    args.add_argument("--inputs", action="store_true")
    args.add_argument("-o", "--out", default="matmul.onnx")
    args = args.parse_args()
    onnx.save(matmul(args.m, args.n, args.k, args.inputs), args.out)


if __name__ == "__main__":
    main()
