"""Recipes: ai.onnx.ml."""
import numpy as np
from onnx import helper

from cases import DTYPE, Invalid, recipe, tensor

ML = "ai.onnx.ml"
POST = (None, "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def floats(g, n, lo=-2, hi=2):
    return [round(g.r.uniform(lo, hi), 3) for _ in range(n)]


def rows(g, var="T1", c=None):
    c = c or g.int(1, 6)
    t = g.t(var)
    return g.data(t, g.one([g.int(1, 5), c], [g.int(1, 5), c], [c])), c


@recipe("LabelEncoder", domain=ML)
def label_encoder(g):
    keys = {"floats": [1.0, 2.0, -1.5, 0.0], "int64s": [1, 2, -3, 0], "strings": ["a", "b", "", "ab"]}
    values = {"floats": [.5, 1.5, 2.5, 3.5], "int64s": [7, 8, 9, 10], "strings": ["x", "y", "z", "ü"]}
    if g.version == 1:
        raise Invalid
    k, v = g.one(*keys), g.one(*values)
    x = {"floats": lambda s: g.np.choice([1.0, 2.0, -1.5, 0.0, 9.0], s).astype(np.float32),
         "int64s": lambda s: g.np.integers(-4, 4, s), "strings": lambda s: g.data("string", s)}[k](g.shape(0, 3, 40))
    default = {"floats": {"default_float": -9.0}, "int64s": {"default_int64": -9}, "strings": {"default_string": "no"}}
    more = default[v] if g.chance(.6) else {}
    g.node([x], **{f"keys_{k}": keys[k], f"values_{v}": values[v]}, **more)


@recipe("CategoryMapper", domain=ML)
def category_mapper(g):
    words = ["a", "b", "", "ab"]
    x = g.data("string", g.shape(0, 3, 40)) if g.chance(.5) else g.np.integers(-1, 5, g.shape(0, 3, 40))
    g.node([x], cats_strings=words, cats_int64s=[0, 1, 2, 3], default_int64=g.one(None, 9),
           default_string=g.one(None, "q"))


@recipe("OneHotEncoder", domain=ML)
def one_hot_encoder(g):
    if g.chance(.4):
        g.node([g.data("string", g.shape(1, 2, 20))], cats_strings=["a", "b", "", "ab", "7", "-1.5", "  x ", "Zürich",
                                                                    "中文"], zeros=g.one(None, 1))
    else:
        t = g.one("int64", "float", "int32", "double")
        x = np.rint(g.data(t, g.shape(1, 2, 20), 0, 3)).astype(DTYPE[t])
        g.node([x], cats_int64s=[0, 1, 2, 3], zeros=g.one(None, 1))


@recipe("Scaler", domain=ML)
def scaler(g):
    x, c = rows(g, "T")
    n = g.one(1, c)
    g.node([x], offset=floats(g, n), scale=floats(g, n))


@recipe("Binarizer", domain=ML)
def binarizer(g):
    g.node([g.data(g.t("T"), g.shape(1, 3))], threshold=g.one(None, 1.0, -.5))


@recipe("Normalizer", domain=ML)
def normalizer(g):
    t = g.t("T")
    g.node([g.data(t, [g.int(1, 5), g.int(1, 6)], 1, 4)], norm=g.one(None, "MAX", "L1", "L2"))


@recipe("Imputer", domain=ML)
def imputer(g):
    c = g.int(1, 5)
    n = g.one(1, c)
    if g.chance(.5):
        g.node([g.np.integers(0, 3, [g.int(1, 4), c])], imputed_value_int64s=[g.int(5, 9) for _ in range(n)],
               replaced_value_int64=g.int(0, 2))
    else:
        x = g.data("float", [g.int(1, 4), c])
        x[x > 2] = np.nan
        g.node([x], imputed_value_floats=floats(g, n), replaced_value_float=float("nan"))


@recipe("FeatureVectorizer", domain=ML)
def feature_vectorizer(g):
    n, parts = g.int(1, 3), []
    t = g.t("T1")
    for _ in range(g.int(1, 3)):
        parts.append(g.data(t, [n, g.int(1, 4)]))
    g.node(parts, inputdimensions=[p.shape[1] for p in parts])


@recipe("LinearRegressor", domain=ML)
def linear_regressor(g):
    x, c = rows(g, "T")
    if x.ndim == 1:
        x = x[None]
    n = g.int(1, 3)
    g.wrong = ["onnx"]  # keeps the type of x
    # Of zeros alone SOFTMAX_ZERO makes 0.5 each, as the reference does; ONNX Runtime divides 0 by 0.
    g.node([x], coefficients=floats(g, n * c), intercepts=floats(g, n) if g.chance(.6) else None, targets=n,
           post_transform=g.one(*POST) if n > 1 else None)


@recipe("LinearClassifier", domain=ML)
def linear_classifier(g):
    x, c = rows(g)
    if x.ndim == 1:
        x = x[None]
    n = g.int(2, 4)
    labels = {"classlabels_ints": list(range(3, 3 + n))} if g.chance(.5) else {"classlabels_strings": list("wxyz")[:n]}
    g.node([x], 2, coefficients=floats(g, n * c), intercepts=floats(g, n), post_transform=g.one(*POST[:5]), **labels)


@recipe("SVMRegressor", domain=ML)
def svm_regressor(g):
    c, n = g.int(1, 4), g.int(1, 4)
    kernel = g.one("LINEAR", "POLY", "RBF", "SIGMOID")
    g.node([g.data("float", [g.int(1, 4), c])], kernel_type=kernel, kernel_params=[.3, .2, 2.0],
           n_supports=n, support_vectors=floats(g, n * c), coefficients=floats(g, n), rho=floats(g, 1),
           one_class=g.one(None, 0, 1))


@recipe("SVMClassifier", domain=ML)
def svm_classifier(g):
    c, classes = g.int(1, 4), g.int(2, 3)
    each = [g.int(1, 3) for _ in range(classes)]
    pairs, n = classes * (classes - 1) // 2, sum(each)
    labels = {"classlabels_ints": list(range(classes))}
    if g.chance(.5):
        labels = {"classlabels_strings": list("abc")[:classes]}
    more = {"prob_a": floats(g, pairs, -2, -.5), "prob_b": floats(g, pairs)} if g.chance(.4) else {}
    g.node([g.data("float", [g.int(1, 4), c])], 2, kernel_type=g.one("LINEAR", "POLY", "RBF", "SIGMOID"),
           kernel_params=[.3, .2, 2.0], vectors_per_class=each, support_vectors=floats(g, n * c),
           coefficients=floats(g, n * (classes - 1)), rho=floats(g, pairs), **labels, **more)


def forest(g, features, trees):
    """Random trees, node by node: rows (tree, node, feature, mode or LEAF, value, true, false)."""
    table, leaves = [], []
    one_mode = g.one("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
    for t in range(trees):
        at, count = [(0, g.int(0, 3))], 1
        while at:
            node, depth = at.pop(0)
            if depth == 0:
                table.append((t, node, 0, "LEAF", 0.0, 0, 0))
                leaves.append((t, node))
                continue
            mode = one_mode if g.chance(.7) else g.one("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT")
            table.append((t, node, g.int(0, features - 1), mode, float(g.int(-6, 6)) / 4, count, count + 1))
            at += [(count, g.int(0, depth - 1)), (count + 1, g.int(0, depth - 1))]
            count += 2
    return table, leaves


def forest_attributes(g, table):
    names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    attrs = {f"nodes_{n}": [row[i] for row in table] for i, n in enumerate(names)}
    if g.chance(.3):
        attrs["nodes_missing_value_tracks_true"] = [g.int(0, 1) for _ in table]
    return attrs


def forest_data(g, features):
    t = g.one("float", "float", "double", "int64")
    x = g.data(t, [g.int(1, 9), features])
    if t in ("float", "double") and g.chance(.2):
        x.reshape(-1)[0] = np.nan
    return x


@recipe("TreeEnsembleRegressor", domain=ML)
def tree_regressor(g):
    features, targets = g.int(1, 5), g.int(1, 3)
    g.wrong = ["onnx"]  # keeps the type of x
    table, leaves = forest(g, features, g.int(1, 6))
    leaves = [leaf + (k,) for leaf in leaves for k in (range(targets) if g.chance(.3) else [g.int(0, targets - 1)])]
    how = g.one(None, "SUM", "AVERAGE", "MIN", "MAX")  # of a target without a leaf the least is not stated
    base = floats(g, targets) if g.chance(.3) and how in (None, "SUM") else None
    if base and targets > 1:
        g.wrong = ["onnx", "ONNX Runtime"]  # adds no base value to a target that no leaf of the row names
    g.node([forest_data(g, features)], n_targets=targets, aggregate_function=how, base_values=base, post_transform=None,
           target_treeids=[x[0] for x in leaves], target_nodeids=[x[1] for x in leaves],
           target_ids=[x[2] for x in leaves], target_weights=floats(g, len(leaves)), **forest_attributes(g, table))


@recipe("TreeEnsembleClassifier", domain=ML)
def tree_classifier(g):
    features, classes = g.int(1, 5), g.int(2, 4)
    table, leaves = forest(g, features, g.int(1, 6))
    binary = classes == 2 and g.chance(.5)
    if classes == 2 and not binary:
        g.wrong = ["ONNX Runtime"]  # takes the second class where its score is above 0, not the top one
    leaves = [leaf + (k,) for leaf in leaves for k in ([0] if binary else range(classes))]
    labels = {"classlabels_int64s": list(range(classes))}
    if g.chance(.5):
        labels = {"classlabels_strings": list("abcd")[:classes]}
    g.node([forest_data(g, features)], 2, post_transform=g.one(*POST[:4]),
           base_values=floats(g, classes) if g.chance(.3) and not binary else None,
           class_treeids=[x[0] for x in leaves], class_nodeids=[x[1] for x in leaves], class_ids=[x[2] for x in leaves],
           class_weights=floats(g, len(leaves), .01 if binary else -1, 1), **labels, **forest_attributes(g, table))


@recipe("TreeEnsemble", domain=ML)
def tree_ensemble(g):
    """Two trees: a split with two leaves each."""
    t = g.one("float", "double")
    features, targets, n = g.int(1, 4), g.int(1, 3), g.int(1, 5)
    modes = [g.int(0, 5) for _ in range(n)]
    np_t = DTYPE[t]
    g.node([g.data(t, [g.int(1, 8), features])], n_targets=targets, aggregate_function=g.one(None, 0, 1, 2, 3),
           post_transform=g.one(None, 0), tree_roots=list(range(n)),
           nodes_featureids=[g.int(0, features - 1) for _ in range(n)],
           nodes_modes=helper.make_tensor("modes", 2, [n], modes),
           nodes_splits=tensor(np.array(floats(g, n), np_t), "splits"), nodes_truenodeids=[2 * k for k in range(n)],
           nodes_falsenodeids=[2 * k + 1 for k in range(n)], nodes_trueleafs=[1] * n, nodes_falseleafs=[1] * n,
           leaf_targetids=[g.int(0, targets - 1) for _ in range(2 * n)],
           leaf_weights=tensor(np.array(floats(g, 2 * n), np_t), "weights"))


@recipe("ZipMap", domain=ML)
def zip_map(g):
    """With ArrayFeatureExtractor-like reading left out: what comes out is a list of maps, compared by the evaluator."""
    n = g.int(1, 4)
    labels = {"classlabels_int64s": list(range(n))} if g.chance(.5) else {"classlabels_strings": list("abcd")[:n]}
    g.oracle = False
    g.node([g.data("float", [g.int(1, 4), n])], **labels)
