"""Architectures of torchvision, small images, random weights."""
import torch
import torchvision.models as tv

from torch_nets import Floats, Net

WEIGHTS = {"weights": None}


class Images(torch.nn.Module):
    """Detectors take a list of images; one here."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, x):
        return self.detector([x[0]])


class Out(torch.nn.Module):
    """Segmentation nets give a dict."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)["out"]


class Named(torch.nn.Module):
    """The input is called x, whatever the net calls it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


def image(name, side=64, other=96, **options):
    """A classifier; batch, height and width are open."""
    net = getattr(tv, name)(weights=None, **options)
    return Net(Named(net), {"x": Floats("batch", 3, "height", "width")}, {"batch": 2, "height": side, "width": side},
               {"batch": 3, "height": other, "width": side}, scale=False)


def fixed(name, side, **options):
    """A classifier for images of one size: the batch is open."""
    net = getattr(tv, name)(weights=None, **options)
    return Net(Named(net), {"x": Floats("batch", 3, side, side)}, {"batch": 2}, {"batch": 3}, scale=False)


def video(net, frames=8, side=32):
    return Net(Named(net), {"x": Floats("batch", 3, frames, side, side)}, {"batch": 1}, {"batch": 2}, scale=False)


def multiscale():
    """mvit_v2_s in small: attention whose queries are pooled between its blocks."""
    def block(heads, wide, out, stride_q, stride_kv):
        return tv.video.mvit.MSBlockConfig(num_heads=heads, input_channels=wide, output_channels=out, kernel_q=[3, 3, 3],
                                           kernel_kv=[3, 3, 3], stride_q=stride_q, stride_kv=stride_kv)
    blocks = [block(1, 16, 16, [1, 1, 1], [1, 2, 2]), block(2, 16, 32, [1, 2, 2], [1, 1, 1])]
    return tv.video.mvit.MViT(spatial_size=(32, 32), temporal_size=8, block_setting=blocks, residual_pool=True,
                              residual_with_cls_embed=False, rel_pos_embed=True, proj_after_attn=True)


def segment(name, **options):
    net = getattr(tv.segmentation, name)(weights=None, weights_backbone=None, num_classes=5, **options)
    return Net(Out(net), {"x": Floats("batch", 3, "height", "width")}, {"batch": 1, "height": 64, "width": 64},
               {"batch": 2, "height": 96, "width": 64}, scale=False)


def detect(name, side=128, low=0.0, **options):
    net = getattr(tv.detection, name)(weights=None, weights_backbone=None, num_classes=7, **options)
    return Net(Images(net), {"x": Floats(1, 3, "height", "width", low=low)}, {"height": side, "width": side},
               {"height": side + 32, "width": side}, scale=False)


def flow():
    class Flow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = tv.optical_flow.raft_small(weights=None)

        def forward(self, a, b):
            return self.net(a, b, num_flow_updates=2)[-1]

    sides = ("batch", 3, "height", "width")
    return Net(Flow(), {"a": Floats(*sides), "b": Floats(*sides)}, {"batch": 1, "height": 128, "width": 128},
               {"batch": 1, "height": 160, "width": 128}, scale=False)


SMALL = {"min_size": 96, "max_size": 160}
# Of 200 that random weights score between 0.98 and 1, two are within 4 ulp of each other: rounding says which is first.
FEW = {"detections_per_img": 20}

NETS = {
    "alexnet": lambda: image("alexnet"),
    "vgg11_bn": lambda: image("vgg11_bn", 32, 64, num_classes=10),
    "resnet18": lambda: image("resnet18"),
    "resnext50": lambda: image("resnext50_32x4d"),
    "wide_resnet50": lambda: image("wide_resnet50_2"),
    "densenet121": lambda: image("densenet121"),
    "squeezenet": lambda: image("squeezenet1_1"),
    "mobilenet_v2": lambda: image("mobilenet_v2"),
    "mobilenet_v3": lambda: image("mobilenet_v3_small"),
    "shufflenet_v2": lambda: image("shufflenet_v2_x1_0"),
    "mnasnet": lambda: image("mnasnet0_5"),
    "googlenet": lambda: image("googlenet", aux_logits=False, init_weights=False),
    "inception_v3": lambda: image("inception_v3", 96, 128, aux_logits=False, init_weights=False),
    "efficientnet": lambda: image("efficientnet_b0"),
    "efficientnet_v2": lambda: image("efficientnet_v2_s"),
    "regnet": lambda: image("regnet_y_400mf"),
    "convnext": lambda: image("convnext_tiny"),
    "swin": lambda: image("swin_t"),
    "swin_v2": lambda: image("swin_v2_t"),
    "vit": lambda: fixed("vit_b_32", 64, image_size=64),
    "maxvit": lambda: Net(Named(tv.MaxVit(input_size=(64, 64), stem_channels=16, partition_size=2,
                                          block_channels=[16, 32], block_layers=[1, 1], head_dim=8,
                                          stochastic_depth_prob=0.0)),
                          {"x": Floats("batch", 3, 64, 64)}, {"batch": 2}, {"batch": 3}, scale=False),
    "r3d": lambda: video(tv.video.r3d_18(weights=None)),
    "s3d": lambda: video(tv.video.s3d(weights=None), 16, 224),
    "mvit": lambda: video(multiscale()),
    "swin3d": lambda: video(tv.video.swin3d_t(weights=None), 8, 64),
    "deeplab": lambda: segment("deeplabv3_mobilenet_v3_large"),
    "fcn": lambda: segment("fcn_resnet50"),
    "lraspp": lambda: segment("lraspp_mobilenet_v3_large"),
    "raft": flow,
    "fasterrcnn": lambda: detect("fasterrcnn_mobilenet_v3_large_320_fpn", **SMALL),
    "maskrcnn": lambda: detect("maskrcnn_resnet50_fpn", rpn_post_nms_top_n_test=50, **SMALL),
    "keypointrcnn": lambda: detect("keypointrcnn_resnet50_fpn", num_keypoints=5, rpn_post_nms_top_n_test=50, **SMALL),
    "retinanet": lambda: detect("retinanet_resnet50_fpn", **SMALL),
    "fcos": lambda: detect("fcos_resnet50_fpn", **SMALL),
    "ssd": lambda: detect("ssd300_vgg16", **FEW),
    "ssdlite": lambda: detect("ssdlite320_mobilenet_v3_large"),
}
