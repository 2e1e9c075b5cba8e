"""The Python binding: what it describes, computes and refuses. Run by scripts/check.sh: python tests/python/binding_test.py"""

import pathlib
import shutil
import sys
import tempfile
import threading
import unittest

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))

import ingot  # noqa: E402
import ingot.backend  # noqa: E402
import ingot.model  # noqa: E402

DIGITS = ROOT / "models" / "digits"


def tensor_file(path):
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def model_of(nodes, inputs, outputs, opset=23):
    """inputs, outputs: (name, ONNX dtype, dims)."""
    infos = [[helper.make_tensor_value_info(*port) for port in ports] for ports in (inputs, outputs)]
    graph = helper.make_graph(nodes, "test", *infos)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11)


def identity(dtype, dims):
    return model_of([helper.make_node("Identity", ["x"], ["y"])], [("x", dtype, dims)], [("y", dtype, dims)])


def add(op="Add"):
    node = helper.make_node(op, ["a", "b"], ["c"])
    return model_of([node], [("a", 1, ["n", 2]), ("b", 1, [2])], [("c", 1, ["n", 2])])


class Digits(unittest.TestCase):
    x = tensor_file(DIGITS / "test_data_set_0" / "input_0.pb")
    want = tensor_file(DIGITS / "test_data_set_0" / "output_0.pb")

    def check(self, model, name="probability"):
        np.testing.assert_allclose(model.run({"image": self.x})[name], self.want, rtol=1e-3, atol=1e-7)

    def test_path_bytes_and_proto(self):
        path = DIGITS / "digits.onnx"
        for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), onnx.load(str(path))):
            self.check(ingot.compile(source))

    def test_described(self):
        model = ingot.compile(DIGITS / "digits.onnx")
        self.assertEqual([str(p) for p in model.inputs], ["image: f32[batch, 1, 8, 8]"])
        self.assertEqual(model.outputs[0].dims, ("batch", 10))
        self.assertIn("out  probability: f32[batch, 10]", repr(model))

    def test_fixed_dim(self):
        model = ingot.compile(DIGITS / "digits.onnx", dims={"batch": len(self.x)}, options=["-O3"])
        self.assertEqual(model.inputs[0].dims[0], len(self.x))
        self.check(model)
        with self.assertRaises(ingot.Error) as e:
            model.run([np.concatenate([self.x, self.x])])
        self.assertEqual(e.exception.status, 2)

    def test_kept_and_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "libdigits-v2.so"
            self.check(ingot.compile(DIGITS / "digits.onnx", path))
            self.assertTrue((pathlib.Path(folder) / "digits-v2.h").exists())
            self.check(ingot.load(path, threads=2))
            shutil.copy(path, pathlib.Path(folder) / "other.so")
            with self.assertRaisesRegex(ingot.Error, "renamed"):
                ingot.load(pathlib.Path(folder) / "other.so")

    def test_temporary_folder_goes(self):
        model = ingot.compile(DIGITS / "digits.onnx")
        path = pathlib.Path(model.path)
        self.assertTrue(path.exists())
        model.close()
        self.assertFalse(path.parent.exists())
        with self.assertRaisesRegex(ingot.Error, "closed"):
            model.run([self.x])

    def test_threads(self):
        model, failures = ingot.compile(DIGITS / "digits.onnx"), []

        def work():
            try:
                self.check(ingot.compile(DIGITS / "digits.onnx"))
                for _ in range(20):
                    self.check(model)
            except Exception as e:  # told by the main thread
                failures.append(e)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])


class Values(unittest.TestCase):
    def test_every_dtype(self):
        for number, (name, _) in ingot.model.DTYPES.items():
            if number == ingot.model.STRING:
                continue
            dtype = ingot.model.numpy_dtype(number)
            values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
            with self.subTest(name):
                got = ingot.compile(identity(number, [2, 3])).run([values])["y"]
                self.assertEqual(got.dtype, dtype)
                self.assertEqual(got.tobytes(), values.tobytes())

    def test_strings(self):
        values = np.array([["", "héllo"], ["a\0b", "x" * 1000]], dtype=object)
        got = ingot.compile(identity(8, [2, 2])).run([values])["y"]
        self.assertEqual(got.tolist(), values.tolist())
        self.assertEqual(ingot.compile(identity(8, [2])).run([np.array(["a", "bc"])])["y"].tolist(), ["a", "bc"])

    def test_scalar_empty_and_strided(self):
        self.assertEqual(ingot.compile(identity(1, [])).run([2.5])["y"].tolist(), 2.5)
        self.assertEqual(ingot.compile(identity(7, [0, 3])).run([np.zeros((0, 3), np.int64)])["y"].shape, (0, 3))
        x = np.arange(12, dtype=np.float32).reshape(4, 3).T
        np.testing.assert_array_equal(ingot.compile(identity(1, [3, 4])).run([x])["y"], x)
        np.testing.assert_array_equal(ingot.compile(identity(1, [3, 2])).run([x[:, ::2]])["y"], x[:, ::2])

    def test_results_are_copies(self):
        model = ingot.compile(identity(1, ["n"]))
        first = model.run([np.float32([1, 2])])["y"]
        model.run([np.float32([3, 4])])
        self.assertEqual(first.tolist(), [1, 2])
        first[0] = 7  # and may be written

    def test_optional_input(self):
        clip = model_of([helper.make_node("Clip", ["x", "", "hi"], ["y"])], [("x", 1, [2]), ("hi", 1, [])],
                        [("y", 1, [2])])
        self.assertEqual(ingot.compile(clip).run({"hi": np.float32(1), "x": np.float32([0, 5])})["y"].tolist(), [0, 1])

    def test_sequences_and_optionals(self):
        tensor = helper.make_tensor_type_proto(1, ["n"])
        sequence, maybe = helper.make_sequence_type_proto(tensor), helper.make_optional_type_proto(tensor)
        nodes = [helper.make_node("SequenceInsert", ["s", "x"], ["t"]), helper.make_node("Identity", ["o"], ["p"]),
                 helper.make_node("OptionalHasElement", ["o"], ["has"])]
        graph = helper.make_graph(nodes, "test", [
            helper.make_value_info("s", sequence), helper.make_value_info("x", tensor), helper.make_value_info("o", maybe),
        ], [helper.make_value_info("t", sequence), helper.make_value_info("p", maybe),
            helper.make_tensor_value_info("has", 9, [])])
        model = ingot.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11))
        self.assertIn("s: sequence(f32[", str(model.inputs[0]))
        a, b = np.float32([1, 2]), np.float32([3])
        out = model.run({"s": [a, b], "x": a, "o": b})
        self.assertEqual([v.tolist() for v in out["t"]], [[1, 2], [3], [1, 2]])
        self.assertEqual((out["p"].tolist(), bool(out["has"])), ([3], True))
        out = model.run({"s": [], "x": a, "o": None})
        self.assertEqual(([v.tolist() for v in out["t"]], out["p"], bool(out["has"])), ([[1, 2]], None, False))
        with self.assertRaisesRegex(ingot.Error, "expected a list"):
            model.run({"s": a, "x": a, "o": None})

    def test_run_node(self):
        node = helper.make_node("TopK", ["x", "k"], ["v", "i"])
        values, indices = ingot.backend.run_node(node, [np.float32([1, 3, 2]), np.int64([2])])
        self.assertEqual((values.tolist(), indices.tolist()), ([3, 2], [1, 2]))
        self.assertTrue(ingot.backend.supports_device("CPU"))
        self.assertFalse(ingot.backend.supports_device("CUDA"))


class Refusals(unittest.TestCase):
    """Every one is an Error with the status of the command, and the process goes on."""

    def refused(self, status, pattern, call, *arguments, **options):
        with self.assertRaisesRegex(ingot.Error, pattern) as e:
            call(*arguments, **options)
        self.assertEqual(e.exception.status, status)

    def test_compile(self):
        unknown = model_of([helper.make_node("NoSuchOperator", ["x"], ["y"])], [("x", 1, [1])], [("y", 1, [1])])
        self.refused(5, "nothere.onnx", ingot.compile, "nothere.onnx")
        self.refused(4, "model.onnx", ingot.compile, b"nonsense")
        self.refused(4, "", ingot.compile, b"")
        self.refused(3, "NoSuchOperator", ingot.compile, unknown)
        self.refused(2, "did you mean", ingot.compile, add(), options=["--targte=native"])
        self.refused(2, "m=3", ingot.compile, add(), dims={"m": 3})
        self.refused(2, "--json", ingot.compile, add(), options=["--json"])
        self.refused(2, "", ingot.compile, add(), options=["--help"])
        self.refused(2, "", ingot.compile, add(), options=["another.onnx"])
        self.refused(5, "", ingot.compile, add(), "/nonexistent/model.so")

    def test_run(self):
        model = ingot.compile(add())
        a, b = np.zeros((3, 2), np.float32), np.zeros(2, np.float32)
        self.assertEqual(model.run([a, b])["c"].shape, (3, 2))
        self.refused(2, "'b' is missing", model.run, [a])
        self.refused(2, "no input 'x'", model.run, {"a": a, "b": b, "x": b})
        self.refused(2, "3 inputs, the model takes 2", model.run, [a, b, b])
        self.refused(2, "float64, expected float32", model.run, [a, b.astype(np.float64)])
        self.refused(2, "f32\\[3\\]", model.run, [a, np.zeros(3, np.float32)])
        self.refused(2, "rank 13", model.run, [np.zeros((1,) * 13, np.float32), b])
        self.assertEqual(model.run([a, b])["c"].shape, (3, 2))

    def test_data(self):
        gather = model_of([helper.make_node("Gather", ["x", "i"], ["y"])], [("x", 1, [3]), ("i", 7, [1])],
                          [("y", 1, [1])])
        model = ingot.compile(gather)
        self.refused(8, "7", model.run, [np.zeros(3, np.float32), np.int64([7])])
        self.assertEqual(model.run([np.float32([1, 2, 3]), np.int64([2])])["y"].tolist(), [3])


if __name__ == "__main__":
    assert ml_dtypes  # pinned: f8, bf16 and the narrow integers are tested, not skipped
    unittest.main()
