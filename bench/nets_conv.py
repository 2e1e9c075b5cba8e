"""Convolutional nets of the suites with seeded random weights; layer shapes as the papers and torchvision have them.

BatchNormalization is folded into the convolution before it, as torch exports a net in evaluation mode, and stands
where it cannot be folded (DenseNet's pre-activations). Each function returns a model. Gains keep activations near unit
size: 2 after a ReLU, 2.8 after a swish (its second moment is 0.356), four times that after a gate near one half.
"""
import numpy as np

from net import Net

AFTER_RELU, AFTER_SWISH = 2.0, 2.8


def relu(net, x):
    return net.op("Relu", x)


def hard_swish(net, x):
    return net.op("HardSwish", x)


def swish(net, x):
    return net.op("Mul", x, net.op("Sigmoid", x))


def max_pool(net, x, k, stride, pad=0, ceil=0):
    return net.op("MaxPool", x, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4, dilations=[1, 1],
                  ceil_mode=ceil)


def pooled(net, x):
    return net.op("Flatten", net.op("GlobalAveragePool", x), axis=1)


def squeeze_excite(net, x, c, narrow, inner, gate, name):
    """x times a gate per channel (Hu et al. 2018)."""
    s = net.op("GlobalAveragePool", x)
    s = inner(net, net.conv(s, c, narrow, 1, name=f"{name}.fc1"))
    s = gate(net.conv(s, narrow, c, 1, name=f"{name}.fc2"))
    return net.op("Mul", s, x)


def resnet18(batch=1, size=224, seed=18):
    """He et al. 2015: 11.7 million parameters, 1.8 G multiply-adds."""
    net = Net("resnet18", seed)
    x = net.input("image", [batch, 3, size, size])
    x = max_pool(net, relu(net, net.conv(x, 3, 64, 7, 2, gain=1, name="conv1")), 3, 2, 1)
    c = 64
    for i, width in enumerate((64, 128, 256, 512), 1):
        for j in range(2):
            stride, name = 2 if j == 0 and i > 1 else 1, f"layer{i}.{j}"
            y = relu(net, net.conv(x, c, width, 3, stride, name=f"{name}.conv1"))
            y = net.conv(y, width, width, 3, gain=0.5, name=f"{name}.conv2")
            if c != width:
                x = net.conv(x, c, width, 1, stride, gain=1, name=f"{name}.downsample.0")
            x, c = relu(net, net.op("Add", y, x)), width
    net.output(net.gemm(pooled(net, x), c, 1000), "logits", [batch, 1000])
    return net.model()


# kernel, expansion, channels, squeeze-and-excite, activation, stride
MOBILENETV3 = ((3, 16, 16, 0, relu, 1), (3, 64, 24, 0, relu, 2), (3, 72, 24, 0, relu, 1), (5, 72, 40, 24, relu, 2),
               (5, 120, 40, 32, relu, 1), (5, 120, 40, 32, relu, 1), (3, 240, 80, 0, hard_swish, 2),
               (3, 200, 80, 0, hard_swish, 1), (3, 184, 80, 0, hard_swish, 1), (3, 184, 80, 0, hard_swish, 1),
               (3, 480, 112, 120, hard_swish, 1), (3, 672, 112, 168, hard_swish, 1),
               (5, 672, 160, 168, hard_swish, 2), (5, 960, 160, 240, hard_swish, 1),
               (5, 960, 160, 240, hard_swish, 1))


def mobilenetv3(batch=1, size=224, seed=3):
    """MobileNetV3-large (Howard et al. 2019): 5.5 million parameters, 0.22 G multiply-adds."""
    net = Net("mobilenetv3_large", seed)
    x = net.input("image", [batch, 3, size, size])
    x = hard_swish(net, net.conv(x, 3, 16, 3, 2, gain=1, name="features.0"))
    c, gain = 16, AFTER_SWISH
    for i, (k, wide, c_out, narrow, act, stride) in enumerate(MOBILENETV3, 1):
        y, name, after = x, f"features.{i}", AFTER_RELU if act is relu else AFTER_SWISH
        if wide != c:
            y, gain = act(net, net.conv(y, c, wide, 1, gain=gain, name=f"{name}.expand")), after
        y = act(net, net.conv(y, wide, wide, k, stride, group=wide, gain=gain, name=f"{name}.depthwise"))
        if narrow:
            y = squeeze_excite(net, y, wide, narrow, relu,
                               lambda s: net.op("HardSigmoid", s, alpha=1 / 6, beta=0.5), f"{name}.se")
            after *= 4
        same = stride == 1 and c == c_out
        y = net.conv(y, wide, c_out, 1, gain=after * (0.5 if same else 1), name=f"{name}.project")
        x, c, gain = net.op("Add", y, x) if same else y, c_out, 1.0
    x = hard_swish(net, net.conv(x, c, 960, 1, gain=1, name="features.16"))
    x = hard_swish(net, net.gemm(pooled(net, x), 960, 1280, gain=AFTER_SWISH, name="classifier.0"))
    net.output(net.gemm(x, 1280, 1000, gain=AFTER_SWISH, name="classifier.3"), "logits", [batch, 1000])
    return net.model()


# expansion, kernel, stride of the first, channels, blocks
EFFICIENTNET = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
                (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))


def efficientnet(batch=1, size=224, seed=10):
    """EfficientNet-B0 (Tan and Le 2019): 5.3 million parameters, 0.39 G multiply-adds."""
    net = Net("efficientnet_b0", seed)
    x = net.input("image", [batch, 3, size, size])
    x = swish(net, net.conv(x, 3, 32, 3, 2, gain=1, name="features.0"))
    c, gain = 32, AFTER_SWISH
    for i, (expansion, k, first, c_out, blocks) in enumerate(EFFICIENTNET, 1):
        for j in range(blocks):
            y, name, wide, stride = x, f"features.{i}.{j}", c * expansion, first if j == 0 else 1
            if expansion != 1:
                y, gain = swish(net, net.conv(y, c, wide, 1, gain=gain, name=f"{name}.expand")), AFTER_SWISH
            y = swish(net, net.conv(y, wide, wide, k, stride, group=wide, gain=gain, name=f"{name}.depthwise"))
            y = squeeze_excite(net, y, wide, c // 4, swish, lambda s: net.op("Sigmoid", s), f"{name}.se")
            same = stride == 1 and c == c_out
            y = net.conv(y, wide, c_out, 1, gain=4 * AFTER_SWISH * (0.5 if same else 1), name=f"{name}.project")
            x, c, gain = net.op("Add", y, x) if same else y, c_out, 1.0
    x = swish(net, net.conv(x, c, 1280, 1, gain=1, name="features.8"))
    net.output(net.gemm(pooled(net, x), 1280, 1000, gain=AFTER_SWISH, name="classifier.1"), "logits", [batch, 1000])
    return net.model()


def squeezenet(batch=1, size=224, seed=11):
    """SqueezeNet 1.1 (Iandola et al. 2016): 1.2 million parameters, 0.35 G multiply-adds."""
    net = Net("squeezenet1_1", seed)
    x = net.input("image", [batch, 3, size, size])
    x = max_pool(net, relu(net, net.conv(x, 3, 64, 3, 2, pad=0, gain=1, name="features.0")), 3, 2, ceil=1)
    c = 64
    for i, (narrow, wide, pool) in enumerate(((16, 64, 0), (16, 64, 1), (32, 128, 0), (32, 128, 1), (48, 192, 0),
                                              (48, 192, 0), (64, 256, 0), (64, 256, 0))):
        name = f"fire{i + 2}"
        s = relu(net, net.conv(x, c, narrow, 1, name=f"{name}.squeeze"))
        one = relu(net, net.conv(s, narrow, wide, 1, name=f"{name}.expand1x1"))
        three = relu(net, net.conv(s, narrow, wide, 3, name=f"{name}.expand3x3"))
        x, c = net.op("Concat", one, three, axis=1), 2 * wide
        x = max_pool(net, x, 3, 2, ceil=1) if pool else x
    x = relu(net, net.conv(x, c, 1000, 1, name="classifier.1"))
    net.output(pooled(net, x), "logits", [batch, 1000])
    return net.model()


def vgg16(batch=1, size=224, seed=16):
    """Simonyan and Zisserman 2014: 138 million parameters, 15.5 G multiply-adds."""
    net = Net("vgg16", seed)
    x, c, at = net.input("image", [batch, 3, size, size]), 3, 0
    for width, layers in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(layers):
            x = relu(net, net.conv(x, c, width, 3, gain=1 if c == 3 else 2, name=f"features.{at}"))
            c, at = width, at + 1
        x = max_pool(net, x, 2, 2)
    x = net.op("AveragePool", x, kernel_shape=[1, 1], strides=[1, 1])  # what adaptive pooling to 7x7 becomes
    x, c = net.op("Flatten", x, axis=1), c * (size // 32) ** 2
    for i in range(2):
        x, c = relu(net, net.gemm(x, c, 4096, gain=1, name=f"classifier.{3 * i}")), 4096
    net.output(net.gemm(x, c, 1000, name="classifier.6"), "logits", [batch, 1000])
    return net.model()


def densenet121(batch=1, size=224, seed=121):
    """Huang et al. 2016: 8 million parameters, 2.8 G multiply-adds. Every layer concatenates all before it."""
    net, growth = Net("densenet121", seed), 32
    x = net.input("image", [batch, 3, size, size])
    x = max_pool(net, relu(net, net.conv(x, 3, 64, 7, 2, gain=1, name="features.conv0")), 3, 2, 1)
    c = 64
    for i, layers in enumerate((6, 12, 24, 16), 1):
        parts = [x]
        for j in range(layers):
            name = f"denseblock{i}.denselayer{j + 1}"
            y = net.op("Concat", *parts, axis=1) if j else x
            y = relu(net, net.batch_norm(y, c, name=f"{name}.norm1"))
            y = relu(net, net.conv(y, c, 4 * growth, 1, name=f"{name}.conv1"))
            parts.append(net.conv(y, 4 * growth, growth, 3, bias=False, name=f"{name}.conv2"))
            c += growth
        x = relu(net, net.batch_norm(net.op("Concat", *parts, axis=1), c, name=f"transition{i}.norm"))
        if i < 4:
            x, c = net.conv(x, c, c // 2, 1, bias=False, name=f"transition{i}.conv"), c // 2
            x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    net.output(net.gemm(pooled(net, x), c, 1000, name="classifier"), "logits", [batch, 1000])
    return net.model()


def unet(batch=1, size=256, seed=256):
    """Ronneberger et al. 2015, padded: 31 million parameters, 55 G multiply-adds at 256 by 256."""
    net = Net("unet", seed)
    x, c, skips = net.input("image", [batch, 3, size, size]), 3, []

    def double(x, c_in, c_out, name):
        x = relu(net, net.conv(x, c_in, c_out, gain=1 if c_in == 3 else 2, name=f"{name}.0"))
        return relu(net, net.conv(x, c_out, c_out, name=f"{name}.1"))

    for i, width in enumerate((64, 128, 256, 512)):
        skips.append(double(x, c, width, f"down{i}"))
        x, c = max_pool(net, skips[-1], 2, 2), width
    x = double(x, c, 1024, "bottom")
    for i, width in enumerate((512, 256, 128, 64)):
        w = net.weight(net.random(2 * width, width, 2, 2, std=width ** -0.5), f"up{i}.weight")
        x = net.op("ConvTranspose", x, w, net.weight(net.random(width, std=0.1), f"up{i}.bias"),
                   kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, dilations=[1, 1], group=1)
        x = double(net.op("Concat", skips.pop(), x, axis=1), 2 * width, width, f"up{i}.conv")
    net.output(net.conv(x, 64, 2, 1, gain=1, name="out"), "mask", [batch, 2, size, size])
    return net.model()


ANCHORS = ((8, (10, 13, 16, 30, 33, 23)), (16, (30, 61, 62, 45, 59, 119)), (32, (116, 90, 156, 198, 373, 326)))


class Yolo(Net):
    """The parts of a YOLOv5-style detector: convolution and swish, CSP bottlenecks, decoded heads."""

    def block(self, x, c_in, c_out, k=1, stride=1, name="", gain=AFTER_SWISH):
        return swish(self, self.conv(x, c_in, c_out, k, stride, pad=(k - 1) // 2, gain=gain, name=name))

    def csp(self, x, c_in, c_out, depth, shortcut, name):
        half = c_out // 2
        y = self.block(x, c_in, half, name=f"{name}.cv1")
        z = self.block(x, c_in, half, name=f"{name}.cv2")
        for i in range(depth):
            t = self.block(y, half, half, name=f"{name}.m.{i}.cv1")
            t = self.block(t, half, half, 3, name=f"{name}.m.{i}.cv2", gain=1 if shortcut else AFTER_SWISH)
            y = self.op("Add", y, t) if shortcut else t
        return self.block(self.op("Concat", y, z, axis=1), c_out, c_out, name=f"{name}.cv3")

    def sppf(self, x, c, name):
        parts = [self.block(x, c, c // 2, name=f"{name}.cv1")]
        for _ in range(3):
            parts.append(max_pool(self, parts[-1], 5, 1, 2))
        return self.block(self.op("Concat", *parts, axis=1), 2 * c, c, name=f"{name}.cv2", gain=1)

    def twice(self, x):
        return self.op("Resize", x, "", self.weight(np.array([1, 1, 2, 2], np.float32)), mode="nearest",
                       coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def head(self, x, c, size, stride, anchors, classes, name):
        """[1, 3 (5 + classes), n, n] -> boxes [1, 3 n n, 5 + classes] in pixels."""
        n, width = size // stride, 5 + classes
        y = self.conv(x, c, 3 * width, 1, gain=AFTER_SWISH, name=name)
        y = self.op("Transpose", self.op("Reshape", y, self.ints(1, 3, width, n, n)), perm=[0, 1, 3, 4, 2])
        xy, wh, rest = self.op("Split", self.op("Sigmoid", y), self.ints(2, 2, classes + 1), outputs=3, axis=4)
        at = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).astype(np.float32)[None, None] - 0.5
        xy = self.op("Mul", self.op("Add", self.op("Mul", xy, self.f32(2)), self.weight(at)), self.f32(stride))
        grid = np.array(anchors, np.float32).reshape(1, 3, 1, 1, 2)
        wh = self.op("Mul", self.op("Pow", self.op("Mul", wh, self.f32(2)), self.f32(2)), self.weight(grid))
        return self.op("Reshape", self.op("Concat", xy, wh, rest, axis=4), self.ints(1, 3 * n * n, width))


def yolo(size=416, classes=80, seed=5):
    """YOLOv5s in shape: 7.2 million parameters, 3.5 G multiply-adds at 416; the boxes are decoded in the graph."""
    net = Yolo("yolo", seed)
    x = net.block(net.input("image", [1, 3, size, size]), 3, 32, 6, 2, name="model.0", gain=1)
    c, features = 32, []
    for i, depth in enumerate((1, 2, 3, 1)):
        x = net.block(x, c, 2 * c, 3, 2, name=f"model.{2 * i + 1}")
        c *= 2
        x = net.csp(x, c, c, depth, True, f"model.{2 * i + 2}")
        features.append(x)
    x = net.sppf(x, 512, "model.9")
    top = net.block(x, 512, 256, name="model.10")
    x = net.csp(net.op("Concat", net.twice(top), features[2], axis=1), 512, 256, 1, False, "model.13")
    middle = net.block(x, 256, 128, name="model.14")
    small = net.csp(net.op("Concat", net.twice(middle), features[1], axis=1), 256, 128, 1, False, "model.17")
    x = net.block(small, 128, 128, 3, 2, name="model.18")
    medium = net.csp(net.op("Concat", x, middle, axis=1), 256, 256, 1, False, "model.20")
    x = net.block(medium, 256, 256, 3, 2, name="model.21")
    large = net.csp(net.op("Concat", x, top, axis=1), 512, 512, 1, False, "model.23")
    boxes = [net.head(x, c, size, stride, anchors, classes, f"model.24.m.{i}") for i, (x, c, (stride, anchors)) in
             enumerate(zip((small, medium, large), (128, 256, 512), ANCHORS))]
    count = sum(3 * (size // stride) ** 2 for stride, _ in ANCHORS)
    net.output(net.op("Concat", *boxes, axis=1), "boxes", [1, count, 5 + classes])
    return net.model()
