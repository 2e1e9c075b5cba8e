"""Pipelines of scikit-learn through skl2onnx; LightGBM and XGBoost through onnxmltools. Fitted on seeded data."""
import warnings

import numpy as np
import onnx

from recording import Recorder, Refused, first_line

OPSET = 18
ROWS, FEATURES = 120, 6
WORDS = ["red", "green", "blue", "fast", "slow", "big", "small", "café", "naïve", "don't", "x1", "re-do"]


def numbers(rng, rows=ROWS, features=FEATURES):
    return rng.standard_normal((rows, features)).astype(np.float32)


class Data:
    """Inputs by name, as arrays whose first dim is open; and the target."""

    def __init__(self, x, target):
        self.x, self.target = x, target

    def rows(self, some):
        return {name: array[some] for name, array in self.x.items()}


def labels(x, classes=3):
    score = x[:, 0] + x[:, 1] * x[:, 2]
    return np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))


def table(classes=3, positive=False):
    x = numbers(np.random.default_rng(5))
    target = labels(x, classes) if classes else (x[:, 0] * 2 + x[:, 1] * x[:, 2]).astype(np.float32)
    return Data({"x": np.abs(x) if positive else x}, target)


def texts():
    rng = np.random.default_rng(6)
    lines = np.array([" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(ROWS)], dtype=object)
    return Data({"text": lines.reshape(-1, 1)}, np.array(["blue" in t for t in lines]).astype(np.int64))


def mixed():
    rng = np.random.default_rng(8)
    colour = rng.choice(["red", "green", "blue"], ROWS).astype(object).reshape(-1, 1)
    size = rng.integers(0, 4, (ROWS, 1)).astype(np.int64)
    x = numbers(rng, features=2)
    return Data({"x0": x[:, :1], "x1": x[:, 1:], "colour": colour, "size": size}, labels(np.hstack([x, size])) > 0)


def kind_of(array, rows):
    from skl2onnx.common import data_types as t
    kind = {"f": t.FloatTensorType, "i": t.Int64TensorType, "O": t.StringTensorType}[array.dtype.kind]
    return kind([rows, *array.shape[1:]])


def as_sklearn(data):
    """What fit takes: one array, a list of texts, or columns side by side."""
    if list(data.x) == ["text"]:
        return data.x["text"].ravel()
    if len(data.x) == 1:
        return next(iter(data.x.values()))
    import pandas
    return pandas.DataFrame({n: a[:, 0] for n, a in data.x.items()})


def convert(model, data, rows, zipmap):
    """The ONNX model, with ROWS rows or, where it is None, an open number of them."""
    types = [(n, kind_of(a, rows)) for n, a in data.x.items()]
    name = type(model).__module__.split(".")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if name in ("lightgbm", "xgboost"):
                import onnxmltools
                return getattr(onnxmltools, f"convert_{name}")(model, initial_types=boost_types(data, rows),
                                                               **({"zipmap": zipmap} if name == "lightgbm" else {}))
            from skl2onnx import to_onnx
            plain = zipmap or not classifies(model) or not hasattr(model, "predict_proba")
            return to_onnx(model, initial_types=types, options={} if plain else {id(model): {"zipmap": False}},
                           target_opset={"": OPSET, "ai.onnx.ml": 3})
        except Exception as e:
            raise Refused(f"converter: {type(e).__name__}: {first_line(e)}") from e


def boost_types(data, rows):
    from onnxmltools.convert.common.data_types import FloatTensorType
    return [(n, FloatTensorType([rows, a.shape[1]])) for n, a in data.x.items()]


def classifies(model):
    return hasattr(model, "classes_")


def fitted(make, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make().fit(as_sklearn(data), data.target)
        except ValueError as e:
            raise Refused(f"scikit-learn: {first_line(e)}") from e


def pipe(*steps):
    from sklearn.pipeline import make_pipeline
    return make_pipeline(*steps)


def sk(path, *args, **options):
    """An estimator of scikit-learn by its path."""
    import importlib
    module, name = path.rsplit(".", 1)
    return lambda: getattr(importlib.import_module(f"sklearn.{module}"), name)(*args, **options)


def scaled(path, *args, **options):
    return lambda: pipe(sk("preprocessing.StandardScaler")(), sk(path, *args, **options)())


def text_pipe(vectorizer, path, *args, **options):
    return lambda: pipe(sk(f"feature_extraction.text.{vectorizer}", **options)(), sk(path, *args)())


def columns():
    from sklearn.compose import ColumnTransformer
    parts = ColumnTransformer([("n", sk("preprocessing.StandardScaler")(), ["x0", "x1"]),
                               ("c", sk("preprocessing.OneHotEncoder", handle_unknown="ignore")(), ["colour"]),
                               ("o", sk("preprocessing.OrdinalEncoder")(), ["size"])])
    return pipe(parts, sk("linear_model.LogisticRegression")())


def boost(module, name, **options):
    import importlib
    return lambda: getattr(importlib.import_module(module), name)(n_estimators=12, random_state=1, **options)


LIGHT = {"verbose": -1, "num_leaves": 7, "min_child_samples": 5}

CLASSIFIERS = {
    "logistic": scaled("linear_model.LogisticRegression"),
    "sgd": scaled("linear_model.SGDClassifier", loss="log_loss", random_state=1),
    "ridge_classifier": sk("linear_model.RidgeClassifier"),
    "svc": sk("svm.SVC", probability=True, random_state=1),
    "svc_poly": sk("svm.SVC", kernel="poly", random_state=1),
    "linear_svc": sk("svm.LinearSVC", random_state=1),
    "nu_svc": sk("svm.NuSVC", random_state=1),
    "tree": sk("tree.DecisionTreeClassifier", random_state=1),
    "forest": sk("ensemble.RandomForestClassifier", 10, random_state=1),
    "extra_trees": sk("ensemble.ExtraTreesClassifier", 10, random_state=1),
    "gradient_boosting": sk("ensemble.GradientBoostingClassifier", n_estimators=10, random_state=1),
    "ada_boost": sk("ensemble.AdaBoostClassifier", n_estimators=5, random_state=1),
    "bagging": sk("ensemble.BaggingClassifier", n_estimators=5, random_state=1),
    "knn": sk("neighbors.KNeighborsClassifier", 3),
    "gaussian_nb": sk("naive_bayes.GaussianNB"),
    "mlp": scaled("neural_network.MLPClassifier", (8,), max_iter=50, random_state=1),
    "lda": sk("discriminant_analysis.LinearDiscriminantAnalysis"),
    "qda": sk("discriminant_analysis.QuadraticDiscriminantAnalysis"),
    "calibrated": lambda: sk("calibration.CalibratedClassifierCV")(),
}
REGRESSORS = {
    "linear": scaled("linear_model.LinearRegression"),
    "lasso": sk("linear_model.Lasso", 0.01),
    "svr": sk("svm.SVR"),
    "forest_regressor": sk("ensemble.RandomForestRegressor", 10, random_state=1),
    "knn_regressor": sk("neighbors.KNeighborsRegressor", 3, weights="distance"),
    "mlp_regressor": sk("neural_network.MLPRegressor", hidden_layer_sizes=(8,), max_iter=50, random_state=1),
    "process_regressor": sk("gaussian_process.GaussianProcessRegressor", random_state=1),
    "poly_ridge": lambda: pipe(sk("preprocessing.PolynomialFeatures", 2)(), sk("linear_model.Ridge")()),
    "spline": lambda: pipe(sk("preprocessing.KBinsDiscretizer", 4, encode="onehot-dense")(), sk("linear_model.Ridge")()),
    "pca_ridge": lambda: pipe(sk("decomposition.PCA", 3)(), sk("linear_model.Ridge")()),
    "quantile": lambda: pipe(sk("preprocessing.PowerTransformer")(), sk("linear_model.Ridge")()),
}
TRANSFORMERS = {
    "kmeans": sk("cluster.KMeans", 3, n_init=2, random_state=1),
    "isolation_forest": sk("ensemble.IsolationForest", n_estimators=5, random_state=1),
    "one_class_svm": sk("svm.OneClassSVM"),
    "local_outlier": sk("neighbors.LocalOutlierFactor", novelty=True),
    "mixture": sk("mixture.GaussianMixture", 2, random_state=1),
    "knn_imputer": lambda: pipe(sk("impute.SimpleImputer")(), sk("preprocessing.RobustScaler")(),
                                sk("preprocessing.Normalizer")(), sk("preprocessing.MaxAbsScaler")()),
    "select": lambda: pipe(sk("feature_selection.SelectKBest", k=3)(), sk("preprocessing.MinMaxScaler")()),
    "pls": lambda: pipe(sk("preprocessing.Binarizer")(), sk("decomposition.TruncatedSVD", 3)()),
}
TEXTS = {
    "count_nb": text_pipe("CountVectorizer", "naive_bayes.MultinomialNB"),
    "tfidf_logistic": text_pipe("TfidfVectorizer", "linear_model.LogisticRegression"),
    "tfidf_bigrams": text_pipe("TfidfVectorizer", "linear_model.LogisticRegression", ngram_range=(1, 2)),
    "tfidf_stop": text_pipe("TfidfVectorizer", "naive_bayes.ComplementNB", stop_words=["red", "slow"], norm="l1",
                            sublinear_tf=True),
    "char_svc": text_pipe("CountVectorizer", "svm.LinearSVC", analyzer="char", ngram_range=(2, 3)),
}
BOOSTED = {
    "lightgbm": (boost("lightgbm", "LGBMClassifier", **LIGHT), 3),
    "lightgbm_binary": (boost("lightgbm", "LGBMClassifier", **LIGHT), 2),
    "lightgbm_regressor": (boost("lightgbm", "LGBMRegressor", **LIGHT), 0),
    "lightgbm_poisson": (boost("lightgbm", "LGBMRegressor", boosting_type="rf", subsample=0.7, subsample_freq=1,
                               **LIGHT), 0),
    "xgboost": (boost("xgboost", "XGBClassifier", max_depth=3), 3),
    "xgboost_binary": (boost("xgboost", "XGBClassifier", max_depth=3), 2),
    "xgboost_regressor": (boost("xgboost", "XGBRegressor", max_depth=3), 0),
}


def rows():
    """Name: what fits, and the data."""
    yield from ((n, m, table(3)) for n, m in CLASSIFIERS.items())
    yield from ((f"{n}_binary", CLASSIFIERS[n], table(2)) for n in ("logistic", "svc", "forest", "knn"))
    yield from ((n, m, table(0)) for n, m in REGRESSORS.items())
    yield from ((n, m, table(0)) for n, m in TRANSFORMERS.items())
    yield from ((n, m, texts()) for n, m in TEXTS.items())
    yield "columns", columns, mixed()
    yield from ((n, m, table(classes)) for n, (m, classes) in BOOSTED.items())


def plain_locale(model):
    """ONNX Runtime refuses the converter's locale where it is not installed; ingot needs none."""
    for node in model.graph.node:
        if node.op_type == "StringNormalizer" and not any(a.name == "locale" for a in node.attribute):
            node.attribute.append(onnx.helper.make_attribute("locale", "C"))
    return model


FORMS = ("static", "open", "maps")
NETS = {name: (make, data) for name, make, data in rows()}


def make(row, form, folder):
    """One form: rows fixed, rows open, or open and with ZipMap behind a classifier."""
    recorder, (build, data) = Recorder(folder), row
    try:
        model = fitted(build, data)
        if form == "maps" and not classifies(model):
            raise Refused("no classifier")
        made = convert(model, data, 7 if form == "static" else None, form == "maps")
        onnx.save(plain_locale(made), recorder.path)
        recorder.open()
        recorder.add(data.rows(slice(0, 7)))
        if form != "static":
            recorder.add_other(data.rows(slice(7, 8)))
            recorder.add_other(data.rows(slice(8, 60)))
    except Refused as e:
        recorder.refuse(e)
