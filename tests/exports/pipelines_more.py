"""More of scikit-learn through skl2onnx: what is seldom used, what holds other estimators, several outputs."""
import numpy as np

import pipelines
from pipelines import Data, numbers, pipe, sk, table, texts

FORMS, make = pipelines.FORMS, pipelines.make


def several(classes):
    """Several targets for each row."""
    x = numbers(np.random.default_rng(9))
    if classes:
        return Data({"x": x}, np.stack([(x[:, 0] > 0), (x[:, 1] + x[:, 2] > 0)], 1).astype(np.int64))
    return Data({"x": x}, np.stack([x[:, 0] * 2 + x[:, 1], x[:, 2] - x[:, 3]], 1).astype(np.float32))


def holes():
    data = table(3)
    data.x["x"] = data.x["x"].copy()
    data.x["x"][::5, 1] = np.nan
    return data


def counts():
    rng = np.random.default_rng(11)
    x = rng.integers(0, 4, (pipelines.ROWS, 5)).astype(np.float32)
    return Data({"x": x}, (x[:, 0] + x[:, 1] > 3).astype(np.int64))


def categories():
    rng = np.random.default_rng(12)
    x = rng.choice(["red", "green", "blue"], (pipelines.ROWS, 2)).astype(object)
    return Data({"text": x}, (x[:, 0] == "red").astype(np.int64))


LOGISTIC, TREE = sk("linear_model.LogisticRegression"), sk("tree.DecisionTreeClassifier", max_depth=3, random_state=1)
RIDGE, SMALL = sk("linear_model.Ridge"), sk("tree.DecisionTreeRegressor", max_depth=3, random_state=1)


def behind(path, *args, last=RIDGE, **options):
    """A transformer, and something that learns from what it gives."""
    return lambda: pipe(sk(path, *args, **options)(), last())


CLASSIFIERS = {
    "bernoulli_nb": sk("naive_bayes.BernoulliNB"),
    "perceptron": sk("linear_model.Perceptron", random_state=1),
    "passive_aggressive": sk("linear_model.SGDClassifier", random_state=1, learning_rate="optimal"),
    "logistic_cv": sk("linear_model.LogisticRegressionCV"),
    "ridge_cv": sk("linear_model.RidgeClassifierCV"),
    "voting_soft": lambda: sk("ensemble.VotingClassifier", [("a", LOGISTIC()), ("b", TREE())], voting="soft",
                              flatten_transform=False)(),
    "stacking": lambda: sk("ensemble.StackingClassifier", [("a", LOGISTIC()), ("b", TREE())], LOGISTIC())(),
    "one_vs_rest": lambda: sk("multiclass.OneVsRestClassifier", LOGISTIC())(),
    "one_vs_one": lambda: sk("multiclass.OneVsOneClassifier", LOGISTIC())(),
    "radius_neighbors": sk("neighbors.RadiusNeighborsClassifier", radius=9.0),
    "knn_manhattan": sk("neighbors.KNeighborsClassifier", 5, metric="manhattan", weights="distance"),
    "extra_tree": sk("tree.ExtraTreeClassifier", random_state=1),
    "mlp_deep": sk("neural_network.MLPClassifier", (8, 8), activation="tanh", max_iter=20, random_state=1),
    "svc_sigmoid": sk("svm.SVC", kernel="sigmoid", random_state=1),
    "svc_linear": sk("svm.SVC", kernel="linear", decision_function_shape="ovo", random_state=1),
    "pca_svc": behind("decomposition.PCA", 4, whiten=True, last=sk("svm.SVC", random_state=1)),
    "feature_union": lambda: pipe(sk("pipeline.FeatureUnion", [("a", sk("preprocessing.StandardScaler")()), (
        "b", sk("decomposition.PCA", 2)())])(), LOGISTIC()),
    "select_model": lambda: pipe(sk("feature_selection.SelectFromModel", TREE())(), LOGISTIC()),
    "variance": behind("feature_selection.VarianceThreshold", 0.1, last=LOGISTIC),
    "grid_search": lambda: sk("model_selection.GridSearchCV", LOGISTIC(), {"C": [0.1, 1.0]}, cv=2)(),
}
REGRESSORS = {
    "tree_regressor": sk("tree.DecisionTreeRegressor", random_state=1),
    "extra_regressor": sk("ensemble.ExtraTreesRegressor", 10, random_state=1),
    "boosting_regressor": sk("ensemble.GradientBoostingRegressor", n_estimators=10, random_state=1),
    "ada_regressor": sk("ensemble.AdaBoostRegressor", n_estimators=5, random_state=1),
    "bagging_regressor": sk("ensemble.BaggingRegressor", n_estimators=5, random_state=1),
    "voting_regressor": lambda: sk("ensemble.VotingRegressor", [("a", RIDGE()), ("b", SMALL())])(),
    "stacking_regressor": lambda: sk("ensemble.StackingRegressor", [("a", RIDGE()), ("b", SMALL())], RIDGE())(),
    "bayesian": sk("linear_model.BayesianRidge"), "ard": sk("linear_model.ARDRegression"),
    "elastic": sk("linear_model.ElasticNet", 0.01), "huber": sk("linear_model.HuberRegressor"),
    "lars": sk("linear_model.Lars"), "omp": sk("linear_model.OrthogonalMatchingPursuit"),
    "ransac": sk("linear_model.RANSACRegressor", random_state=1),
    "theil": sk("linear_model.TheilSenRegressor", random_state=1),
    "quantile_regressor": sk("linear_model.QuantileRegressor", alpha=0.01),
    "tweedie": sk("linear_model.TweedieRegressor", power=0),
    "nu_svr": sk("svm.NuSVR"), "linear_svr": sk("svm.LinearSVR", random_state=1),
    "process_rational": lambda: sk("gaussian_process.GaussianProcessRegressor", sk(
        "gaussian_process.kernels.RationalQuadratic")() + sk("gaussian_process.kernels.DotProduct")(), random_state=1)(),
    "radius_regressor": sk("neighbors.RadiusNeighborsRegressor", radius=9.0),
    "kernel_pca": behind("decomposition.KernelPCA", 3, kernel="rbf"), "incremental_pca": behind(
        "decomposition.IncrementalPCA", 3), "svd": behind("decomposition.TruncatedSVD", 3),
    "random_projection": behind("random_projection.GaussianRandomProjection", 4, random_state=1),
    "quantile_transform": behind("preprocessing.QuantileTransformer", n_quantiles=20),
    "power": behind("preprocessing.PowerTransformer"), "l1_norm": behind("preprocessing.Normalizer", "l1"),
    "bins": behind("preprocessing.KBinsDiscretizer", 4, encode="ordinal"),
    "interactions": behind("preprocessing.PolynomialFeatures", 3, interaction_only=True, include_bias=False),
    "binarized": behind("preprocessing.Binarizer", threshold=0.3),
    "rfe": lambda: pipe(sk("feature_selection.RFE", RIDGE(), n_features_to_select=3)(), RIDGE()),
    "target_scaled": lambda: sk("compose.TransformedTargetRegressor", RIDGE(), transformer=None)(),
}
TRANSFORMERS = {"minibatch_kmeans": sk("cluster.MiniBatchKMeans", 3, n_init=2, random_state=1),
                "bayesian_mixture": sk("mixture.BayesianGaussianMixture", 2, covariance_type="full", random_state=1),
                "mixture_diagonal": sk("mixture.GaussianMixture", 3, covariance_type="diag", random_state=1)}


def rows():
    yield from ((n, m, table(3)) for n, m in CLASSIFIERS.items())
    yield from ((f"{n}_binary", CLASSIFIERS[n], table(2)) for n in ("voting_soft", "stacking", "svc_sigmoid"))
    yield from ((n, m, table(0)) for n, m in REGRESSORS.items())
    yield from ((n, m, table(0)) for n, m in TRANSFORMERS.items())
    yield "outputs_tree", TREE, several(True)
    yield "outputs_forest", sk("ensemble.RandomForestClassifier", 5, random_state=1), several(True)
    yield "outputs_chain", lambda: sk("multioutput.MultiOutputClassifier", LOGISTIC())(), several(True)
    yield "outputs_knn", sk("neighbors.KNeighborsRegressor", 3), several(False)
    yield "outputs_regressor", lambda: sk("multioutput.MultiOutputRegressor", RIDGE())(), several(False)
    yield "outputs_trees", sk("ensemble.RandomForestRegressor", 5, random_state=1), several(False)
    yield "outputs_pls", sk("cross_decomposition.PLSRegression", 2), several(False)
    yield "imputed", lambda: pipe(sk("impute.SimpleImputer", strategy="median")(), LOGISTIC()), holes()
    yield "imputed_knn", lambda: pipe(sk("impute.KNNImputer", n_neighbors=2)(), LOGISTIC()), holes()
    yield "holes_tree", TREE, holes()
    yield "categorical_nb", sk("naive_bayes.CategoricalNB"), counts()
    yield "multinomial_nb", sk("naive_bayes.MultinomialNB"), counts()
    yield "complement_nb", sk("naive_bayes.ComplementNB"), counts()
    yield "tfidf_counts", behind("feature_extraction.text.TfidfTransformer", last=LOGISTIC), counts()
    yield "one_hot", behind("preprocessing.OneHotEncoder", drop="first", last=LOGISTIC), categories()
    yield "ordinal", behind("preprocessing.OrdinalEncoder", handle_unknown="use_encoded_value", unknown_value=-1,
                            last=TREE), categories()
    yield "words_svd", pipelines.text_pipe("TfidfVectorizer", "decomposition.TruncatedSVD", 3), texts()
    yield "words_limited", pipelines.text_pipe("CountVectorizer", "linear_model.LogisticRegression", binary=True, max_df=0.9,
                                               min_df=2, lowercase=False, token_pattern=r"[a-z]+"), texts()


NETS = {name: (make_it, data) for name, make_it, data in rows()}
