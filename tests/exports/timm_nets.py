"""Architectures of timm, its smallest variants made smaller, random weights."""
import timm

from torch_nets import Floats, Net
from torchvision_nets import Named


def image(name, side=64, scale=False, other=96, **options):
    """Batch, height and width are open."""
    net = timm.create_model(name, pretrained=False, num_classes=10, **options)
    return Net(Named(net), {"x": Floats("batch", 3, "height", "width")}, {"batch": 2, "height": side, "width": side},
               {"batch": 3, "height": other, "width": side}, scale=scale)


def fixed(name, side=64, **options):
    """For images of one size: the batch is open."""
    net = timm.create_model(name, pretrained=False, num_classes=10, **options)
    return Net(Named(net), {"x": Floats("batch", 3, side, side)}, {"batch": 2}, {"batch": 3}, scale=False)


SMALL = {"depths": (1, 1, 1, 1), "dims": (16, 24, 32, 48)}
TINY_VIT = {"embed_dim": 32, "depth": 2, "num_heads": 4}

NETS = {
    "convnextv2": lambda: image("convnextv2_atto", **SMALL),
    "efficientnetv2": lambda: image("tf_efficientnetv2_b0", channel_multiplier=0.5),
    "efficientnet_lite": lambda: image("tf_efficientnet_lite0"),
    "mobilenetv4": lambda: image("mobilenetv4_conv_small_035"),
    "mobilenetv4_hybrid": lambda: fixed("mobilenetv4_hybrid_medium", 128),
    "mobileone": lambda: image("mobileone_s0"),
    "repvgg": lambda: image("repvgg_a0"),
    "repvit": lambda: image("repvit_m0_9"),
    "ghostnet": lambda: image("ghostnetv2_100"),
    "fastvit": lambda: fixed("fastvit_t8", 128),
    "edgenext": lambda: image("edgenext_xx_small"),
    "efficientformer": lambda: fixed("efficientformerv2_s0", 224),
    "efficientvit": lambda: image("efficientvit_b0"),
    "maxvit": lambda: fixed("maxvit_pico_rw_256", 64, img_size=64),
    "coatnet": lambda: fixed("coatnet_pico_rw_224", 64, img_size=64),
    "maxxvit": lambda: fixed("maxxvit_rmlp_nano_rw_256", 64, img_size=64),
    "eva02": lambda: fixed("eva02_tiny_patch14_224", 56, img_size=56, depth=2),
    "beitv2": lambda: fixed("beit_base_patch16_224", 64, img_size=64, **TINY_VIT),
    "vit_registers": lambda: fixed("vit_small_patch14_reg4_dinov2", 56, img_size=56, **TINY_VIT),
    "vit_siglip": lambda: fixed("vit_base_patch16_siglip_224", 64, img_size=64, **TINY_VIT),
    "vit_dynamic": lambda: image("vit_tiny_patch16_224", 64, dynamic_img_size=True, depth=2),
    "cait": lambda: fixed("cait_xxs24_224", 64, img_size=64, depth=2),
    "xcit": lambda: fixed("xcit_nano_12_p16_224", 64, img_size=64, depth=2),
    "pit": lambda: fixed("pit_ti_224", 224),
    "crossvit": lambda: fixed("crossvit_tiny_240", 240),
    "twins": lambda: fixed("twins_pcpvt_small", 64, img_size=64, depths=(1, 1, 1, 1)),
    "coat": lambda: fixed("coat_tiny", 64, img_size=64),
    "davit": lambda: image("davit_tiny", depths=(1, 1, 1, 1), embed_dims=(16, 32, 48, 64), num_heads=(1, 2, 3, 4)),
    "gcvit": lambda: fixed("gcvit_xxtiny", 224),
    "volo": lambda: fixed("volo_d1_224", 64, img_size=64),
    "mixer": lambda: fixed("mixer_s16_224", 64, img_size=64),
    "resmlp": lambda: fixed("resmlp_12_224", 64, img_size=64),
    "gmlp": lambda: fixed("gmlp_ti16_224", 64, img_size=64),
    "convmixer": lambda: image("convmixer_768_32"),
    "poolformerv2": lambda: image("poolformerv2_s12"),
    "caformer": lambda: image("caformer_s18"),
    "hrnet": lambda: image("hrnet_w18_small"),
    "res2net": lambda: image("res2net50_14w_8s", layers=(1, 1, 1, 1)),
    "resnest": lambda: image("resnest14d"),
    "selecsls": lambda: image("selecsls42b"),
    "sknet": lambda: image("skresnet18"),
    "ecaresnet": lambda: image("ecaresnet26t"),
    "botnet": lambda: fixed("botnet26t_256", 256),
    "halonet": lambda: fixed("halonet26t", 256),
    "lambda_resnet": lambda: fixed("lambda_resnet26rpt_256", 256),
    "nfnet": lambda: image("nfnet_l0"),
    "bit_resnet": lambda: image("resnetv2_50x1_bit"),
    "dpn": lambda: image("dpn48b"),
    "dla": lambda: image("dla34"),
    "vovnet": lambda: image("ese_vovnet19b_dw"),
    "xception": lambda: image("xception41"),
    "inception_resnet": lambda: image("inception_resnet_v2", 96, other=128),
    "inception_next": lambda: image("inception_next_atto"),
    "focalnet": lambda: image("focalnet_tiny_srf"),
    "starnet": lambda: image("starnet_s1"),
    "rdnet": lambda: image("rdnet_tiny"),
    "hgnetv2": lambda: image("hgnetv2_b0"),
    "tinyvit": lambda: fixed("tiny_vit_5m_224", 224),
    "nextvit": lambda: image("nextvit_small"),
    "mambaout": lambda: image("mambaout_femto", depths=(1, 1, 1, 1), dims=(16, 24, 32, 48)),
    "hiera": lambda: fixed("hiera_tiny_224", 224, stages=(1, 1, 1, 1)),
    "swin_cr": lambda: fixed("swinv2_cr_tiny_ns_224", 64, img_size=64, window_size=2, depths=(1, 1, 1, 1)),
    "levit_conv": lambda: fixed("levit_conv_128s", 224),
    "shvit": lambda: image("shvit_s1", 128, other=192),
    "tresnet": lambda: image("tresnet_m"),
    "visformer": lambda: fixed("visformer_tiny", 224),
    "sequencer": lambda: image("sequencer2d_s", layers=(1, 1, 1, 1)),
}
