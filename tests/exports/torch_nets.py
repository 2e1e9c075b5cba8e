"""From a module of torch to a model: one exporter, static or with open dims."""
import contextlib
import signal
import warnings

import torch

from recording import Recorder, Refused, first_line

torch.backends.mha.set_fastpath_enabled(False)  # its one operator for a whole layer has no export

FORMS = ("script-static", "script-open", "dynamo-static", "dynamo-open")
PATIENCE = 60  # seconds of a processor for one export: with all dims open some spend hours on algebra
OPSETS = (17, 20)  # of the old exporter, the newest where it needs that; the new one chooses itself


class Floats:
    """Normal numbers, or from `low` on for `scale`. A dim is a number, or the name of an open one."""

    def __init__(self, *dims, scale=1.0, low=None):
        self.dims, self.scale, self.low = dims, scale, low

    def make(self, dims, rng):
        if self.low is not None:
            return torch.rand(dims, generator=rng) * self.scale + self.low
        return torch.randn(dims, generator=rng) * self.scale


class Ids(Floats):
    """Integers from low to below high."""

    def __init__(self, *dims, high=99, low=0):
        super().__init__(*dims, low=low)
        self.high = high

    def make(self, dims, rng):
        return torch.randint(self.low, self.high, dims, generator=rng)


class Mask(Floats):
    """Ones; in each second row the last two are zeros."""

    def make(self, dims, rng):
        mask = torch.ones(dims, dtype=torch.int64)
        mask[1::2, -2:] = 0
        return mask


class Net:
    """`module` is called with the inputs by name; `sizes` are those of the open dims at export, `other` the second."""

    def __init__(self, module, inputs, sizes=None, other=None, scale=True):
        self.module, self.inputs, self.sizes, self.other = module.eval(), inputs, sizes or {}, other or {}
        if scale:
            spread(module)

    def feeds(self, sizes, seed):
        rng = torch.Generator().manual_seed(seed)
        return {name: kind.make([sizes.get(d, d) for d in kind.dims], rng) for name, kind in self.inputs.items()}

    def open_dims(self, some=None):
        return {name: {k: d for k, d in enumerate(kind.dims) if isinstance(d, str) and (not some or d in some)}
                for name, kind in self.inputs.items()}


def spread(module):
    """Weights with which activations stay near unit size through any depth: else wrong numbers would hide in noise."""
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, p in module.named_parameters():
            noise = torch.randn(p.shape, generator=rng).to(p.dtype)
            if p.ndim >= 2 and p.numel():
                p.copy_(noise * (p.shape[1:].numel() ** -0.5))
            elif name.endswith("weight"):
                p.copy_(1 + 0.1 * noise)
            elif name.endswith("bias"):
                p.copy_(0.1 * noise)


class Flat(torch.nn.Module):
    """Inputs by position, as exporters like them; tensors out, whatever the module nests them in."""

    def __init__(self, module, names):
        super().__init__()
        self.module, self.names = module, names

    def forward(self, *inputs):
        return tuple(tensors_of(self.module(**dict(zip(self.names, inputs)))))


def tensors_of(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from tensors_of(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from tensors_of(v)


def export_once(net, exporter, path, dims, opset):
    """torch.onnx.export to PATH; DIMS are the open ones, or None."""
    feeds = net.feeds(net.sizes, 1)
    flat, args, names = Flat(net.module, list(feeds)), tuple(feeds.values()), list(feeds)
    if exporter == "script":
        torch.onnx.export(flat, args, str(path), dynamo=False, input_names=names, opset_version=opset,
                          dynamic_axes=dims)
    else:
        torch.onnx.export(flat, args, str(path), dynamo=True, input_names=names, external_data=False, verbose=False,
                          dynamic_shapes=dims and (tuple(dims.values()),))


class TooLong(BaseException):
    """No Exception: exporters catch those, and go on."""


@contextlib.contextmanager
def patience():
    def give_up(*_):
        raise TooLong(f"more than {PATIENCE} seconds")
    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def export(net, form, path):
    """With all dims open, or the batch alone where the exporter cannot do that."""
    exporter, dims = form.split("-")
    tries = [None] if dims == "static" else [net.open_dims(), net.open_dims(("batch",))]
    error = None
    for dims in tries:
        for opset in OPSETS if exporter == "script" else OPSETS[:1]:
            try:
                with warnings.catch_warnings(), torch.no_grad(), patience():
                    warnings.simplefilter("ignore")
                    return export_once(net, exporter, path, dims, opset)
            except (Exception, TooLong) as e:  # exporters raise whatever they like
                error = error or e
    while error.__cause__:  # what the new exporter says first is that it failed
        error = error.__cause__
    raise Refused(f"exporter: {type(error).__name__}: {first_line(error)}") from error


def make(build, form, folder):
    """The whole folder of a form; where it is refused, refused.txt says why."""
    recorder = Recorder(folder)
    try:
        torch.manual_seed(1)
        net = build()
        export(net, form, recorder.path)
        recorder.open()
        recorder.add(net.feeds(net.sizes, 1))
        if form.endswith("open") and net.other:
            recorder.add_other(net.feeds({**net.sizes, **net.other}, 2))
            recorder.add_other(net.feeds({**net.sizes, "batch": net.other.get("batch", 1)}, 3))
    except Refused as e:
        recorder.refuse(e)
