#!/usr/bin/env python3
"""The node tests of the installed onnx package as folders: model.onnx, test_data_set_N/input_K.pb and output_K.pb.

    write_tests.py OUT [--but FOLDER ...]        without those that one of the folders has
"""
import argparse
import pathlib
import warnings

import numpy as np
import onnx
from onnx import numpy_helper

warnings.simplefilter("ignore")
from onnx.backend.test.case.node import collect_testcases  # noqa: E402  (it computes what it collects)


def proto(value, info):
    """A recorded value as the message that its declared type is stored as."""
    if isinstance(value, onnx.TensorProto):
        return value
    kind = info.type.WhichOneof("value")
    makers = {"map_type": numpy_helper.from_dict, "sequence_type": numpy_helper.from_list,
              "optional_type": numpy_helper.from_optional}
    make = makers.get(kind, lambda v, name: numpy_helper.from_array(np.asarray(v), name))
    return make(value, info.name)


def write(case, folder):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for n, data in enumerate(case.data_sets):
        where = folder / f"test_data_set_{n}"
        where.mkdir()
        for name, values, infos in zip(("input", "output"), data, (case.model.graph.input, case.model.graph.output)):
            for k, value in enumerate(values):
                (where / f"{name}_{k}.pb").write_bytes(proto(value, infos[k]).SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--but", type=pathlib.Path, nargs="*", default=[])
    o = parser.parse_args()
    for case in collect_testcases(None):
        if not any((folder / case.name).is_dir() for folder in o.but):
            write(case, o.out / case.name)


if __name__ == "__main__":
    main()
