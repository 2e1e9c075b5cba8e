"""Architectures of transformers, small configurations, random weights."""
import torch
import transformers as tf

from torch_nets import Floats, Ids, Mask, Net

SIZES, OTHER = {"batch": 2, "seq": 7}, {"batch": 3, "seq": 12}
TEXT = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": 64}
ROPE = {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DECODER = ["input_ids", "attention_mask"]


def config_of(name, **options):
    config = getattr(tf, name)(**options)
    config.use_cache = False
    if hasattr(config, "num_experts_per_tok"):
        config._experts_implementation = "batched_mm"  # the others have no export
    return config


def model_of(name, config):
    torch.manual_seed(3)
    kind = getattr(tf, name)
    try:
        return kind._from_config(config, attn_implementation="sdpa").eval()
    except ValueError:  # this one has no sdpa
        return kind._from_config(config, attn_implementation="eager").eval()


class Lean(torch.nn.Module):
    """No cache, no attributes of convenience in the result."""

    def __init__(self, model, fixed=None):
        super().__init__()
        self.model, self.fixed = model, fixed or {}

    def forward(self, **inputs):
        return self.model(**inputs, **self.fixed, return_dict=False)


def text(name, config, options=None, inputs=("input_ids", "attention_mask"), fixed=None, **net):
    """A model that reads token ids."""
    kinds = {"input_ids": Ids("batch", "seq"), "attention_mask": Mask("batch", "seq"),
             "token_type_ids": Ids("batch", "seq", high=2), "decoder_input_ids": Ids("batch", "target")}
    model = model_of(name, config_of(config, **(options or TEXT)))
    sizes = {**SIZES, "target": 5} if "decoder_input_ids" in inputs else SIZES
    other = {**OTHER, "target": 9} if "decoder_input_ids" in inputs else OTHER
    return Net(Lean(model, fixed), {n: kinds[n] for n in inputs}, sizes, other, **net)


def causal(name, config, options=None, **net):
    return text(name, config, options or ROPE, fixed={"use_cache": False}, **net)


def seq2seq(name, config, options):
    return text(name, config, options, ("input_ids", "attention_mask", "decoder_input_ids"), {"use_cache": False})


class Past(torch.nn.Module):
    """One step of decoding: keys and values of the past come in as tensors, and go out longer."""

    def __init__(self, model, layers):
        super().__init__()
        self.model, self.layers = model, layers

    def forward(self, input_ids, attention_mask, **past):
        cache = tf.DynamicCache()
        for k in range(self.layers):
            cache.update(past[f"key_{k}"], past[f"value_{k}"], k)
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        kept = out.past_key_values
        return (out.logits, *[t for layer in kept.layers for t in (layer.keys, layer.values)])


def past(name, config, options, heads, width=8, layers=2):
    settings = config_of(config, **options)
    settings.use_cache = True
    inputs = {"input_ids": Ids("batch", "seq"), "attention_mask": Mask("batch", "all")}
    for k in range(layers):
        inputs[f"key_{k}"] = inputs[f"value_{k}"] = Floats("batch", heads, "past", width)
    return Net(Past(model_of(name, settings), layers), inputs, {"batch": 2, "seq": 3, "past": 5, "all": 8},
               {"batch": 1, "seq": 2, "past": 9, "all": 11})


def images(name, config, options, side=32, fixed=None, inputs=None, **net):
    model = model_of(name, config_of(config, **options))
    return Net(Lean(model, fixed), inputs or {"pixel_values": Floats("batch", 3, side, side)}, {"batch": 2},
               {"batch": 3}, **net)


VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
       "image_size": 32, "patch_size": 8}
T5 = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
BART = {"vocab_size": 99, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64}
GPT2 = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
SPEECH = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 64, "conv_dim": (16, 16, 16), "conv_kernel": (10, 3, 3), "conv_stride": (5, 2, 2),
          "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
RESNET = {"embedding_size": 16, "hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1], "layer_type": "basic"}


def clip():
    text_part = {**TEXT, "projection_dim": 24, "eos_token_id": 98, "bos_token_id": 97, "pad_token_id": 1}
    config = tf.CLIPConfig(text_config=text_part, vision_config={**VIT, "projection_dim": 24}, projection_dim=24)
    return Net(Lean(model_of("CLIPModel", config)),
               {"input_ids": Ids("texts", "seq"), "pixel_values": Floats("images", 3, 32, 32),
                "attention_mask": Mask("texts", "seq")},
               {"texts": 3, "seq": 7, "images": 2}, {"texts": 2, "seq": 11, "images": 4})


def siglip():
    config = tf.SiglipConfig(text_config={**TEXT, "projection_size": 32, "max_position_embeddings": 12},
                             vision_config=VIT)
    return Net(Lean(model_of("SiglipModel", config)),
               {"input_ids": Ids("texts", 12), "pixel_values": Floats("images", 3, 32, 32)},
               {"texts": 3, "images": 2}, {"texts": 2, "images": 4})


def detr(name="Detr"):
    backbone = tf.ResNetConfig(**RESNET, out_features=["stage4"])
    config = getattr(tf, f"{name}Config")(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=32,
        encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64,
        decoder_ffn_dim=64, num_queries=10, num_labels=5)
    return Net(Lean(model_of(f"{name}ForObjectDetection", config)),
               {"pixel_values": Floats("batch", 3, "height", "width")}, {"batch": 1, "height": 64, "width": 96},
               {"batch": 2, "height": 96, "width": 96})


def whisper():
    config = config_of("WhisperConfig", vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=2,
                       encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
                       num_mel_bins=20, max_source_positions=50, max_target_positions=40, pad_token_id=0,
                       bos_token_id=1, eos_token_id=2, decoder_start_token_id=3)
    return Net(Lean(model_of("WhisperForConditionalGeneration", config), {"use_cache": False}),
               {"input_features": Floats("batch", 20, 100), "decoder_input_ids": Ids("batch", "target")},
               {"batch": 2, "target": 5}, {"batch": 1, "target": 9})


def audio(name, config, options=None, **net):
    return Net(Lean(model_of(name, config_of(config, **(options or SPEECH)))), {"input_values": Floats("batch", "time")},
               {"batch": 2, "time": 1600}, {"batch": 1, "time": 2400}, **net)


def mamba(name="MambaForCausalLM", config="MambaConfig", **more):
    options = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, **more}
    return text(name, config, options, ("input_ids",), {"use_cache": False})


def segformer():
    options = {"num_encoder_blocks": 4, "depths": [1, 1, 1, 1], "hidden_sizes": [16, 16, 32, 32],
               "num_attention_heads": [1, 1, 2, 2], "decoder_hidden_size": 32, "num_labels": 5}
    return Net(Lean(model_of("SegformerForSemanticSegmentation", config_of("SegformerConfig", **options))),
               {"pixel_values": Floats("batch", 3, "height", "width")}, {"batch": 1, "height": 64, "width": 96},
               {"batch": 2, "height": 96, "width": 64})


MOE = {**ROPE, "num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48,
       "shared_expert_intermediate_size": 48}
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}

NETS = {
    "bert": lambda: text("BertForMaskedLM", "BertConfig", inputs=("input_ids", "attention_mask", "token_type_ids")),
    "roberta": lambda: text("RobertaForSequenceClassification", "RobertaConfig"),
    "distilbert": lambda: text("DistilBertForQuestionAnswering", "DistilBertConfig",
                               {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}),
    "albert": lambda: text("AlbertModel", "AlbertConfig", {**TEXT, "embedding_size": 16}),
    "electra": lambda: text("ElectraForTokenClassification", "ElectraConfig", {**TEXT, "embedding_size": 16}),
    "deberta_v2": lambda: text("DebertaV2Model", "DebertaV2Config",
                               {**TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"],
                                "position_biased_input": False}),
    "mpnet": lambda: text("MPNetModel", "MPNetConfig"),
    "xlnet": lambda: text("XLNetLMHeadModel", "XLNetConfig",
                          {"vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}),
    "xlm_roberta": lambda: text("XLMRobertaModel", "XLMRobertaConfig"),
    "modernbert": lambda: text("ModernBertModel", "ModernBertConfig",
                               {**TEXT, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
                                "sep_token_id": 2, "local_attention": 8}),
    "longformer": lambda: text("LongformerModel", "LongformerConfig", {**TEXT, "attention_window": 4}),
    "big_bird": lambda: text("BigBirdModel", "BigBirdConfig", {**TEXT, "attention_type": "original_full"}),
    "funnel": lambda: text("FunnelModel", "FunnelConfig",
                           {"vocab_size": 99, "d_model": 32, "block_sizes": [1, 1], "n_head": 4, "d_head": 8,
                            "d_inner": 64}),
    "t5": lambda: seq2seq("T5ForConditionalGeneration", "T5Config", T5),
    "bart": lambda: seq2seq("BartForConditionalGeneration", "BartConfig", BART),
    "pegasus": lambda: seq2seq("PegasusForConditionalGeneration", "PegasusConfig", BART),
    "marian": lambda: seq2seq("MarianMTModel", "MarianConfig", {**BART, "pad_token_id": 98}),
    "gpt2": lambda: causal("GPT2LMHeadModel", "GPT2Config", GPT2),
    "gpt2_past": lambda: past("GPT2LMHeadModel", "GPT2Config", GPT2, 4),
    "gpt_neo": lambda: causal("GPTNeoForCausalLM", "GPTNeoConfig",
                              {"vocab_size": 99, "hidden_size": 32, "num_layers": 2, "num_heads": 4,
                               "attention_types": [[["global", "local"], 1]], "window_size": 4,
                               "max_position_embeddings": 64}),
    "gptj": lambda: causal("GPTJForCausalLM", "GPTJConfig", {**GPT2, "rotary_dim": 4}),
    "gpt_neox": lambda: causal("GPTNeoXForCausalLM", "GPTNeoXConfig", {**TEXT, "rotary_pct": 0.5}),
    "opt": lambda: causal("OPTForCausalLM", "OPTConfig",
                          {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                           "ffn_dim": 64, "max_position_embeddings": 64, "word_embed_proj_dim": 32}),
    "bloom": lambda: causal("BloomForCausalLM", "BloomConfig",
                            {"vocab_size": 99, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "llama": lambda: causal("LlamaForCausalLM", "LlamaConfig"),
    "llama_past": lambda: past("LlamaForCausalLM", "LlamaConfig", ROPE, 2),
    "mistral": lambda: causal("MistralForCausalLM", "MistralConfig", {**ROPE, "sliding_window": 4}),
    "mixtral": lambda: causal("MixtralForCausalLM", "MixtralConfig", MOE),
    "qwen2": lambda: causal("Qwen2ForCausalLM", "Qwen2Config"),
    "qwen3": lambda: causal("Qwen3ForCausalLM", "Qwen3Config", {**ROPE, "head_dim": 8}),
    "qwen2_moe": lambda: causal("Qwen2MoeForCausalLM", "Qwen2MoeConfig", MOE),
    "gemma": lambda: causal("GemmaForCausalLM", "GemmaConfig", {**ROPE, "head_dim": 8}),
    "gemma2": lambda: causal("Gemma2ForCausalLM", "Gemma2Config", {**ROPE, "head_dim": 8, "sliding_window": 4}),
    "phi": lambda: causal("PhiForCausalLM", "PhiConfig"),
    "phi3": lambda: causal("Phi3ForCausalLM", "Phi3Config"),
    "falcon": lambda: causal("FalconForCausalLM", "FalconConfig", TEXT),
    "stablelm": lambda: causal("StableLmForCausalLM", "StableLmConfig"),
    "olmo2": lambda: causal("Olmo2ForCausalLM", "Olmo2Config"),
    "mamba": mamba,
    "mamba2": lambda: mamba("Mamba2ForCausalLM", "Mamba2Config", num_heads=8, head_dim=8, n_groups=2, chunk_size=4),
    "rwkv": lambda: text("RwkvForCausalLM", "RwkvConfig",
                         {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32,
                          "intermediate_size": 64, "context_length": 64}, ("input_ids",), {"use_cache": False}),
    "whisper": whisper,
    "wav2vec2": lambda: audio("Wav2Vec2ForCTC", "Wav2Vec2Config"),
    "hubert": lambda: audio("HubertModel", "HubertConfig"),
    "wavlm": lambda: audio("WavLMModel", "WavLMConfig"),
    "clip": clip,
    "siglip": siglip,
    "detr": detr,
    "conditional_detr": lambda: detr("ConditionalDetr"),
    "yolos": lambda: images("YolosForObjectDetection", "YolosConfig",
                            {**VIT, "image_size": [32, 32], "num_detection_tokens": 5, "num_labels": 4}),
    "segformer": segformer,
    "vit_hf": lambda: images("ViTForImageClassification", "ViTConfig", VIT),
    "deit": lambda: images("DeiTForImageClassification", "DeiTConfig", VIT),
    "beit": lambda: images("BeitForImageClassification", "BeitConfig",
                           {**VIT, "use_relative_position_bias": True, "use_mask_token": False}),
    "dinov2": lambda: images("Dinov2Model", "Dinov2Config", {**VIT, "mlp_ratio": 2}),
    "swin_hf": lambda: images("SwinForImageClassification", "SwinConfig", SWIN),
    "swinv2_hf": lambda: images("Swinv2ForImageClassification", "Swinv2Config", SWIN),
    "convnext_v2": lambda: images("ConvNextV2ForImageClassification", "ConvNextV2Config",
                                  {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 2, 1]}),
    "poolformer": lambda: images("PoolFormerForImageClassification", "PoolFormerConfig",
                                 {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}, 64),
    "mobilevit": lambda: images("MobileViTForImageClassification", "MobileViTConfig",
                                {"image_size": 64, "hidden_sizes": [24, 32, 40], "neck_hidden_sizes":
                                 [8, 16, 24, 32, 40, 48, 64]}, 64),
    "dpt": lambda: images("DPTForDepthEstimation", "DPTConfig",
                          {**VIT, "image_size": 64, "patch_size": 16, "num_hidden_layers": 4,
                           "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [16, 16, 32, 32],
                           "fusion_hidden_size": 16, "reassemble_factors": [4, 2, 1, 0.5]}, 64),
    "levit": lambda: images("LevitForImageClassification", "LevitConfig",
                            {"image_size": 64, "hidden_sizes": [32, 48, 64], "num_attention_heads": [2, 3, 4],
                             "depths": [1, 1, 1], "key_dim": [8, 8, 8]}, 64),
}
