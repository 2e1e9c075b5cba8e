"""Nets of Keras through tf2onnx: channels last, padding "same", cells as loops, functions of TensorFlow."""
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf
from keras import applications as ka
from keras import layers as kl

from recording import Recorder, Refused, first_line

FORMS = ("static", "open", "nchw")
OPSET = 18
SIZES, OTHER = {"batch": 2, "time": 9, "height": 64, "width": 64}, {"batch": 3, "time": 14, "height": 96, "width": 64}


class Model:
    """`call` of tensors by name; dims are numbers or names of open ones; integers are below `high`. `known` is by how
    much ONNX Runtime itself is wrong."""

    def __init__(self, call, inputs, high=0, known=0.0):
        self.call, self.inputs, self.high, self.known = call, inputs, high, known

    def feeds(self, sizes, seed):
        rng = np.random.default_rng(seed)
        return {n: self.array([sizes.get(d, d) for d in dims], rng) for n, dims in self.inputs.items()}

    def array(self, dims, rng):
        if self.high:
            return rng.integers(0, self.high, dims).astype(np.int32)
        return rng.standard_normal(dims).astype(np.float32)

    def signature(self, sizes):
        """What the function is traced with: all dims fixed by SIZES, or, where that is None, open."""
        def dim(d):
            return d if isinstance(d, int) else sizes[d] if sizes else None
        kind = tf.int32 if self.high else tf.float32
        return [tf.TensorSpec([dim(d) for d in dims], kind, name=n) for n, dims in self.inputs.items()]


def image(name, side=64, **options):
    """A classifier of keras.applications; batch, height and width are open."""
    model = getattr(ka, name)(weights=None, include_top=False, input_shape=(None, None, 3), pooling="avg", **options)
    return Model(lambda x: model(x, training=False), {"x": ["batch", "height", "width", 3]})


def fixed(name, side=64, **options):
    model = getattr(ka, name)(weights=None, input_shape=(side, side, 3), classes=10, **options)
    return Model(lambda x: model(x, training=False), {"x": ["batch", side, side, 3]})


def sequence(*layers, features=6):
    model = keras.Sequential([keras.Input((None, features)), *layers])
    return Model(lambda x: model(x, training=False), {"x": ["batch", "time", features]})


def words(*layers):
    model = keras.Sequential([keras.Input((None,), dtype="int32"), *layers])
    return Model(lambda x: model(x, training=False), {"x": ["batch", "time"]}, high=50)


def volume(*layers, dims=(8, 8, 8, 2)):
    model = keras.Sequential([keras.Input(dims), *layers])
    return Model(lambda x: model(x, training=False), {"x": ["batch", *dims]})


def plain(f, *dims, known=0.0):
    """A function of one tensor."""
    return Model(f, {"x": list(dims)}, known=known)


def unet():
    x = entry = keras.Input((None, None, 3))
    skips = []
    for width in (8, 16):
        x = kl.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = kl.BatchNormalization()(x)
        skips.append(x)
        x = kl.MaxPooling2D()(x)
    for width, skip in zip((16, 8), reversed(skips)):
        x = kl.Conv2DTranspose(width, 3, strides=2, padding="same")(x)
        x = kl.Concatenate()([x, skip])
        x = kl.Conv2D(width, 3, padding="same", activation="elu")(x)
    model = keras.Model(entry, kl.Conv2D(1, 1, activation="sigmoid")(x))
    return Model(lambda x: model(x, training=False), {"x": ["batch", "height", "width", 3]})


def transformer():
    entry = keras.Input((None, 16))
    x = kl.LayerNormalization()(entry)
    x = kl.Add()([entry, kl.MultiHeadAttention(4, 4)(x, x, use_causal_mask=True)])
    x = kl.Add()([x, kl.Dense(16)(kl.Dense(32, activation="gelu")(kl.LayerNormalization()(x)))])
    model = keras.Model(entry, kl.GlobalAveragePooling1D()(x))
    return Model(lambda x: model(x, training=False), {"x": ["batch", "time", 16]})


def translator():
    """An encoder's state starts the decoder, which attends to all of the encoder."""
    source, target = keras.Input((None, 6)), keras.Input((None, 5))
    coded, h, c = kl.LSTM(8, return_sequences=True, return_state=True)(source)
    decoded = kl.LSTM(8, return_sequences=True)(target, initial_state=[h, c])
    joined = kl.Concatenate()([decoded, kl.Attention()([decoded, coded])])
    model = keras.Model([source, target], kl.Dense(9, activation="softmax")(joined))
    return Model(lambda x, y: model([x, y], training=False), {"x": ["batch", "time", 6], "y": ["batch", 5, 5]})


def preprocess():
    """What stands before a net: sizes, colours, standard form.

    ONNX Runtime computes the places that Resize reads in float: of 96 pixels, 40 of which are wanted, they are off by up
    to 96 * 2^-24 of a pixel, and neighbours here differ by up to 6. Against float64 it is off by 3.6e-5, ingot by 2e-6."""
    def f(x):
        x = tf.image.resize(x, [40, 48], method="bilinear")
        x = tf.image.central_crop(x, 0.75)
        x = tf.image.per_image_standardization(x)
        return tf.image.adjust_contrast(x, 1.5), tf.reduce_mean(tf.image.rgb_to_grayscale(x), axis=[1, 2])
    return plain(f, "batch", "height", "width", 3, known=4e-5)


def boxes():
    """The end of a detector: the best of overlapping boxes."""
    def f(x):
        corners = tf.concat([tf.minimum(x[:, :2], x[:, 2:4]), tf.maximum(x[:, :2], x[:, 2:4])], 1)
        kept = tf.image.non_max_suppression(corners, tf.sigmoid(x[:, 4]), 5, iou_threshold=0.3)
        return tf.gather(corners, kept)
    return plain(f, "batch", 5)


def decode():
    """A loop over time, each step fed with what the one before has chosen."""
    table = tf.constant(np.random.default_rng(3).standard_normal((7, 6)), tf.float32)

    def f(x):
        state, out, k = x, tf.zeros_like(x)[:, :1], tf.constant(0)

        def step(k, state, out):
            state = tf.tanh(tf.matmul(state, table[:6]) + state)
            return k + 1, state, tf.concat([out, tf.reduce_max(state, axis=1, keepdims=True)], 1)
        shapes = [k.shape, state.shape, tf.TensorShape([None, None])]
        return tf.while_loop(lambda k, s, o: k < 5, step, [k, state, out], shape_invariants=shapes)[2]
    return plain(f, "batch", 6)


def arithmetic():
    def f(x):
        n = tf.cast(x * 3, tf.int32)
        return (tf.math.floormod(n, 5), n // 4, tf.math.top_k(x, 2)[0], tf.cumsum(x, axis=1, reverse=True, exclusive=True),
                tf.one_hot(tf.abs(n) % 4, 4, axis=1), tf.where(x > 0, x, tf.math.exp(x)), tf.reverse(x, [1]),
                tf.math.squared_difference(x, 1.0), tf.math.segment_sum(x, tf.range(tf.shape(x)[0]) // 2),
                tf.roll(x, 1, 1), tf.boolean_mask(x, x[:, 0] > -9), tf.linalg.band_part(tf.matmul(x, x, transpose_b=True), 1, 0))
    return plain(f, "batch", 6)


def gathers():
    def f(x):
        order = tf.argsort(x[:, 0])
        return (tf.gather(x, order), tf.gather_nd(x, tf.stack([order, tf.zeros_like(order)], 1)),
                tf.tensor_scatter_nd_update(x, order[:1, None], tf.ones([1, 6])), tf.repeat(x, 2, axis=0),
                tf.tile(x, [2, 1]), tf.strided_slice(x, [0, 4], [9, 0], [2, -2]), tf.space_to_batch_nd(
                    x[:, :, None], [2], [[0, 0]]), tf.reshape(x, [-1, 2, 3]), tf.einsum("ij,kj->ik", x, x))
    return plain(f, "batch", 6)


NETS = {
    "mobilenet": lambda: image("MobileNet", alpha=0.25),
    "mobilenet_v2": lambda: image("MobileNetV2", alpha=0.35),
    "mobilenet_v3": lambda: image("MobileNetV3Small", include_preprocessing=False),
    "efficientnet_v2": lambda: image("EfficientNetV2B0", include_preprocessing=False),
    "resnet50": lambda: image("ResNet50"),
    "resnet50_v2": lambda: image("ResNet50V2"),
    "densenet121": lambda: image("DenseNet121"),
    "nasnet": lambda: fixed("NASNetMobile", 64),
    "xception": lambda: image("Xception"),
    "inception_v3": lambda: fixed("InceptionV3", 96),
    "convnext": lambda: image("ConvNeXtTiny"),
    "vgg16": lambda: fixed("VGG16", 32),
    "unet": unet,
    "transformer": transformer,
    "translator": translator,
    "lstm": lambda: sequence(kl.LSTM(8, return_sequences=True), kl.LSTM(5)),
    "lstm_stateful_dropout": lambda: sequence(kl.LSTM(8, go_backwards=True, use_bias=False, return_sequences=True,
                                                      recurrent_dropout=0.1)),
    "gru": lambda: sequence(kl.GRU(8, return_sequences=True), kl.GRU(5, reset_after=False)),
    "bidirectional": lambda: sequence(kl.Bidirectional(kl.LSTM(4, return_sequences=True)), kl.Bidirectional(kl.GRU(3))),
    "rnn": lambda: sequence(kl.SimpleRNN(8, return_sequences=True), kl.TimeDistributed(kl.Dense(3))),
    "masked": lambda: words(kl.Embedding(50, 8, mask_zero=True), kl.LSTM(6)),
    "text_cnn": lambda: words(kl.Embedding(50, 8), kl.Conv1D(12, 3, padding="causal", activation="relu"),
                              kl.SeparableConv1D(8, 3, padding="same"), kl.GlobalMaxPooling1D(), kl.Dense(4)),
    "conv_lstm": lambda: volume(kl.ConvLSTM2D(4, 3, padding="same"), dims=(4, 8, 8, 2)),
    "conv3d": lambda: volume(kl.Conv3D(4, 3, padding="same", activation="relu"), kl.MaxPooling3D(), kl.UpSampling3D(),
                             kl.Conv3DTranspose(3, 3, strides=2, padding="same"), kl.AveragePooling3D(2, padding="same")),
    "image_layers": lambda: volume(kl.ZeroPadding2D(((1, 0), (2, 1))), kl.DepthwiseConv2D(3, depth_multiplier=2, strides=2),
                                   kl.SeparableConv2D(6, 3, dilation_rate=2, padding="same"), kl.PReLU(shared_axes=[1, 2]),
                                   kl.UpSampling2D(interpolation="bilinear"), kl.Cropping2D(1), kl.LeakyReLU(),
                                   kl.AveragePooling2D(3, 2, padding="same"), kl.GroupNormalization(2),
                                   kl.SpatialDropout2D(0.2), kl.GlobalMaxPooling2D(), dims=(20, 18, 3)),
    "preprocess": preprocess,
    "boxes": boxes,
    "decode": decode,
    "arithmetic": arithmetic,
    "gathers": gathers,
}


def convert(model, form, path):
    import tf2onnx
    sizes = SIZES if form == "static" else None
    names = [n for n, dims in model.inputs.items() if len(dims) == 4]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f = tf.function(model.call, input_signature=model.signature(sizes), autograph=False)
            tf2onnx.convert.from_function(f, input_signature=model.signature(sizes), opset=OPSET, output_path=str(path),
                                          inputs_as_nchw=names if form == "nchw" else None)
    except Exception as e:
        raise Refused(f"tf2onnx: {type(e).__name__}: {first_line(e)}") from e
    return names if form == "nchw" else []


def make(build, form, folder):
    """Dims fixed; dims open; or open and with images given in the order of ONNX."""
    recorder = Recorder(folder)

    def feeds(sizes, seed):
        return {n: np.ascontiguousarray(a.transpose(0, 3, 1, 2)) if n in turned else a
                for n, a in model.feeds(sizes, seed).items()}
    try:
        keras.utils.set_random_seed(1)
        model = build()
        recorder.known = model.known
        if form == "nchw" and not any(len(dims) == 4 for dims in model.inputs.values()):
            raise Refused("no image")
        turned = convert(model, form, recorder.path)
        recorder.open()
        recorder.add(feeds(SIZES, 1))
        if form != "static":
            recorder.add_other(feeds(OTHER, 2))
    except Refused as e:
        recorder.refuse(e)
