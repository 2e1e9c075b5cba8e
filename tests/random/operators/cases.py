"""Cases of one operator: seeded choices, data, and models made of them."""
import functools
import random
import zlib

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DTYPE = {name.lower(): helper.tensor_dtype_to_np_dtype(value) for name, value in TensorProto.DataType.items()
         if name not in ("UNDEFINED",)}
DTYPE["string"] = np.dtype(object)
NARROW = {"bfloat16": 2e-2, "float16": 2e-3, "float8e4m3fn": .13, "float8e5m2": .26, "float8e4m3fnuz": .13,
          "float8e5m2fnuz": .26}
RECIPES = {}  # (domain, operator) -> function of a Choice
WIDE = {}  # the same: of what the first recipe does not reach
NEWEST = onnx.defs.onnx_opset_version()
OPSETS = {"": NEWEST, "ai.onnx.ml": 5, "com.microsoft": 1, "ai.onnx.preview.training": 1, "ai.onnx.preview": 1}


def recipe(*names, domain=""):
    def keep(f):
        for n in " ".join(names).split():
            RECIPES[domain, n] = f
        return f
    return keep


def wide(*names, domain=""):
    def keep(f):
        for n in " ".join(names).split():
            WIDE[domain, n] = f
        return f
    return keep


@functools.lru_cache
def history():
    """(domain, operator) -> since-versions of the forms that the onnx package describes, oldest first."""
    forms = {}
    for s in onnx.defs.get_all_schemas_with_history():
        forms.setdefault((s.domain, s.name), set()).add(s.since_version)
    return {key: sorted(of) for key, of in forms.items()}


def versions(domain, op):
    """Those that are not withdrawn."""
    return [v for v in history().get((domain, op), []) if not onnx.defs.get_schema(op, v, domain).deprecated]


def end_of_form(domain, op, since):
    later = [v for v in history()[domain, op] if v > since]
    return later[0] - 1 if later else OPSETS[domain]


class Invalid(Exception):
    """This choice leads to no valid node: another one instead."""


class Choice:
    """Everything that is random in one case; its methods make operands and the node."""

    def __init__(self, domain, op, seed):
        key = zlib.crc32(f"{domain}.{op}.{seed}".encode())
        self.r, self.np = random.Random(key), np.random.default_rng(key)
        self.domain, self.op, self.seed = domain, op, seed
        self.name = f"{domain.replace('.', '_')}{'_' if domain else ''}{op}_{seed}"
        self.nodes, self.inputs, self.constants, self.outputs = [], {}, {}, []
        self.open, self.types = {}, {}
        self.open_axes, self.open_chance = None, .35  # None: any dim may be open
        self.tolerance, self.oracle = 0.0, True
        self.computed_chance = .12  # of an operand that says a shape or a number to be made by other nodes
        self.same_names = self.chance(.3)  # open dims of the same extent are one symbol
        self.wrong = []  # who is known to take this operator for another
        self.pick_version()

    def pick_version(self):
        forms = versions(self.domain, self.op)
        if not forms:
            self.version, self.opset, self.schema = OPSETS[self.domain], OPSETS[self.domain], None
            return
        self.version = forms[-1] if self.chance(.6) else self.r.choice(forms)
        last = end_of_form(self.domain, self.op, self.version)
        self.opset = self.r.randint(self.version, last) if last > self.version else self.version
        self.schema = onnx.defs.get_schema(self.op, self.opset, self.domain)

    # ---- choices

    def chance(self, p):
        return self.r.random() < p

    def int(self, lo, hi):
        return self.r.randint(lo, hi)

    def one(self, *of):
        return self.r.choice(of)

    def shape(self, least=0, most=5, limit=600, empty=.06):
        """Odd sizes, ones, sometimes a zero; no more than `limit` elements."""
        dims, most = [], 6 if most >= 4 and self.chance(.08) else most
        for _ in range(self.int(least, most)):
            d = self.one(1, 1, 2, 3, 3, 4, 5, 7, 9, 17, 33)
            size = int(np.prod(dims)) * d
            dims.append(d if size <= limit else self.one(1, 2))
        if dims and self.chance(empty):
            dims[self.r.randrange(len(dims))] = 0
        return dims

    def partner(self, shape, shorter=True):
        """A shape that broadcasts to `shape`."""
        dims = [1 if self.chance(.25) else d for d in shape]
        return dims[self.int(0, len(dims)):] if shorter and self.chance(.5) else dims

    def axis(self, rank, negative=True):
        a = self.r.randrange(rank)
        return a - rank if negative and self.chance(.4) else a

    def axes(self, rank, least=1):
        chosen = self.r.sample(range(rank), self.int(min(least, rank), rank))
        return [a - rank if self.chance(.3) else a for a in chosen]

    # ---- types and data

    def allowed(self, var):
        """Names of element types of a type variable, or of an input by number."""
        if isinstance(var, int):
            var = self.schema.inputs[var].type_str
        if var.startswith("tensor("):
            return [var[7:-1]]
        for c in self.schema.type_constraints:
            if c.type_param_str == var:
                return [s[7:-1] for s in sorted(c.allowed_type_strs) if s.startswith("tensor(")]
        raise KeyError(var)

    def t(self, var="T", only=None, common=.5):
        """The element type of a type variable; the usual ones more often."""
        if var not in self.types:
            all_types = [t for t in self.allowed(var) if only is None or t in only]
            if not all_types:
                raise Invalid
            usual = [t for t in all_types if t in ("float", "int64", "bool")]
            self.types[var] = self.r.choice(usual if usual and self.chance(common) else all_types)
            self.tolerance = max(self.tolerance, NARROW.get(self.types[var], 0))
        return self.types[var]

    def data(self, dtype, shape, lo=None, hi=None):
        """Seeded data of a named type; without bounds floats of [-4, 4], small integers, and now and then any."""
        usual, lo, hi = lo is None, -4.0 if lo is None else lo, 4.0 if hi is None else hi
        dtype = dtype if isinstance(dtype, str) else dtype.name
        if dtype == "bool":
            return self.np.integers(0, 2, shape).astype(bool)
        if dtype == "string":
            words = ["", "a", "b", "ab", "Zürich", "  x ", "7", "-1.5", "\u4e2d\u6587", "a"]
            return np.array([self.r.choice(words) for _ in range(int(np.prod(shape)))], object).reshape(shape)
        if dtype.startswith("complex"):
            return (self.floats(shape, lo, hi) + 1j * self.floats(shape, lo, hi)).astype(DTYPE[dtype])
        if dtype.startswith(("int", "uint")):
            bits = int(dtype.lstrip("uint"))
            top = 2 ** (bits - (dtype[0] == "i")) - 1
            low = 0 if dtype[0] == "u" else -top - 1
            if usual and self.chance(.15):  # all values, not only small ones
                return self.np.integers(low, top, shape, endpoint=True,
                                        dtype=np.uint64 if dtype == "uint64" else np.int64).astype(DTYPE[dtype])
            lo, hi = (2 * lo, 2 * hi) if usual else (lo, hi)
            return self.np.integers(max(low, int(np.ceil(lo))), min(top, int(hi)), shape, endpoint=True
                                    ).astype(DTYPE[dtype])
        return self.floats(shape, lo, hi).astype(DTYPE[dtype])

    def floats(self, shape, lo=-4.0, hi=4.0):
        if self.chance(.3):  # a grid, with ties
            return np.rint(self.np.uniform(lo, hi, shape) * 4) / 4
        return self.np.uniform(lo, hi, shape)

    # ---- operands and nodes

    def operand(self, array, constant=None, fixed=False):
        """The name of an input (or, by chance, of a constant) with this value."""
        array = np.asarray(array)
        name = f"x{len(self.inputs) + len(self.constants)}"
        if self.chance(.25) if constant is None else constant:
            self.constants[name] = array
        else:
            self.inputs[name] = array
            if not fixed and array.ndim and self.chance(self.open_chance):
                axes = [a for a in range(array.ndim) if self.open_axes is None or a in self.open_axes]
                self.open[name] = axes if self.chance(.6) else [a for a in axes if self.chance(.5)]
        return name

    def known(self, array, p=.6):
        """An operand that says a shape, an axis, a number: mostly constant."""
        constant = self.chance(p)
        if not constant and self.chance(self.computed_chance / .4):
            made = self.computed(np.asarray(array))
            if made:
                return made
        return self.operand(np.asarray(array), constant=constant, fixed=True)

    def computed(self, array):
        """A value made by nodes, as exporters make shapes; None where these operators do not have its type."""
        if self.base_opset() < 13 or array.dtype not in (np.int64, np.int32, np.float32) or array.ndim > 1:
            return None
        small = array.dtype == np.int64 and array.ndim == 1 and 0 < array.size < 7
        if small and array.min() >= 0 and np.prod(array + 1.0) < 5000 and self.chance(.5):
            x = self.operand(np.zeros(array, np.float32), constant=False, fixed=True)
            self.open[x] = list(range(array.size))
            return self.helper("Shape", [x])
        if small and self.chance(.5):  # one number at a time
            at = [self.operand(np.array([v]), constant=self.chance(.5), fixed=True) for v in array]
            return self.helper("Concat", at, axis=0)
        if array.dtype != np.float32 and np.abs(array.astype(np.float64)).max(initial=0) < 1 << 20 and self.chance(.3):
            x = self.operand(array.astype(np.float32), constant=False, fixed=True)
            return self.helper("Cast", [x], to=helper.np_dtype_to_tensor_dtype(array.dtype))
        one = np.ones((), array.dtype)
        with np.errstate(over="ignore"):
            less = (array - one).astype(array.dtype)
        return self.helper("Add", [self.operand(less, constant=False, fixed=True), self.operand(one, constant=True)])

    def helper(self, op, inputs, **attributes):
        out = f"h{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def node(self, inputs, outputs=1, op=None, domain=None, **attributes):
        """Arrays become operands. outputs: a number, or a list of flags (False: omitted)."""
        names = ["" if a is None else a if isinstance(a, str) else self.operand(a) for a in inputs]
        while names and names[-1] == "":
            names.pop()
        flags = [True] * outputs if isinstance(outputs, int) else list(outputs)
        made = [f"y{len(self.outputs) + len(self.nodes) * 8 + i}" if f else "" for i, f in enumerate(flags)]
        self.nodes.append(helper.make_node(op or self.op, names, made, name=self.name,
                                           domain=self.domain if domain is None else domain,
                                           **{k: v for k, v in attributes.items() if v is not None}))
        return made

    def finish(self):
        read = {i for n in self.nodes for i in n.input}
        self.outputs = self.outputs or [o for n in self.nodes for o in n.output if o and o not in read]
        return self


def info(name, array, open_axes=(), prefix="", same=False):
    """same: dims of one extent have one name."""
    dims = [(f"{prefix}n{d}" if same else f"{prefix}{name}_{i}") if i in open_axes else d for i, d in enumerate(array.shape)]
    return helper.make_tensor_value_info(prefix + name, onnx_type(array), dims)


def onnx_type(array):
    return TensorProto.STRING if array.dtype == object else helper.np_dtype_to_tensor_dtype(array.dtype)


def tensor(array, name):
    if array.dtype == object:
        return helper.make_tensor(name, TensorProto.STRING, array.shape, [s.encode() for s in array.ravel()])
    return numpy_helper.from_array(array, name)


def prefixed_graph(graph, prefix, outer):
    """Renames what is not the region's own."""
    for n in graph.node:
        rename(n, prefix, outer)


def rename(node, prefix, names):
    for field in (node.input, node.output):
        for i, v in enumerate(field):
            if v and (names is None or v in names):
                field[i] = prefix + v
    for a in node.attribute:
        if a.type == onnx.AttributeProto.GRAPH:
            prefixed_graph(a.g, prefix, set(names))


def model_of(cases, types=None):
    """One model of all cases (they share their opset). types: of outputs, where known."""
    several = len(cases) > 1
    nodes, inputs, outputs, constants, domains = [], [], [], [], {}
    for k, c in enumerate(cases):
        prefix = f"c{k}_" if several else ""
        names = {v for n in c.nodes for v in list(n.input) + list(n.output)} | set(c.inputs) | set(c.constants)
        for n in c.nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(n)
            rename(copy, prefix, names)
            nodes.append(copy)
            domains[n.domain] = max(domains.get(n.domain, 0), c.opset if n.domain == c.domain else OPSETS[n.domain])
        inputs += [info(n, a, c.open.get(n, ()), prefix, c.same_names) for n, a in c.inputs.items()]
        constants += [tensor(a, prefix + n) for n, a in c.constants.items()]
        for o in c.outputs:
            known = (types or {}).get((c.name, o))
            outputs.append(known or onnx.ValueInfoProto(name=prefix + o))
    domains.setdefault("", cases[0].base_opset())
    graph = helper.make_graph(nodes, "cases", inputs, outputs, constants)
    return helper.make_model(graph, ir_version=13 if domains[""] > 20 else 10 if domains[""] > 10 else 8,
                             opset_imports=[helper.make_opsetid(d, v) for d, v in domains.items()])


def base_opset(c):
    return c.opset if c.domain == "" else 21


Choice.base_opset = base_opset


def make_case(domain, op, seed, only_wide=False):
    """The case of a seed, or None where the recipe found no valid one."""
    for attempt in range(20):
        c = Choice(domain, op, seed + attempt * 1000003)
        c.name = f"{domain.replace('.', '_')}{'_' if domain else ''}{op}_{seed}"
        use = WIDE if (domain, op) in WIDE and (c.chance(.4) or only_wide) else RECIPES
        try:
            use[domain, op](c)
        except Invalid:
            continue
        if "bfloat16" in c.types.values() and use[domain, op].__module__ in ("nn_recipes", "norm_recipes", "wide_nn_recipes"):
            c.wrong = c.wrong + ["onnx"]  # rounds every sum and product
        for k, n in enumerate(c.nodes):
            n.name = f"{c.name}_{k}" if k else c.name
        return c.finish()
    return None
