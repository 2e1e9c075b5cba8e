"""Nets from packages of PyPI that their users export: masks, graphs, sound, recurrences with solvers inside."""
import importlib

import torch

from torch_nets import Floats, Ids, Net


class Takes(torch.nn.Module):
    """Inputs by name, whatever the net calls them; HOW calls it."""

    def __init__(self, net, how=lambda net, *inputs: net(*inputs)):
        super().__init__()
        self.net, self.how = net, how

    def forward(self, **inputs):
        return self.how(self.net, *inputs.values())


def of(module, name):
    return getattr(importlib.import_module(module), name)


# Masks and images.

def masks(name):
    return of("segmentation_models_pytorch", name)(encoder_name="resnet18", encoder_weights=None, classes=3)


def mask(name, side=64):
    """Encoder and decoder: batch, height and width are open."""
    return Net(Takes(masks(name)), {"x": Floats("batch", 3, "height", "width")}, {"batch": 2, "height": side, "width": side},
               {"batch": 1, "height": side + 32, "width": side})


def mask_of(name, side=64):
    """The batch alone: the exporter must know what to pool from, to sizes that are stated."""
    return Net(Takes(masks(name)), {"x": Floats("batch", 3, side, side)}, {"batch": 2}, {"batch": 1})


def square(module, name, **options):
    net = of(f"vit_pytorch.{module}", name)(num_classes=5, **options)
    return Net(Takes(net), {"x": Floats("batch", 3, 64, 64)}, {"batch": 2}, {"batch": 3})


def cubes():
    net = of("vit_pytorch.vit_3d", "ViT")(image_size=32, image_patch_size=8, frames=4, frame_patch_size=2, num_classes=5,
                                          dim=32, depth=2, heads=2, dim_head=16, mlp_dim=64)
    return Net(Takes(net), {"x": Floats("batch", 3, 4, 32, 32)}, {"batch": 2}, {"batch": 3})


def larger():
    """Four pixels for one."""
    net = of("torchsr.models.ninasr", "NinaSR")(2, 8, 2)
    return Net(Takes(net), {"x": Floats("batch", 3, "height", "width", low=0)}, {"batch": 1, "height": 24, "width": 32},
               {"batch": 2, "height": 32, "width": 24})


TOWERS = {"embed_dim": 32, "text_cfg": {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 2},
          "vision_cfg": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 32}}
PAIR = {"image": Floats("batch", 3, 32, 32), "text": Ids("batch", 8)}


def clip():
    return Net(Takes(of("open_clip.model", "CLIP")(**TOWERS)), PAIR, {"batch": 2}, {"batch": 3})


def captions():
    net = of("open_clip.coca_model", "CoCa")(**{
        **TOWERS, "multimodal_cfg": {"context_length": 8, "width": 32, "heads": 2, "layers": 2, "vocab_size": 99},
        "text_cfg": {**TOWERS["text_cfg"], "embed_cls": True, "output_tokens": True},
        "vision_cfg": {**TOWERS["vision_cfg"], "attentional_pool": True, "attn_pooler_queries": 6,
                       "attn_pooler_heads": 2, "output_tokens": True}})
    return Net(Takes(net), PAIR, {"batch": 2}, {"batch": 3})


# Words and other sequences.

def words(name="Decoder", **options):
    layers = of("x_transformers", name)(dim=32, depth=2, heads=4, attn_dim_head=8, **options)
    net = of("x_transformers", "TransformerWrapper")(num_tokens=99, max_seq_len=64, attn_layers=layers)
    return Net(Takes(net), {"ids": Ids("batch", "seq")}, {"batch": 2, "seq": 9}, {"batch": 1, "seq": 13})


def sequence(net, width, size=12, other=17, how=None, **kind):
    takes = Takes(net, how) if how else Takes(net)
    return Net(takes, {"x": Floats("batch", "time", width, **kind)}, {"batch": 2, "time": size}, {"batch": 1, "time": other})


def table():
    net = of("tab_transformer_pytorch.ft_transformer", "FTTransformer")(
        categories=(5, 7, 3), num_continuous=4, dim=16, dim_out=2, depth=2, heads=2, dim_head=8)
    return Net(Takes(net), {"categories": Ids("batch", 3, high=3), "numbers": Floats("batch", 4)}, {"batch": 4}, {"batch": 7})


def quantised():
    net = of("vector_quantize_pytorch", "ResidualVQ")(dim=16, codebook_size=20, num_quantizers=3)
    return sequence(net, 16)


def finite():
    net = of("vector_quantize_pytorch", "FSQ")(levels=[8, 5, 5], dim=16)
    return sequence(net, 16)


def liquid(name):
    """A cell that solves its differential equation at each step."""
    return Net(Takes(of("ncps.torch", name)(5, 8)), {"x": Floats("batch", 7, 5)}, {"batch": 2}, {"batch": 3})


def mamba():
    config = of("mambapy.mamba", "MambaConfig")(d_model=16, n_layers=2, d_state=4, pscan=False)
    return Net(Takes(of("mambapy.mamba", "Mamba")(config)), {"x": Floats("batch", 6, 16)}, {"batch": 2}, {"batch": 3})


# Sound.

def stems():
    """Sound into its sources: U-net of waves with recurrent layers in its middle."""
    net = of("demucs.demucs", "Demucs")(sources=["a", "b"], channels=8, depth=3, dconv_lstm=2, dconv_attn=2, resample=False)
    return Net(Takes(net), {"x": Floats("batch", 2, 2048)}, {"batch": 1}, {"batch": 2})


def spectra():
    """The same of spectra too: STFT, two branches, attention between them, and back to waves."""
    net = of("demucs.htdemucs", "HTDemucs")(sources=["a", "b"], channels=8, nfft=512, depth=3, t_layers=1, t_heads=2,
                                            bottom_channels=32, samplerate=8000, segment=1)
    return Net(Takes(net), {"x": Floats(1, 2, 8000)})


# Graphs and molecules: nodes with features, edges as pairs of indices.

GRAPH = {"x": Floats("nodes", 6), "edges": Ids(2, "edges", high=7)}
SIZES, OTHER = {"nodes": 8, "edges": 20}, {"nodes": 9, "edges": 31}


def graph(name, **options):
    net = of("torch_geometric.nn", name)(6, 16, 2, 3, **options)
    return Net(Takes(net), GRAPH, SIZES, OTHER)


def molecule():
    net = of("egnn_pytorch", "EGNN")(dim=8, m_dim=8, num_nearest_neighbors=3)
    return Net(Takes(net), {"features": Floats("batch", "atoms", 8), "places": Floats("batch", "atoms", 3)},
               {"batch": 2, "atoms": 6}, {"batch": 1, "atoms": 9})


def attention_graph():
    net = of("torch_geometric.nn", "AttentiveFP")(6, 16, 2, edge_dim=4, num_layers=2, num_timesteps=2)
    inputs = {**GRAPH, "features": Floats("edges", 4), "batch": Zeros("nodes")}
    return Net(Takes(net), inputs, SIZES, OTHER)


class Zeros(Floats):
    def make(self, dims, rng):
        return torch.zeros(dims, dtype=torch.int64)


SMALL = {"image_size": 64, "dim": 32, "heads": 2}

NETS = {
    **{f"smp_{name.lower()}": (lambda name=name: mask(name)) for name in (
        "UnetPlusPlus", "MAnet", "Linknet", "FPN", "DeepLabV3Plus", "Segformer")},
    "smp_pspnet": lambda: mask_of("PSPNet"), "smp_upernet": lambda: mask_of("UPerNet", 192),
    "smp_pan": lambda: mask_of("PAN", 128),
    "vit_crossformer": lambda: square("crossformer", "CrossFormer", dim=(32, 32, 64, 64), depth=(1, 1, 1, 1),
                                      global_window_size=(4, 2, 2, 1), local_window_size=2),
    "vit_nest": lambda: square("nest", "NesT", **SMALL, patch_size=4, num_hierarchies=3, block_repeats=(1, 1, 1), dim_head=16),
    "vit_region": lambda: square("regionvit", "RegionViT", dim=(16, 24, 32, 48), depth=(1, 1, 1, 1), window_size=2),
    "vit_t2t": lambda: square("t2t", "T2TViT", **SMALL, depth=2, mlp_dim=64, dim_head=16, t2t_layers=((7, 4), (3, 2))),
    "vit_xcit": lambda: square("xcit", "XCiT", **SMALL, patch_size=8, depth=2, cls_depth=1, mlp_dim=64, dim_head=16),
    "vit_fft": lambda: square("simple_vit_with_fft", "SimpleViT", **SMALL, patch_size=8, freq_patch_size=8, depth=1, mlp_dim=64),
    "vit_rotary": lambda: square("rvt", "RvT", **SMALL, patch_size=8, depth=2, mlp_dim=64, dim_head=16),
    "vit_3d": cubes, "ninasr": larger, "open_clip": clip, "coca": captions,
    "x_rotary": lambda: words(rotary_pos_emb=True, ff_glu=True, use_rmsnorm=True),
    "x_alibi": lambda: words(alibi_pos_bias=True, attn_qk_norm=True, attn_num_mem_kv=4),
    "x_dynamic": lambda: words("Encoder", dynamic_pos_bias=True, macaron=True, attn_gate_values=True),
    "x_sparse": lambda: words(attn_sparse_topk=4, rel_pos_bias=True, residual_attn=True, shift_tokens=1),
    "conformer": lambda: sequence(of("conformer", "Conformer")(32, depth=2, dim_head=8, heads=4, conv_kernel_size=7), 32),
    "linformer": lambda: Net(Takes(of("linformer", "Linformer")(32, 12, 2, k=4, heads=4)), {"x": Floats("batch", 12, 32)},
                             {"batch": 2}, {"batch": 3}),
    "tcn": lambda: Net(Takes(of("pytorch_tcn", "TCN")(6, [8, 8, 16], kernel_size=3, use_norm="weight_norm")),
                       {"x": Floats("batch", 6, "time")}, {"batch": 2, "time": 20}, {"batch": 1, "time": 33}),
    "ft_table": table, "residual_vq": quantised, "fsq": finite,
    "cfc": lambda: liquid("CfC"), "ltc": lambda: liquid("LTC"), "mambapy": mamba,
    "demucs": stems, "htdemucs": spectra,
    "pyg_gcn": lambda: graph("GCN"), "pyg_gat": lambda: graph("GAT", v2=True, heads=2),
    "pyg_sage": lambda: graph("GraphSAGE", aggr="max"), "pyg_gin": lambda: graph("GIN", norm="layer_norm"),
    "pyg_pna": lambda: graph("PNA", aggregators=["mean", "max", "std"], scalers=["identity", "amplification"],
                             deg=torch.tensor([0, 3, 4, 2, 1])),
    "pyg_attentive": attention_graph, "egnn": molecule,
}
