"""Recipes: control flow, sequences, optionals, maps. A case is a few nodes: lists are made of tensors, and read again."""
import numpy as np
from onnx import helper

from cases import Invalid, recipe
from movement_recipes import ints


def body(name, nodes, inputs, outputs):
    """inputs, outputs: (name, element type, dims or None)"""
    return helper.make_graph(nodes, name, [helper.make_tensor_value_info(*v) for v in inputs],
                             [helper.make_tensor_value_info(*v) for v in outputs])


@recipe("If")
def if_(g):
    shape = g.shape(0, 3, 60)
    x, y = g.operand(g.data("float", shape)), g.operand(g.data("float", g.partner(shape)))
    cond = g.known(np.array(g.chance(.5)), .3)
    binary = [helper.make_node(g.one("Add", "Mul", "Sub"), [x, y], ["r_then"])]
    unary = [helper.make_node(g.one("Neg", "Relu", "Abs"), [x], ["t"]), helper.make_node("Add", ["t", y], ["r_else"])]
    g.node([cond], then_branch=body("then", binary, [], [("r_then", 1, None)]),
           else_branch=body("else", unary, [], [("r_else", 1, None)]))


def loop_gains_rank(g):
    """What is carried starts with fewer dims than the first round gives it."""
    shape = g.shape(1, 3, 40, 0)
    step = g.operand(g.data("float", shape, 0, 1))
    nodes = [helper.make_node("Cast", ["i"], ["turn"], to=1), helper.make_node("Mul", [step, "turn"], ["more"]),
             helper.make_node("Add", ["state", "more"], ["next"]), helper.make_node("Identity", ["cond"], ["go"]),
             helper.make_node("Identity", ["next"], ["seen"])]
    count = np.array(g.int(0, 4), np.int64)
    counted = g.chance(.5)  # else the run tells whether there is a round, and what rank comes out
    scan = counted and int(count) > 0 and g.chance(.6)
    graph = body("body", nodes, [("i", 7, []), ("cond", 9, []), ("state", 1, None)],
                 [("go", 9, []), ("next", 1, None)] + ([("seen", 1, None)] if scan else []))
    start = g.operand(g.data("float", shape[g.int(1, len(shape)):], 0, 1), fixed=True)
    g.wrong = ["onnx"]
    limit = g.operand(count, constant=counted, fixed=True)
    made = g.node([limit, None if counted or g.chance(.5) else np.array(g.chance(.8)), start], 2 if scan else 1, body=graph)
    if not counted:
        g.node([made[0]], op="ReduceSum", keepdims=0)


@recipe("Loop")
def loop(g):
    if g.opset >= 13 and g.chance(.3):
        loop_gains_rank(g)
        return
    shape = g.shape(0, 3, 40, 0)
    n = g.int(0, 5)
    limit = g.one(2.0, 100.0)
    step = g.operand(g.data("float", g.partner(shape), 0, 1))
    nodes = [helper.make_node(g.one("Add", "Max"), ["state", step], ["next"]),
             helper.make_node("ReduceSum", ["next"], ["sum"], keepdims=0),
             helper.make_node("Constant", [], ["limit"], value_float=limit),
             helper.make_node("Less", ["sum", "limit"], ["more"]), helper.make_node("Identity", ["next"], ["seen"])]
    if g.opset < 13:
        nodes[1] = helper.make_node("ReduceSum", ["next"], ["sum"], keepdims=0)
        nodes[2] = helper.make_node("Constant", [], ["limit"], value=helper.make_tensor("l", 1, [], [limit]))
    ends = g.chance(.4)
    if not ends:
        nodes[3] = helper.make_node("Identity", ["cond"], ["more"])
    scan = g.chance(.6)
    outputs = [("more", 9, []), ("next", 1, None)] + ([("seen", 1, None)] if scan else [])
    graph = body("body", nodes, [("i", 7, []), ("cond", 9, []), ("state", 1, shape)], outputs)
    start = g.operand(g.data("float", shape, 0, 1), fixed=True)
    cond = g.known(np.array(True)) if ends or g.chance(.5) else None
    g.wrong = ["onnx"]  # takes no condition for a false one, and joins what is to be stacked
    g.node([g.known(np.array(n, np.int64), .4), cond, start],
           2 if scan else 1, body=graph)


@recipe("Scan")
def scan(g):
    n, d, axis = g.int(1, 5), g.int(1, 4), g.int(0, 1)
    nodes = [helper.make_node("Add", ["state", "row"], ["next"]),
             helper.make_node(g.one("Mul", "Sub"), ["next", "row"], ["seen"])]
    graph = body("body", nodes, [("state", 1, [d]), ("row", 1, [d])], [("next", 1, [d]), ("seen", 1, [d])])
    if g.opset < 9:  # a batch of sequences, which may have lengths
        b = g.int(1, 3)
        lengths = g.known(np.array([g.int(0, n) for _ in range(b)], np.int64), .3) if g.chance(.6) else None
        g.node([lengths, g.operand(g.data("float", [b, d]), fixed=True), g.operand(g.data("float", [b, n, d], -1, 1))], 2,
               num_scan_inputs=1, body=graph, directions=g.one(None, [0], [1]))
        return
    x = g.operand(g.data("float", [n, d] if axis == 0 else [d, n], -1, 1), fixed=axis == 1)
    g.node([g.operand(g.data("float", [d]), fixed=True), x], 2, num_scan_inputs=1, body=graph,
           scan_input_axes=[axis] if axis or g.chance(.5) else None, scan_input_directions=g.one(None, [0], [1]),
           scan_output_directions=g.one(None, [1]), scan_output_axes=g.one(None, [1], [-1]) if g.opset >= 11 else None)


def parts(g, shapes=None, t="float"):
    shapes = shapes or [g.shape(1, 2, 12, 0)] * g.int(1, 4)
    return [g.operand(g.data(t, s)) for s in shapes]


def base(g, op, inputs, outputs=1, **more):
    return g.node(inputs, outputs, op=op, domain="", **more)


@recipe("SequenceConstruct SequenceInsert SequenceErase SequenceAt SequenceLength ConcatFromSequence SplitToSequence "
        "SequenceEmpty")
def sequences(g):
    """Starts with one of the operators that make a list, ends with one that reads it; the named one is among them."""
    g.opset = max(g.opset, 13)
    t = g.one("float", "int64", "int32")
    shape = g.shape(1, 2, 12, 0)
    count = g.int(2, 4)
    start = {"SplitToSequence": "split", "SequenceEmpty": "empty"}.get(g.op, g.one("construct", "construct", "split"))
    if start == "split":
        x = g.operand(g.data(t, [count * shape[0]] + shape[1:]), fixed=True)
        lengths = g.known(np.array(shape[0], np.int64)) if g.chance(.5) else g.known(ints(*[shape[0]] * count))
        s = base(g, "SplitToSequence", [x, lengths], axis=0)[0]
    elif start == "empty":
        code = {"float": 1, "int64": 7, "int32": 6}[t]
        s = base(g, "SequenceEmpty", [], dtype=code)[0]
        for _ in range(count):
            s = base(g, "SequenceInsert", [s, g.data(t, shape)])[0]
    else:
        s = base(g, "SequenceConstruct", parts(g, [shape] * count, t))[0]
    if g.op == "SequenceInsert":
        at = g.known(np.array(g.int(-count, count), np.int64)) if g.chance(.7) else None
        s = base(g, "SequenceInsert", [s, g.operand(g.data(t, shape)), at])[0]
    if g.op == "SequenceErase":
        at = g.known(np.array(g.int(-count, count - 1), np.int64)) if g.chance(.7) else None
        s = base(g, "SequenceErase", [s, at])[0]
        count -= 1
    if g.op == "SequenceAt":
        base(g, "SequenceAt", [s, g.known(np.array(g.int(-count, count - 1), np.int64))])
    elif g.op == "SequenceLength":
        base(g, "SequenceLength", [s])
    else:
        base(g, "ConcatFromSequence", [s], axis=g.int(0, len(shape) - 1), new_axis=g.one(None, 0, 1))


@recipe("SequenceMap")
def sequence_map(g):
    g.opset = max(g.opset, 17)
    shape = g.shape(1, 2, 12, 0)
    more = g.operand(g.data("float", shape), fixed=True)
    graph = body("map", [helper.make_node(g.one("Add", "Mul"), ["e", "w"], ["r"])], [("e", 1, shape), ("w", 1, shape)],
                 [("r", 1, shape)])
    s = base(g, "SequenceConstruct", [g.operand(g.data("float", shape), fixed=True) for _ in range(g.int(1, 3))])[0]
    m = g.node([s, more], body=graph)[0]
    base(g, "ConcatFromSequence", [m], axis=0, new_axis=1)


@recipe("Optional OptionalGetElement OptionalHasElement")
def optional(g):
    g.opset = max(g.opset, 18)
    x = g.operand(g.data("float", g.shape(0, 3, 30)))
    o = x if g.op == "OptionalHasElement" and g.chance(.5) else base(g, "Optional", [x])[0]
    base(g, "OptionalHasElement" if g.op == "OptionalHasElement" else "OptionalGetElement", [o])


@recipe("DictVectorizer", domain="ai.onnx.ml")
def dict_vectorizer(g):
    n = g.int(1, 4)
    words = list("abcdef")[:n]
    z = g.node([g.data("float", [1, n])], op="ZipMap", domain="ai.onnx.ml", classlabels_strings=words)[0]
    m = base(g, "SequenceAt", [z, g.known(np.array(0, np.int64), 1)])[0]
    g.oracle = False
    g.node([m], string_vocabulary=g.r.sample(list("abcdefgh"), g.int(1, 6)))



@recipe("CastMap", domain="ai.onnx.ml")
def cast_map(g):
    n = g.int(1, 5)
    labels = g.r.sample(range(8), n)
    z = g.node([g.data("float", [1, n])], op="ZipMap", domain="ai.onnx.ml", classlabels_int64s=labels)[0]
    m = base(g, "SequenceAt", [z, g.known(np.array(0, np.int64), 1)])[0]
    g.oracle = False
    g.node([m], cast_to=g.r.choice(["TO_FLOAT", "TO_INT64", "TO_STRING"]), map_form=g.r.choice(["DENSE", "SPARSE"]),
           max_map=g.int(8, 10))
