"""More architectures of transformers that see, hear and forecast, small configurations, random weights."""
import torch
import transformers as tf

from torch_nets import Floats, Ids, Mask, Net
from transformers_nets import BART, RESNET, ROPE, SPEECH, SWIN, TEXT, VIT, Lean, audio, config_of, images, model_of

PYRAMID = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}
FPN = {"neck_hidden_sizes": [16, 16, 32, 32], "fusion_hidden_size": 16, "reassemble_factors": [4, 2, 1, 0.5]}
DETECT = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4,
          "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_queries": 10, "num_labels": 5}
REAL_TIME = {**DETECT, "encoder_hidden_dim": 32, "encoder_in_channels": [24, 32, 48], "decoder_in_channels": [32, 32, 32],
             "hidden_expansion": 1.0, "num_denoising": 0, "anchor_image_size": None}


def backbone(**more):
    return tf.ResNetConfig(**RESNET, **{"out_features": ["stage2", "stage3", "stage4"], **more})


def open_images(name, config, options, low=64, high=96, **fixed):
    """Batch, height and width are open."""
    return Net(Lean(model_of(name, config_of(config, **options)), fixed),
               {"pixel_values": Floats("batch", 3, "height", "width")}, {"batch": 1, "height": low, "width": high},
               {"batch": 2, "height": high, "width": low})


def frames(name, config, options, count=4, side=32):
    return Net(Lean(model_of(name, config_of(config, **options))), {"pixel_values": Floats("batch", count, 3, side, side)},
               {"batch": 1}, {"batch": 2})


def videomae():
    class Masked(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, pixel_values):
            return self.model(pixel_values, return_dict=False)
    return Net(Masked(model_of("VideoMAEForVideoClassification", config_of(
        "VideoMAEConfig", **VIT, num_frames=4, tubelet_size=2))), {"pixel_values": Floats("batch", 4, 3, 32, 32)},
        {"batch": 1}, {"batch": 2})


def sam():
    options = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "patch_size": 8,
               "output_channels": 16, "mlp_dim": 64, "window_size": 3, "global_attn_indexes": [1], "num_pos_feats": 16}
    return images("SamVisionModel", "SamVisionConfig", options, 64)


def sam_points():
    """The whole of it: an image and points in, masks out."""
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "patch_size": 16,
              "output_channels": 16, "mlp_dim": 64, "window_size": 3, "global_attn_indexes": [1], "num_pos_feats": 8}
    prompt = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    mask = {"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    config = tf.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=mask)
    return Net(Lean(model_of("SamModel", config)),
               {"pixel_values": Floats("batch", 3, 64, 64), "input_points": Floats("batch", 1, "points", 2, scale=60, low=1)},
               {"batch": 1, "points": 2}, {"batch": 1, "points": 3})


def contrast(name, config, vision=None, text=None, **more):
    """Texts and images against each other."""
    text_part = {**TEXT, "projection_dim": 24, "eos_token_id": 98, "bos_token_id": 97, "pad_token_id": 1, **(text or {})}
    settings = getattr(tf, config)(text_config=text_part, vision_config={**VIT, "projection_dim": 24, **(vision or {})},
                                   projection_dim=24, **more)
    return Net(Lean(model_of(name, settings)),
               {"input_ids": Ids("texts", "seq"), "pixel_values": Floats("images", 3, 32, 32),
                "attention_mask": Mask("texts", "seq")},
               {"texts": 2, "seq": 7, "images": 2}, {"texts": 2, "seq": 11, "images": 2})


def captions():
    """An image to text: donut, trocr."""
    class Caption(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, pixel_values, decoder_input_ids):
            return self.model(pixel_values=pixel_values, decoder_input_ids=decoder_input_ids, use_cache=False,
                              return_dict=False)[0]
    encoder = config_of("DonutSwinConfig", **SWIN)
    decoder = config_of("MBartConfig", **BART, is_decoder=True, add_cross_attention=True)
    config = tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    model = tf.VisionEncoderDecoderModel(config=config).eval()
    return Net(Caption(model), {"pixel_values": Floats("batch", 3, 32, 32), "decoder_input_ids": Ids("batch", "target")},
               {"batch": 2, "target": 5}, {"batch": 1, "target": 9})


def llava():
    """Four tokens of the text are an image."""
    class Tokens(Ids):
        def make(self, dims, rng):
            ids = torch.randint(0, 90, dims, generator=rng)
            ids[:, 1:5] = 95
            return ids
    config = tf.LlavaConfig(vision_config=tf.CLIPVisionConfig(**{**VIT, "image_size": 16}),
                            text_config=tf.LlamaConfig(**ROPE), image_token_index=95, image_token_id=95,
                            vision_feature_layer=-1)
    return Net(Lean(model_of("LlavaForConditionalGeneration", config), {"use_cache": False}),
               {"input_ids": Tokens("batch", "seq"), "pixel_values": Floats("batch", 3, 16, 16),
                "attention_mask": Mask("batch", "seq")}, {"batch": 2, "seq": 9}, {"batch": 1, "seq": 12})


def vits():
    options = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 64,
               "flow_size": 32, "spectrogram_bins": 33, "upsample_initial_channel": 32, "upsample_rates": [4, 4],
               "upsample_kernel_sizes": [8, 8], "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]],
               "prior_encoder_num_wavenet_layers": 2, "posterior_encoder_num_wavenet_layers": 2,
               "prior_encoder_num_flows": 2, "use_stochastic_duration_prediction": False,
               "duration_predictor_filter_channels": 32, "noise_scale": 0.0, "noise_scale_duration": 0.0}
    return Net(Lean(model_of("VitsModel", config_of("VitsConfig", **options))),
               {"input_ids": Ids("batch", "seq", high=40), "attention_mask": Mask("batch", "seq")},
               {"batch": 1, "seq": 9}, {"batch": 1, "seq": 12}, scale=False)


def vocoder(name, config, options, bins, feature="spectrogram", **net):
    return Net(Lean(model_of(name, config_of(config, **options))), {feature: Floats("batch", "time", bins)},
               {"batch": 2, "time": 12}, {"batch": 1, "time": 20}, **net)


class Codec(torch.nn.Module):
    """Waves to codes and back."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_values):
        out = self.model(input_values, return_dict=False)
        return out


def codec(name, config, options, time=640, other=1280):
    return Net(Codec(model_of(name, config_of(config, **options))), {"input_values": Floats("batch", 1, "time")},
               {"batch": 2, "time": time}, {"batch": 1, "time": other})


def spectrum(name, config, options, steps, bins, inputs="input_values", **net):
    return Net(Lean(model_of(name, config_of(config, **options))), {inputs: Floats("batch", steps, bins)},
               {"batch": 2, "time": 64}, {"batch": 1, "time": 96}, **net)


def speech_to_text():
    config = config_of("Speech2TextConfig", **BART, num_mel_bins=20, input_feat_per_channel=20, conv_channels=32,
                       max_source_positions=200, max_target_positions=64)
    return Net(Lean(model_of("Speech2TextForConditionalGeneration", config), {"use_cache": False}),
               {"input_features": Floats("batch", "time", 20), "decoder_input_ids": Ids("batch", "target")},
               {"batch": 2, "time": 40, "target": 5}, {"batch": 1, "time": 64, "target": 9})


def moonshine():
    config = config_of("MoonshineConfig", vocab_size=99, hidden_size=32, intermediate_size=64, encoder_num_hidden_layers=2,
                       decoder_num_hidden_layers=2, encoder_num_attention_heads=4, decoder_num_attention_heads=4)
    return Net(Lean(model_of("MoonshineForConditionalGeneration", config), {"use_cache": False}),
               {"input_values": Floats("batch", "time"), "decoder_input_ids": Ids("batch", "target")},
               {"batch": 2, "time": 3200, "target": 5}, {"batch": 1, "time": 4800, "target": 9})


def series(name, config, options, length=32, channels=3):
    return Net(Lean(model_of(name, config_of(config, **options))), {"past_values": Floats("batch", length, channels)},
               {"batch": 2}, {"batch": 3})


PATCHES = {"num_input_channels": 3, "context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16,
           "num_hidden_layers": 2, "prediction_length": 8, "num_layers": 2, "ffn_dim": 32}
MOBILE = {"image_size": 64, "depth_multiplier": 0.25}
CONFORMER = {**SPEECH, "conv_depthwise_kernel_size": 7}

NETS = {
    "sam": sam,
    "sam_points": sam_points,
    "rt_detr": lambda: images("RTDetrForObjectDetection", "RTDetrConfig",
                              {**REAL_TIME, "backbone_config": tf.RTDetrResNetConfig(
                                  **RESNET, out_features=["stage2", "stage3", "stage4"])}, 64),
    "rt_detr_v2": lambda: open_images("RTDetrV2ForObjectDetection", "RTDetrV2Config",
                                      {**REAL_TIME, "backbone_config": tf.RTDetrResNetConfig(
                                          **RESNET, out_features=["stage2", "stage3", "stage4"])}),
    "d_fine": lambda: images("DFineForObjectDetection", "DFineConfig",
                             {**REAL_TIME, "backbone_config": tf.RTDetrResNetConfig(
                                 **RESNET, out_features=["stage2", "stage3", "stage4"])}, 64),
    "deformable_detr": lambda: open_images("DeformableDetrForObjectDetection", "DeformableDetrConfig",
                                           {**DETECT, "use_timm_backbone": False, "use_pretrained_backbone": False,
                                            "backbone": None, "backbone_config": backbone()}, 128, 160),
    "dab_detr": lambda: open_images("DabDetrForObjectDetection", "DabDetrConfig",
                                    {**DETECT, "use_timm_backbone": False, "use_pretrained_backbone": False,
                                     "backbone": None, "backbone_config": backbone(out_features=["stage4"])}),
    "table_transformer": lambda: open_images("TableTransformerForObjectDetection", "TableTransformerConfig",
                                             {**DETECT, "use_timm_backbone": False, "use_pretrained_backbone": False,
                                              "backbone": None,
                                              "backbone_config": backbone(out_features=["stage4"])}),
    "depth_anything": lambda: images(
        "DepthAnythingForDepthEstimation", "DepthAnythingConfig",
        {**FPN, "reassemble_hidden_size": 32, "patch_size": 8, "head_hidden_size": 8,
         "backbone_config": tf.Dinov2Config(**{**VIT, "num_hidden_layers": 4}, mlp_ratio=2, reshape_hidden_states=False,
                                            out_features=["stage1", "stage2", "stage3", "stage4"])}),
    "glpn": lambda: open_images("GLPNForDepthEstimation", "GLPNConfig",
                                {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "num_attention_heads":
                                 [1, 1, 2, 2], "decoder_hidden_size": 16}),
    "upernet": lambda: open_images("UperNetForSemanticSegmentation", "UperNetConfig",
                                   {"hidden_size": 16, "pool_scales": [1, 2], "auxiliary_in_channels": 32,
                                    "auxiliary_channels": 16, "num_labels": 5, "backbone_config": tf.ConvNextConfig(
                                        **PYRAMID, out_features=["stage1", "stage2", "stage3", "stage4"])}),
    "maskformer": lambda: images(
        "MaskFormerForInstanceSegmentation", "MaskFormerConfig",
        {"fpn_feature_size": 32, "mask_feature_size": 32, "num_labels": 5,
         "backbone_config": tf.SwinConfig(image_size=64, patch_size=2, embed_dim=16, depths=[1, 1, 1, 1],
                                          num_heads=[2, 2, 4, 4], window_size=4,
                                          out_features=["stage1", "stage2", "stage3", "stage4"]),
         "decoder_config": tf.DetrConfig(**DETECT)}, 64),
    "mask2former": lambda: images(
        "Mask2FormerForUniversalSegmentation", "Mask2FormerConfig",
        {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "encoder_feedforward_dim": 64,
         "encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 4, "dim_feedforward": 64, "num_queries": 6,
         "num_labels": 5,
         "backbone_config": tf.SwinConfig(image_size=64, patch_size=2, embed_dim=16, depths=[1, 1, 1, 1],
                                          num_heads=[2, 2, 4, 4], window_size=4,
                                          out_features=["stage1", "stage2", "stage3", "stage4"])}, 64),
    "owlvit": lambda: contrast("OwlViTModel", "OwlViTConfig"),
    "altclip": lambda: contrast("AltCLIPModel", "AltCLIPConfig", text={"project_dim": 24}),
    "chinese_clip": lambda: contrast("ChineseCLIPModel", "ChineseCLIPConfig"),
    "clipseg": lambda: contrast("CLIPSegModel", "CLIPSegConfig"),
    "groupvit": lambda: contrast("GroupViTModel", "GroupViTConfig",
                                 {"depths": [1, 1], "num_group_tokens": [4, 2], "num_output_groups": [4, 2]}),
    "blip": lambda: contrast("BlipModel", "BlipConfig", text={"encoder_hidden_size": 32}, image_text_hidden_size=24),
    "donut": captions,
    "llava": llava,
    "efficientnet_hf": lambda: images("EfficientNetForImageClassification", "EfficientNetConfig",
                                      {"image_size": 64, "width_coefficient": 0.25, "depth_coefficient": 0.3,
                                       "hidden_dim": 320}, 64),
    "mobilenet_v1": lambda: open_images("MobileNetV1ForImageClassification", "MobileNetV1Config", MOBILE),
    "mobilenet_v2_hf": lambda: open_images("MobileNetV2ForImageClassification", "MobileNetV2Config", MOBILE),
    "mobilevit_v2": lambda: images("MobileViTV2ForImageClassification", "MobileViTV2Config",
                                   {"image_size": 64, "width_multiplier": 0.25}, 64),
    "pvt": lambda: images("PvtForImageClassification", "PvtConfig",
                          {"image_size": 64, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1],
                           "num_attention_heads": [1, 2, 3, 4]}, 64),
    "pvt_v2": lambda: open_images("PvtV2ForImageClassification", "PvtV2Config",
                                  {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1],
                                   "num_attention_heads": [1, 2, 3, 4]}),
    "swiftformer": lambda: images("SwiftFormerForImageClassification", "SwiftFormerConfig",
                                  {"image_size": 64, "embed_dims": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}, 64),
    "focalnet": lambda: images("FocalNetForImageClassification", "FocalNetConfig",
                               {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 1],
                                "focal_levels": [2, 2], "focal_windows": [3, 3]}),
    "bit": lambda: images("BitForImageClassification", "BitConfig",
                          {"embedding_size": 16, "hidden_sizes": [16, 32, 32, 64], "depths": [1, 1, 1, 1],
                           "num_groups": 4}, 64),
    "regnet_hf": lambda: open_images("RegNetForImageClassification", "RegNetConfig",
                                     {**PYRAMID, "embedding_size": 16, "groups_width": 8, "layer_type": "y"}),
    "resnet_hf": lambda: open_images("ResNetForImageClassification", "ResNetConfig", {**RESNET, "layer_type": "bottleneck"}),
    "vit_msn": lambda: images("ViTMSNForImageClassification", "ViTMSNConfig", VIT),
    "vitdet": lambda: images("VitDetModel", "VitDetConfig",
                             {**VIT, "pretrain_image_size": 32, "window_size": 3, "window_block_indices": [0],
                              "use_relative_position_embeddings": True}),
    "dinov2_registers": lambda: images("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", {**VIT, "mlp_ratio": 2}),
    "dinov3": lambda: images("DINOv3ViTModel", "DINOv3ViTConfig", VIT),
    "dinov3_convnext": lambda: open_images("DINOv3ConvNextModel", "DINOv3ConvNextConfig", PYRAMID),
    "dinov2_open": lambda: open_images("Dinov2Model", "Dinov2Config", {**VIT, "mlp_ratio": 2}, 32, 48),
    "vit_open": lambda: open_images("ViTModel", "ViTConfig", VIT, 32, 48, interpolate_pos_encoding=True),
    "data2vec_vision": lambda: images("Data2VecVisionModel", "Data2VecVisionConfig",
                                      {**VIT, "use_relative_position_bias": True}),
    "ijepa": lambda: images("IJepaModel", "IJepaConfig", VIT),
    "hgnet": lambda: open_images("HGNetV2ForImageClassification", "HGNetV2Config",
                                 {"embedding_size": 16, "stem_channels": [3, 8, 16], "hidden_sizes": [16, 24, 32, 48],
                                  "stage_in_channels": [16, 16, 24, 32], "stage_mid_channels": [8, 8, 12, 16],
                                  "stage_out_channels": [16, 24, 32, 48]}),
    "textnet": lambda: open_images("TextNetForImageClassification", "TextNetConfig", {}),
    "swin2sr": lambda: images("Swin2SRForImageSuperResolution", "Swin2SRConfig",
                              {"image_size": 16, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
                              16),
    "superpoint": lambda: images("SuperPointForKeypointDetection", "SuperPointConfig",
                                 {"encoder_hidden_sizes": [8, 8, 16, 16], "decoder_hidden_size": 16,
                                  "keypoint_decoder_dim": 65, "descriptor_decoder_dim": 16}, 64),
    "vitpose": lambda: Net(Lean(model_of("VitPoseForPoseEstimation", config_of(
        "VitPoseConfig", backbone_config=tf.VitPoseBackboneConfig(
            image_size=[32, 24], patch_size=[8, 8], hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            out_indices=[2]), num_labels=5, scale_factor=4, use_simple_decoder=False))),
        {"pixel_values": Floats("batch", 3, 32, 24)}, {"batch": 2}, {"batch": 3}),
    "videomae": videomae,
    "vivit": lambda: frames("VivitModel", "VivitConfig", {**VIT, "num_frames": 4, "tubelet_size": [2, 8, 8]}),
    "timesformer": lambda: frames("TimesformerModel", "TimesformerConfig", {**VIT, "num_frames": 4}),
    "vits": vits,
    "hifigan": lambda: vocoder("SpeechT5HifiGan", "SpeechT5HifiGanConfig",
                               {"model_in_dim": 20, "upsample_initial_channel": 32, "upsample_rates": [4, 4],
                                "upsample_kernel_sizes": [8, 8], "resblock_kernel_sizes": [3, 5],
                                "resblock_dilation_sizes": [[1, 3], [1, 3]]}, 20),
    "encodec": lambda: codec("EncodecModel", "EncodecConfig",
                             {"num_filters": 4, "upsampling_ratios": [4, 2], "codebook_size": 16, "hidden_size": 16,
                              "target_bandwidths": [12.0], "sampling_rate": 8000}),
    "dac": lambda: codec("DacModel", "DacConfig", {"encoder_hidden_size": 8, "downsampling_ratios": [2, 4],
                                                   "decoder_hidden_size": 32, "n_codebooks": 2, "codebook_size": 16,
                                                   "codebook_dim": 4, "hidden_size": 32}),
    "mimi": lambda: codec("MimiModel", "MimiConfig",
                          {"num_filters": 4, "upsampling_ratios": [4, 2], "codebook_size": 16, "hidden_size": 32, "upsample_groups": 32,
                           "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4,
                           "intermediate_size": 64, "vector_quantization_hidden_dimension": 16, "codebook_dim": 16,
                           "num_quantizers": 3, "num_semantic_quantizers": 1, "head_dim": 8}),
    "ast": lambda: spectrum("ASTForAudioClassification", "ASTConfig",
                            {**{k: v for k, v in VIT.items() if k != "image_size"}, "max_length": 64, "num_mel_bins": 24,
                             "frequency_stride": 8, "time_stride": 8}, 64, 24),
    "wav2vec2_conformer": lambda: audio("Wav2Vec2ConformerModel", "Wav2Vec2ConformerConfig",
                                        {**CONFORMER, "position_embeddings_type": "rotary"}),
    "wav2vec2_bert": lambda: spectrum("Wav2Vec2BertModel", "Wav2Vec2BertConfig",
                                      {**TEXT, "feature_projection_input_dim": 20, "conv_depthwise_kernel_size": 7,
                                       "left_max_position_embeddings": 8, "right_max_position_embeddings": 4},
                                      "time", 20, "input_features"),
    "sew": lambda: audio("SEWModel", "SEWConfig", {**SPEECH, "squeeze_factor": 2}),
    "unispeech_sat": lambda: audio("UniSpeechSatModel", "UniSpeechSatConfig"),
    "data2vec_audio": lambda: audio("Data2VecAudioModel", "Data2VecAudioConfig", {**SPEECH, "conv_pos_kernel_size": 5}),
    "parakeet": lambda: spectrum("ParakeetEncoder", "ParakeetEncoderConfig",
                                 {**TEXT, "num_mel_bins": 32, "subsampling_conv_channels": 8, "conv_kernel_size": 5},
                                 "time", 32, "input_features"),
    "speech_to_text": speech_to_text,
    "moonshine": moonshine,
    "patchtst": lambda: series("PatchTSTForPrediction", "PatchTSTConfig", PATCHES),
    "patchtsmixer": lambda: series("PatchTSMixerForPrediction", "PatchTSMixerConfig", PATCHES),
}
