"""Networks of diffusers: U-Nets, transformers, decoders and encoders of images, small, random weights."""
import diffusers as d
import torch

from torch_nets import Floats, Ids, Net


class Step(torch.nn.Module):
    """One step of denoising: what comes by name goes in, the first tensor comes out."""

    def __init__(self, model, fixed=None):
        super().__init__()
        self.model, self.fixed = model, fixed or {}

    def forward(self, **inputs):
        return self.model(**inputs, **self.fixed, return_dict=False)[0]


class Method(torch.nn.Module):
    """One method of the model: decode, encode."""

    def __init__(self, model, name):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, x):
        out = getattr(self.model, self.name)(x, return_dict=False)[0]
        return out if isinstance(out, torch.Tensor) else out.mode()


BLOCKS = {"sample_size": 16, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8}
CROSS = {**BLOCKS, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "in_channels": 4, "out_channels": 4,
         "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "cross_attention_dim": 16, "attention_head_dim": 8}
CODER = {"in_channels": 3, "out_channels": 3, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8,
         "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, "latent_channels": 4}
LATENT = Floats("batch", 4, "height", "width")
TIME = Ids("batch", low=1, high=900)
PROMPT = Floats("batch", "tokens", 16)
SIZES = {"batch": 2, "height": 16, "width": 16, "tokens": 7}
OTHER = {"batch": 1, "height": 16, "width": 24, "tokens": 9}


def step(model, inputs, fixed=None, sizes=None, other=None):
    return Net(Step(model, fixed), inputs, sizes or SIZES, other or OTHER)


def coder(model, name, channels, low, high):
    return Net(Method(model, name), {"x": Floats("batch", channels, "height", "width")},
               {"batch": 1, "height": low, "width": low}, {"batch": 2, "height": low, "width": high})


def video_coder():
    model = d.AutoencoderKLTemporalDecoder(**{**{k: v for k, v in CODER.items() if k not in ("up_block_types", "norm_num_groups")},
                                             "block_out_channels": (32, 64)})

    class Decode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model.decode(x, num_frames=2, return_dict=False)[0]
    return Net(Decode(), {"x": Floats(2, 4, 8, 8)})


def control():
    return step(d.ControlNetModel(**{k: v for k, v in CROSS.items() if k not in ("sample_size", "up_block_types",
                                                                                 "out_channels")},
                                  conditioning_embedding_out_channels=(8, 16)),
                {"sample": LATENT, "timestep": TIME, "encoder_hidden_states": PROMPT,
                 "controlnet_cond": Floats("batch", 3, 32, 32)},
                sizes={"batch": 2, "height": 16, "width": 16, "tokens": 7}, other={"batch": 1, "tokens": 9})


NETS = {
    "unet": lambda: step(d.UNet2DModel(**BLOCKS, in_channels=4, out_channels=4, attention_head_dim=8,
                                       down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                                       up_block_types=("AttnUpBlock2D", "UpBlock2D")),
                         {"sample": LATENT, "timestep": TIME}),
    "unet_text": lambda: step(d.UNet2DConditionModel(**CROSS),
                              {"sample": LATENT, "timestep": TIME, "encoder_hidden_states": PROMPT}),
    "unet_xl": lambda: Net(SdXl(), {"sample": LATENT, "timestep": TIME, "encoder_hidden_states": PROMPT,
                                    "text_embeds": Floats("batch", 8), "time_ids": Floats("batch", 6)}, SIZES, OTHER),
    "unet_simple": lambda: step(d.UNet2DConditionModel(
        **{**CROSS, "resnet_time_scale_shift": "scale_shift", "down_block_types": ("SimpleCrossAttnDownBlock2D",
                                                                                   "ResnetDownsampleBlock2D"),
           "up_block_types": ("ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"),
           "mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}),
        {"sample": LATENT, "timestep": TIME, "encoder_hidden_states": PROMPT}),
    "unet_1d": lambda: step(d.UNet1DModel(sample_size=64, in_channels=2, out_channels=2, extra_in_channels=64,
                                          block_out_channels=(32, 64), down_block_types=("DownBlock1DNoSkip", "AttnDownBlock1D"),
                                          up_block_types=("AttnUpBlock1D", "UpBlock1DNoSkip"), layers_per_block=1),
                            {"sample": Floats("batch", 2, "time"), "timestep": Ids(1, low=1, high=900)},
                            sizes={"batch": 2, "time": 64}, other={"batch": 1, "time": 128}),
    "controlnet": control,
    "dit": lambda: step(d.DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, num_layers=2,
                                                sample_size=8, norm_num_groups=4, num_embeds_ada_norm=10),
                        {"hidden_states": Floats("batch", 4, 8, 8), "timestep": TIME, "class_labels": Ids("batch", high=9)},
                        sizes={"batch": 2}, other={"batch": 3}),
    "sd3": lambda: step(d.SD3Transformer2DModel(sample_size=16, in_channels=4, num_layers=2, attention_head_dim=8,
                                                num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16,
                                                pooled_projection_dim=8, out_channels=4, pos_embed_max_size=16),
                        {"hidden_states": LATENT, "encoder_hidden_states": PROMPT, "pooled_projections": Floats("batch", 8),
                         "timestep": TIME}),
    "flux": lambda: step(d.FluxTransformer2DModel(in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16,
                                                  num_attention_heads=2, joint_attention_dim=16, pooled_projection_dim=8,
                                                  axes_dims_rope=(4, 4, 8)),
                         {"hidden_states": Floats("batch", "pixels", 4), "encoder_hidden_states": PROMPT,
                          "pooled_projections": Floats("batch", 8), "timestep": Floats("batch", low=0.1),
                          "img_ids": Floats("pixels", 3, scale=9, low=0), "txt_ids": Floats("tokens", 3, scale=9, low=0)},
                         sizes={"batch": 2, "pixels": 16, "tokens": 7}, other={"batch": 1, "pixels": 24, "tokens": 9}),
    "pixart": lambda: step(d.PixArtTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4,
                                                      out_channels=8, num_layers=2, norm_num_groups=1, sample_size=8,
                                                      cross_attention_dim=16, caption_channels=16,
                                                      use_additional_conditions=False),
                           {"hidden_states": Floats("batch", 4, 8, 8), "encoder_hidden_states": PROMPT, "timestep": TIME},
                           {"added_cond_kwargs": {"resolution": None, "aspect_ratio": None}},
                           {"batch": 2, "tokens": 7}, {"batch": 1, "tokens": 9}),
    "sana": lambda: step(d.SanaTransformer2DModel(in_channels=4, out_channels=4, num_attention_heads=2,
                                                  attention_head_dim=8, num_layers=2, num_cross_attention_heads=2,
                                                  cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=16,
                                                  sample_size=16, patch_size=1),
                         {"hidden_states": LATENT, "encoder_hidden_states": PROMPT, "timestep": TIME}),
    "vae_decode": lambda: coder(d.AutoencoderKL(**CODER), "decode", 4, 8, 12),
    "vae_encode": lambda: coder(d.AutoencoderKL(**CODER), "encode", 3, 16, 24),
    "vae_tiny": lambda: coder(d.AutoencoderTiny(encoder_block_out_channels=(16, 16), decoder_block_out_channels=(16, 16),
                                                num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1)), "decode", 4, 8, 12),
    "vae_video": video_coder,
    "vqvae": lambda: coder(d.VQModel(**CODER, num_vq_embeddings=16), "encode", 3, 16, 24),
    "dc_ae": lambda: coder(d.AutoencoderDC(encoder_block_out_channels=(16, 32), decoder_block_out_channels=(16, 32),
                                           encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
                                           encoder_block_types=("ResBlock", "EfficientViTBlock"), latent_channels=4,
                                           decoder_block_types=("ResBlock", "EfficientViTBlock"), attention_head_dim=8,
                                           encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
                                           decoder_norm_types="rms_norm", decoder_act_fns="silu"), "decode", 4, 8, 12),
}


class SdXl(torch.nn.Module):
    """The U-Net that is also told sizes, and the text as one vector."""

    def __init__(self):
        super().__init__()
        self.model = d.UNet2DConditionModel(**{**CROSS, "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
                                               "projection_class_embeddings_input_dim": 56, "use_linear_projection": True,
                                               "transformer_layers_per_block": (2, 1)})

    def forward(self, sample, timestep, encoder_hidden_states, text_embeds, time_ids):
        return self.model(sample, timestep, encoder_hidden_states, return_dict=False,
                          added_cond_kwargs={"text_embeds": text_embeds, "time_ids": time_ids})[0]
