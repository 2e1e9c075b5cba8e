"""The ONNX backend interface (onnx.backend.base): what drives any engine that ONNX compares drives ingot.

    import ingot.backend
    outputs = ingot.backend.run_model(model, inputs)
"""

import onnx
from onnx.backend.base import Backend, BackendRep

import ingot


class Rep(BackendRep):
    def __init__(self, model):
        self.model = model

    def run(self, inputs, **kwargs):
        """Arrays by position, or by name -> a tuple of arrays."""
        return tuple(self.model.run(inputs).values())


class IngotBackend(Backend):
    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        return cls.supports_device(device)  # what ingot lacks counts as failed, not as skipped

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        if not cls.supports_device(device):
            raise ValueError(f"ingot does not run on {device}")
        return Rep(ingot.compile(model, threads=kwargs.get("threads", 1), options=kwargs.get("options", ())))

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        """One node; the types of its inputs are those of the arrays, of its outputs inferred."""
        names = [n for n in node.input if n]
        ports = [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                 for n, x in zip(names, inputs)]
        outs = [onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n]
        graph = onnx.helper.make_graph([node], "node", ports, outs)
        opsets = [onnx.helper.make_opsetid(node.domain, kwargs.get("opset", onnx.defs.onnx_opset_version()))]
        model = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=opsets))
        return cls.run_model(model, inputs, device)

    @classmethod
    def supports_device(cls, device):
        return device.split(":")[0] == "CPU"


is_compatible = IngotBackend.is_compatible
prepare = IngotBackend.prepare
run_model = IngotBackend.run_model
run_node = IngotBackend.run_node
supports_device = IngotBackend.supports_device
