"""Architectures of transformers that came later, or that other groups leave out, and decoders that keep what they made."""
import torch
import transformers as tf

from media_nets import DETECT, REAL_TIME, contrast, frames, open_images, series, spectrum
from text_nets import LATENT
from torch_nets import Floats, Ids, Mask, Net
from transformers_nets import BART, GPT2, MOE, RESNET, ROPE, SPEECH, SWIN, T5, TEXT, VIT, Lean, audio, causal, config_of, \
    images, model_of, past, seq2seq, text

HEAD = {**ROPE, "head_dim": 8}
SLIDING = {**HEAD, "sliding_window": 4}


class Step(torch.nn.Module):
    """A step of a decoder that reads an encoder: keys and values of both come in, those of its own go out longer."""

    def __init__(self, model, layers=2):
        super().__init__()
        self.model, self.layers = model, layers

    def forward(self, decoder_input_ids, encoder, **kept):
        own, cross = tf.DynamicCache(), tf.DynamicCache()
        for k in range(self.layers):
            own.update(kept[f"own_key_{k}"], kept[f"own_value_{k}"], k)
            cross.update(kept[f"cross_key_{k}"], kept[f"cross_value_{k}"], k)
        cache = tf.EncoderDecoderCache(own, cross)
        for k in range(self.layers):
            cache.is_updated[k] = True
        out = self.model(decoder_input_ids=decoder_input_ids, encoder_outputs=(encoder,), past_key_values=cache,
                         use_cache=True)
        grown = out.past_key_values.self_attention_cache
        return (out.logits, *[t for layer in grown.layers for t in (layer.keys, layer.values)])


def step(name, config, options, width=32, heads=4, frames="source"):
    settings = config_of(config, **options)
    settings.use_cache = True
    inputs = {"decoder_input_ids": Ids("batch", 1), "encoder": Floats("batch", frames, width)}
    for k in range(2):
        for part in ("key", "value"):
            inputs[f"own_{part}_{k}"] = Floats("batch", heads, "past", 8)
            inputs[f"cross_{part}_{k}"] = Floats("batch", heads, frames, 8)
    return Net(Step(model_of(name, settings)), inputs, {"batch": 2, "past": 5, "source": 7},
               {"batch": 1, "past": 9, "source": 12})


WHISPER = {"vocab_size": 99, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
           "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_mel_bins": 20,
           "max_source_positions": 50, "max_target_positions": 40, "pad_token_id": 0, "bos_token_id": 1,
           "eos_token_id": 2, "decoder_start_token_id": 3}


class Tokens(Ids):
    """Text with the tokens of an image in its place."""

    def __init__(self, *dims, image, count):
        super().__init__(*dims)
        self.image, self.count = image, count

    def make(self, dims, rng):
        ids = torch.randint(0, 90, dims, generator=rng)
        ids[:, 1:1 + self.count] = self.image
        return ids


def sees(name, config, tokens, pixels, count, fixed=None, **extra):
    """A language model that sees."""
    model = model_of(name, config)
    return Net(Lean(model, {"use_cache": False, **(fixed or {})}),
               {"input_ids": Tokens("batch", "seq", image=tokens, count=count), "pixel_values": Floats(*pixels),
                "attention_mask": Mask("batch", "seq"), **extra},
               {"batch": 2, "seq": count + 5}, {"batch": 1, "seq": count + 8})


def paligemma():
    config = tf.PaliGemmaConfig(vision_config=tf.SiglipVisionConfig(**{**VIT, "projection_dim": 32}), projection_dim=32,
                                text_config=tf.GemmaConfig(**HEAD), image_token_index=95, image_token_id=95)
    return sees("PaliGemmaForConditionalGeneration", config, 95, ("batch", 3, 32, 32), 16)


def gemma3_sees():
    config = tf.Gemma3Config(vision_config=tf.SiglipVisionConfig(**VIT), text_config=tf.Gemma3TextConfig(**SLIDING),
                             mm_tokens_per_image=4, image_token_index=95, image_token_id=95)
    return sees("Gemma3ForConditionalGeneration", config, 95, ("batch", 3, 32, 32), 4)


def florence():
    vision = {"embed_dim": [16, 16, 32, 32], "num_heads": [2, 2, 4, 4], "num_groups": [2, 2, 4, 4], "depths": [1, 1, 1, 1],
              "window_size": 4, "projection_dim": 32}
    config = tf.Florence2Config(vision_config=tf.Florence2VisionConfig(**vision), text_config=tf.BartConfig(**BART),
                                image_token_id=95)
    inputs = {"decoder_input_ids": Ids("batch", "target")}
    net = sees("Florence2ForConditionalGeneration", config, 95, ("batch", 3, 64, 64), 5, **inputs)
    net.sizes, net.other = {**net.sizes, "target": 5}, {**net.other, "target": 7}
    return net


def internvl():
    config = tf.InternVLConfig(vision_config=tf.InternVLVisionConfig(**{**VIT, "image_size": [32, 32], "patch_size": [8, 8]}),
                               text_config=tf.Qwen2Config(**ROPE), image_token_id=95, image_seq_length=4)
    return sees("InternVLForConditionalGeneration", config, 95, ("batch", 3, 32, 32), 4)


def blip2():
    config = tf.Blip2Config(vision_config=tf.Blip2VisionConfig(**VIT), qformer_config=tf.Blip2QFormerConfig(
        **{**TEXT, "encoder_hidden_size": 32}), text_config=tf.OPTConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64, max_position_embeddings=64,
        word_embed_proj_dim=32), num_query_tokens=4, image_token_index=95, image_token_id=95)
    return sees("Blip2ForConditionalGeneration", config, 95, ("batch", 3, 32, 32), 4)


def grounding():
    backbone = tf.SwinConfig(image_size=64, patch_size=2, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[2, 2, 4, 4],
                             window_size=4, out_features=["stage2", "stage3", "stage4"])
    config = config_of("GroundingDinoConfig", **{**DETECT, "text_config": tf.BertConfig(**TEXT), "backbone_config": backbone,
                                                 "backbone": None, "use_timm_backbone": False,
                                                 "use_pretrained_backbone": False, "max_text_len": 16})
    return Net(Lean(model_of("GroundingDinoForObjectDetection", config)),
               {"pixel_values": Floats("batch", 3, 64, 64), "input_ids": Ids("batch", "seq")}, {"batch": 1, "seq": 6},
               {"batch": 2, "seq": 9})


def sam2():
    backbone = tf.Sam2HieraDetConfig(hidden_size=16, num_attention_heads=1, image_size=[64, 64], blocks_per_stage=[1, 1, 2, 1],
                                     embed_dim_per_stage=[16, 32, 64, 128], num_attention_heads_per_stage=[1, 1, 2, 2],
                                     window_size_per_stage=[4, 4, 2, 2], global_attention_blocks=[3],
                                     window_positional_embedding_background_size=[4, 4])
    vision = tf.Sam2VisionConfig(backbone_config=backbone, backbone_channel_list=[128, 64, 32, 16], fpn_hidden_size=32,
                                 backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]])
    return Net(Lean(model_of("Sam2VisionModel", vision)), {"pixel_values": Floats("batch", 3, 64, 64)}, {"batch": 1},
               {"batch": 2})


def time_series(name, config, **options):
    """Past values with their times; what follows at times that are told."""
    settings = config_of(config, prediction_length=4, context_length=8, lags_sequence=[1, 2], num_time_features=2, d_model=16,
                         encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
                         encoder_ffn_dim=32, decoder_ffn_dim=32, **options)
    return Net(Lean(model_of(name, settings)),
               {"past_values": Floats("batch", 10), "past_time_features": Floats("batch", 10, 2),
                "past_observed_mask": Floats("batch", 10, low=1.0, scale=0.0), "future_values": Floats("batch", 4),
                "future_time_features": Floats("batch", 4, 2)}, {"batch": 2}, {"batch": 3})


def fast_conformer():
    config = config_of("FastSpeech2ConformerConfig", hidden_size=32, vocab_size=40, num_mel_bins=16, encoder_layers=1,
                       decoder_layers=1, encoder_num_attention_heads=2, decoder_num_attention_heads=2, encoder_linear_units=32,
                       decoder_linear_units=32, speech_decoder_postnet_layers=2, speech_decoder_postnet_units=16,
                       duration_predictor_channels=16, energy_predictor_channels=16, pitch_predictor_channels=16,
                       pitch_predictor_layers=2)
    return Net(Lean(model_of("FastSpeech2ConformerModel", config)), {"input_ids": Ids(1, "seq", high=40, low=1)}, {"seq": 6},
               {"seq": 9}, scale=False)


def speaks():
    config = config_of("SpeechT5Config", vocab_size=40, hidden_size=32, encoder_layers=1, decoder_layers=1,
                       encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
                       num_mel_bins=16, speech_decoder_prenet_units=16, speech_decoder_postnet_units=16,
                       speech_decoder_postnet_layers=2, speaker_embedding_dim=8, speech_decoder_prenet_dropout=0.0,
                       encoder_max_relative_position=8)
    return Net(Lean(model_of("SpeechT5ForTextToSpeech", config), {"use_cache": False}),
               {"input_ids": Ids("batch", "seq", high=40, low=3), "attention_mask": Mask("batch", "seq"),
                "decoder_input_values": Floats("batch", "target", 16), "speaker_embeddings": Floats("batch", 8)},
               {"batch": 2, "seq": 7, "target": 6}, {"batch": 1, "seq": 9, "target": 8})


def musicgen():
    config = config_of("MusicgenDecoderConfig", vocab_size=32, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                       ffn_dim=64, num_codebooks=2, max_position_embeddings=64, pad_token_id=31, bos_token_id=31)
    return Net(Lean(model_of("MusicgenForCausalLM", config), {"use_cache": False}),
               {"input_ids": Ids("rows", "seq", high=32), "encoder_hidden_states": Floats("batch", "source", 32)},
               {"rows": 4, "batch": 2, "seq": 5, "source": 6}, {"rows": 4, "batch": 2, "seq": 8, "source": 4})


def decisions():
    config = config_of("DecisionTransformerConfig", state_dim=5, act_dim=3, hidden_size=32, n_layer=2, n_head=4,
                       max_ep_len=64, action_tanh=True)
    class Decide(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, **inputs):
            return self.model(**inputs, return_dict=False)[:3]
    return Net(Decide(model_of("DecisionTransformerModel", config)),
               {"states": Floats("batch", "seq", 5), "actions": Floats("batch", "seq", 3), "rewards": Floats("batch", "seq", 1),
                "returns_to_go": Floats("batch", "seq", 1), "timesteps": Ids("batch", "seq", high=60),
                "attention_mask": Mask("batch", "seq")}, {"batch": 2, "seq": 4}, {"batch": 1, "seq": 7})


def visual_bert():
    config = tf.VisualBertConfig(**TEXT, visual_embedding_dim=16)
    return Net(Lean(model_of("VisualBertModel", config)),
               {"input_ids": Ids("batch", "seq"), "attention_mask": Mask("batch", "seq"),
                "visual_embeds": Floats("batch", "regions", 16)}, {"batch": 2, "seq": 6, "regions": 3},
               {"batch": 1, "seq": 9, "regions": 5})


def lxmert():
    config = config_of("LxmertConfig", vocab_size=99, hidden_size=32, num_attention_heads=4, intermediate_size=64, l_layers=1,
                       x_layers=1, r_layers=1, visual_feat_dim=16, max_position_embeddings=64)
    return Net(Lean(model_of("LxmertModel", config)),
               {"input_ids": Ids("batch", "seq"), "visual_feats": Floats("batch", "regions", 16),
                "visual_pos": Floats("batch", "regions", 4, low=0)}, {"batch": 2, "seq": 6, "regions": 3},
               {"batch": 1, "seq": 9, "regions": 5})


def perceiver():
    config = config_of("PerceiverConfig", num_latents=6, d_latents=16, d_model=8, num_blocks=1, num_self_attends_per_block=2,
                       num_self_attention_heads=2, num_cross_attention_heads=2)
    return Net(Lean(model_of("PerceiverModel", config)), {"inputs": Floats("batch", "seq", 8), "attention_mask": Mask("batch", "seq")},
               {"batch": 2, "seq": 7}, {"batch": 1, "seq": 12})


def backbone(kind="RTDetrResNetConfig"):
    return getattr(tf, kind)(**RESNET, out_features=["stage2", "stage3", "stage4"])


NETS = {
    "whisper_step": lambda: step("WhisperForConditionalGeneration", "WhisperConfig", WHISPER, frames=50),
    "bart_step": lambda: step("BartForConditionalGeneration", "BartConfig", BART),
    "t5_step": lambda: step("T5ForConditionalGeneration", "T5Config", T5),
    "marian_step": lambda: step("MarianMTModel", "MarianConfig", {**BART, "pad_token_id": 98}),
    "gemma_past": lambda: past("GemmaForCausalLM", "GemmaConfig", HEAD, 2),
    "gemma3_past": lambda: past("Gemma3ForCausalLM", "Gemma3TextConfig", {**HEAD, "sliding_window": 64}, 2),
    "qwen2_past": lambda: past("Qwen2ForCausalLM", "Qwen2Config", ROPE, 2),
    "phi_past": lambda: past("PhiForCausalLM", "PhiConfig", {**TEXT, "partial_rotary_factor": 0.5}, 4),
    "smollm3_past": lambda: past("SmolLM3ForCausalLM", "SmolLM3Config", {**ROPE, "no_rope_layers": [1, 0]}, 2),
    "falcon_past": lambda: past("FalconForCausalLM", "FalconConfig", TEXT, 1),
    "gpt_neox_past": lambda: past("GPTNeoXForCausalLM", "GPTNeoXConfig", {**TEXT, "rotary_pct": 0.5}, 4),
    "llama_scaled": lambda: causal("LlamaForCausalLM", "LlamaConfig", {**ROPE, "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16}}),
    "ministral": lambda: causal("MinistralForCausalLM", "MinistralConfig", SLIDING),
    "olmo3": lambda: causal("Olmo3ForCausalLM", "Olmo3Config", {**ROPE, "sliding_window": 4}),
    "apertus": lambda: causal("ApertusForCausalLM", "ApertusConfig"),
    "arcee": lambda: causal("ArceeForCausalLM", "ArceeConfig"),
    "seed_oss": lambda: causal("SeedOssForCausalLM", "SeedOssConfig", HEAD),
    "nanochat": lambda: causal("NanoChatForCausalLM", "NanoChatConfig"),
    "modernbert_decoder": lambda: causal("ModernBertDecoderForCausalLM", "ModernBertDecoderConfig",
                                         {**TEXT, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
                                          "sep_token_id": 2, "local_attention": 8}),
    "doge": lambda: causal("DogeForCausalLM", "DogeConfig"),
    "dots1": lambda: causal("Dots1ForCausalLM", "Dots1Config", {**MOE, "n_routed_experts": 4, "n_shared_experts": 1,
                                                                "n_group": 1, "topk_group": 1}),
    "deepseek_v2": lambda: causal("DeepseekV2ForCausalLM", "DeepseekV2Config", LATENT),
    "glm4_moe": lambda: causal("Glm4MoeForCausalLM", "Glm4MoeConfig", {**MOE, "head_dim": 8, "n_routed_experts": 4,
                                                                       "n_shared_experts": 1, "n_group": 1, "topk_group": 1}),
    "granitemoehybrid": lambda: causal("GraniteMoeHybridForCausalLM", "GraniteMoeHybridConfig",
                                       {**MOE, "layer_types": ["mamba", "attention"], "mamba_n_heads": 4, "mamba_d_head": 16,
                                        "mamba_d_state": 8, "mamba_chunk_size": 4, "mamba_expand": 2,
                                        "shared_intermediate_size": 32}),
    "falcon_h1": lambda: causal("FalconH1ForCausalLM", "FalconH1Config",
                                {**HEAD, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8,
                                 "mamba_chunk_size": 4}),
    "qwen3_5": lambda: causal("Qwen3_5ForCausalLM", "Qwen3_5TextConfig",
                              {**HEAD, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
                               "linear_value_head_dim": 8, "layer_types": ["linear_attention", "full_attention"]}),
    "gemma4": lambda: causal("Gemma4ForCausalLM", "Gemma4TextConfig",
                             {**SLIDING, "global_head_dim": 8, "vocab_size_per_layer_input": 99, "num_kv_shared_layers": 0,
                              "hidden_size_per_layer_input": 8, "layer_types": ["sliding_attention", "full_attention"]}),
    "t5gemma": lambda: seq2seq("T5GemmaForConditionalGeneration", "T5GemmaConfig",
                               {"encoder": tf.T5GemmaModuleConfig(**SLIDING), "decoder": tf.T5GemmaModuleConfig(**SLIDING),
                                "vocab_size": 99}),
    "imagegpt": lambda: causal("ImageGPTForCausalImageModeling", "ImageGPTConfig", GPT2),
    "openai_gpt": lambda: text("OpenAIGPTLMHeadModel", "OpenAIGPTConfig", GPT2),
    "gpt_neox_japanese": lambda: causal("GPTNeoXJapaneseForCausalLM", "GPTNeoXJapaneseConfig",
                                        {**TEXT, "intermediate_multiple_size": 2}),
    "mra": lambda: text("MraModel", "MraConfig", TEXT),
    "yoso": lambda: text("YosoModel", "YosoConfig", {**TEXT, "use_expectation": True}),
    "splinter": lambda: text("SplinterModel", "SplinterConfig"),
    "roc_bert": lambda: text("RoCBertModel", "RoCBertConfig", {**TEXT, "enable_pronunciation": False, "enable_shape": False}),
    "xmod": lambda: text("XmodModel", "XmodConfig", {**TEXT, "languages": ["en"], "default_language": "en"}),
    "luke": lambda: text("LukeModel", "LukeConfig", {**TEXT, "entity_vocab_size": 20, "entity_emb_size": 16}),
    "jina": lambda: text("JinaEmbeddingsV3Model", "JinaEmbeddingsV3Config"),
    "gte": lambda: text("GteModel", "GteConfig"),
    "roberta_prenorm": lambda: text("RobertaPreLayerNormModel", "RobertaPreLayerNormConfig"),
    "bigbird_pegasus": lambda: seq2seq("BigBirdPegasusForConditionalGeneration", "BigBirdPegasusConfig",
                                       {**BART, "attention_type": "original_full"}),
    "nllb_moe": lambda: seq2seq("NllbMoeForConditionalGeneration", "NllbMoeConfig",
                                {**BART, "num_experts": 3, "encoder_sparse_step": 2, "decoder_sparse_step": 2}),
    "mvp": lambda: seq2seq("MvpForConditionalGeneration", "MvpConfig", BART),
    "paligemma": paligemma, "gemma3_sees": gemma3_sees, "florence2": florence,
    "internvl": internvl, "blip2": blip2, "grounding_dino": grounding, "sam2": sam2,
    "siglip_vision": lambda: images("SiglipVisionModel", "SiglipVisionConfig", VIT),
    "aimv2": lambda: images("Aimv2VisionModel", "Aimv2VisionConfig", VIT),
    "owlv2": lambda: contrast("Owlv2Model", "Owlv2Config"),
    "metaclip2": lambda: contrast("MetaClip2Model", "MetaClip2Config"),
    "visual_bert": visual_bert, "lxmert": lxmert, "perceiver": perceiver,
    "rf_detr": lambda: images("LwDetrForObjectDetection", "LwDetrConfig",
                              {"backbone_config": tf.LwDetrViTConfig(
                                  **{**VIT, "image_size": 64, "pretrain_image_size": 64, "num_windows": 4,
                                     "out_indices": [1, 2], "window_block_indices": [0]}),
                               "d_model": 32, "decoder_ffn_dim": 64, "decoder_layers": 2, "decoder_self_attention_heads": 4,
                               "decoder_cross_attention_heads": 4, "num_queries": 10, "group_detr": 1, "num_labels": 5,
                               "hidden_expansion": 0.5, "projector_scale_factors": [1.0]}, 64),
    "pp_doclayout": lambda: images("PPDocLayoutV2ForObjectDetection", "PPDocLayoutV2Config",
                                   {**REAL_TIME, "class_thresholds": [0.1] * 5, "class_order": [3, 1, 0, 4, 2],
                                    "backbone_config": tf.RTDetrResNetConfig(
                                        **RESNET, out_features=["stage2", "stage3", "stage4"]),
                                    "reading_order_config": {**TEXT, "num_classes": 5}}, 64),
    "cvt": lambda: open_images("CvtForImageClassification", "CvtConfig",
                               {"embed_dim": [16, 24, 32], "num_heads": [1, 2, 4], "depth": [1, 2, 3], "cls_token": [False, False, True]}),
    "hiera": lambda: images("HieraForImageClassification", "HieraConfig",
                            {"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4]}, 64),
    "pixio": lambda: images("PixioModel", "PixioConfig", VIT),
    "mgp_str": lambda: images("MgpstrForSceneTextRecognition", "MgpstrConfig",
                              {"image_size": [32, 32], "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2,
                               "num_attention_heads": 4, "num_character_labels": 12, "num_bpe_labels": 20,
                               "num_wordpiece_labels": 20, "max_token_length": 6}),
    "zoedepth": lambda: images("ZoeDepthForDepthEstimation", "ZoeDepthConfig",
                               {"backbone_config": tf.BeitConfig(
                                   **{**VIT, "image_size": 64, "patch_size": 16, "num_hidden_layers": 4,
                                      "use_relative_position_bias": True, "reshape_hidden_states": False,
                                      "out_features": ["stage1", "stage2", "stage3", "stage4"]}),
                                "neck_hidden_sizes": [16, 16, 32, 32], "fusion_hidden_size": 16, "bottleneck_features": 16,
                                "reassemble_factors": [4, 2, 1, 0.5], "num_relative_features": 8, "bin_embedding_dim": 16,
                                "num_attractors": [4, 2, 1, 1], "backbone_hidden_size": 32, "patch_transformer_hidden_size": 16,
                                "patch_transformer_intermediate_size": 32, "patch_transformer_num_attention_heads": 2}, 64),
    "eomt": lambda: images("EomtForUniversalSegmentation", "EomtConfig",
                           {**VIT, "num_blocks": 1, "num_queries": 6, "num_upscale_blocks": 1, "num_labels": 5,
                            "num_register_tokens": 2}),
    "swin_backbone": lambda: images("SwinBackbone", "SwinConfig", {**SWIN, "out_features": ["stage1", "stage2"]}),
    "vjepa2": lambda: Net(Lean(model_of("VJEPA2Model", config_of(
        "VJEPA2Config", crop_size=32, patch_size=8, frames_per_clip=4, tubelet_size=2, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=4, pred_hidden_size=24, pred_num_hidden_layers=1, pred_num_attention_heads=2)),
        {"skip_predictor": True}), {"pixel_values_videos": Floats("batch", 4, 3, 32, 32)}, {"batch": 1}, {"batch": 2}),
    "autoformer": lambda: time_series("AutoformerModel", "AutoformerConfig", label_length=4, moving_average=3,
                                      autocorrelation_factor=1),
    "informer": lambda: time_series("InformerModel", "InformerConfig", attention_type="full"),
    "series_transformer": lambda: time_series("TimeSeriesTransformerModel", "TimeSeriesTransformerConfig"),
    "patchtst_classify": lambda: series("PatchTSTForClassification", "PatchTSTConfig",
                                        {"num_input_channels": 3, "context_length": 32, "patch_length": 8, "patch_stride": 4,
                                         "d_model": 16, "num_hidden_layers": 2, "ffn_dim": 32, "num_targets": 4}),
    "fast_conformer": fast_conformer, "speecht5": speaks, "musicgen": musicgen, "decisions": decisions,
    "univnet": lambda: Net(Lean(model_of("UnivNetModel", config_of(
        "UnivNetConfig", model_in_channels=8, model_hidden_channels=8, num_mel_bins=12, resblock_kernel_sizes=[3],
        resblock_stride_sizes=[4], resblock_dilation_sizes=[[1, 3]], kernel_predictor_num_blocks=1,
        kernel_predictor_hidden_channels=8))), {"input_features": Floats("batch", "time", 12),
                                                "noise_sequence": Floats("batch", "time", 8)},
        {"batch": 2, "time": 8}, {"batch": 1, "time": 12}),
    "clap_audio": lambda: Net(Lean(model_of("ClapAudioModel", config_of(
        "ClapAudioConfig", window_size=4, spec_size=64, num_mel_bins=16, patch_embeds_hidden_size=16, patch_size=4,
        patch_stride=[4, 4], depths=[1, 1], num_attention_heads=[2, 4], hidden_size=32))),
        {"input_features": Floats("batch", 1, 128, 16)}, {"batch": 2}, {"batch": 1}),
    "wav2vec2_bert_rotary": lambda: spectrum("Wav2Vec2BertForCTC", "Wav2Vec2BertConfig",
                                 {**TEXT, "feature_projection_input_dim": 20, "conv_depthwise_kernel_size": 7,
                                  "position_embeddings_type": "rotary"}, "time", 20, "input_features"),
    "sew_d": lambda: audio("SEWDModel", "SEWDConfig", {**SPEECH, "squeeze_factor": 2, "max_position_embeddings": 64,
                                                       "position_buckets": 16}),
    "videomae_base": lambda: frames("VideoMAEModel", "VideoMAEConfig", {**VIT, "num_frames": 4, "tubelet_size": 2}),
}
