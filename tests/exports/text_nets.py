"""More architectures of transformers that read text, small configurations, random weights."""
import torch
import transformers as tf

from torch_nets import Floats, Ids, Mask, Net
from transformers_nets import BART, GPT2, MOE, OTHER, ROPE, SIZES, T5, TEXT, Lean, causal, config_of, model_of, past, \
    seq2seq, text

TWO = {"vocab_size": 99, "d_model": 32, "n_layers": 2, "n_heads": 4}
HYBRID = {**ROPE, "head_dim": 8, "mamba_d_state": 8, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_chunk_size": 4}
LATENT = {**MOE, "num_key_value_heads": 4, "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1,
          "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8,
          "first_k_dense_replace": 1}


class Boxes(Ids):
    """Four corners of a page of 1000 x 1000, the second not before the first."""

    def make(self, dims, rng):
        return torch.randint(0, 50, dims, generator=rng).cumsum(-1)


def layout(name, config, options, inputs=("input_ids", "bbox", "attention_mask")):
    kinds = {"input_ids": Ids("batch", "seq"), "bbox": Boxes("batch", "seq", 4), "attention_mask": Mask("batch", "seq"),
             "pixel_values": Floats("batch", 3, 32, 32)}
    return Net(Lean(model_of(name, config_of(config, **options))), {n: kinds[n] for n in inputs}, SIZES, OTHER)


def characters():
    options = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
               "max_position_embeddings": 64, "num_hash_functions": 4, "num_hash_buckets": 32,
               "local_transformer_stride": 8, "downsampling_rate": 4}
    return Net(Lean(model_of("CanineModel", config_of("CanineConfig", **options))),
               {"input_ids": Ids("batch", 16, high=999), "attention_mask": Mask("batch", 16)}, {"batch": 2}, {"batch": 3})


NETS = {
    "deberta": lambda: text("DebertaModel", "DebertaConfig",
                            {**TEXT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "mobilebert": lambda: text("MobileBertModel", "MobileBertConfig",
                               {**TEXT, "embedding_size": 32, "intra_bottleneck_size": 16, "true_hidden_size": 16}),
    "squeezebert": lambda: text("SqueezeBertModel", "SqueezeBertConfig", {**TEXT, "embedding_size": 32}),
    "convbert": lambda: text("ConvBertModel", "ConvBertConfig", {**TEXT, "embedding_size": 16, "head_ratio": 2}),
    "fnet": lambda: text("FNetModel", "FNetConfig", TEXT, ("input_ids",)),
    "nystromformer": lambda: text("NystromformerModel", "NystromformerConfig",
                                  {**TEXT, "num_landmarks": 7, "segment_means_seq_len": 7}),
    "roformer": lambda: text("RoFormerModel", "RoFormerConfig", {**TEXT, "embedding_size": 32}),
    "rembert": lambda: text("RemBertModel", "RemBertConfig", {**TEXT, "input_embedding_size": 16}),
    "megatron_bert": lambda: text("MegatronBertModel", "MegatronBertConfig"),
    "ernie": lambda: text("ErnieModel", "ErnieConfig"),
    "ibert": lambda: text("IBertModel", "IBertConfig"),
    "esm": lambda: text("EsmModel", "EsmConfig", {**TEXT, "position_embedding_type": "rotary", "pad_token_id": 1,
                                                  "mask_token_id": 98}),
    "nomic_bert": lambda: text("NomicBertModel", "NomicBertConfig"),
    "eurobert": lambda: text("EuroBertModel", "EuroBertConfig", ROPE),
    "xlm": lambda: text("XLMModel", "XLMConfig", {"vocab_size": 99, "emb_dim": 32, "n_layers": 2, "n_heads": 4}),
    "flaubert": lambda: text("FlaubertModel", "FlaubertConfig", {"vocab_size": 99, "emb_dim": 32, "n_layers": 2, "n_heads": 4}),
    "canine": characters,
    "layoutlm": lambda: layout("LayoutLMModel", "LayoutLMConfig", {**TEXT, "max_2d_position_embeddings": 256}),
    "lilt": lambda: layout("LiltModel", "LiltConfig", {**TEXT, "hidden_size": 48, "max_2d_position_embeddings": 256}),
    "layoutlmv3": lambda: layout("LayoutLMv3Model", "LayoutLMv3Config",
                                 {**TEXT, "input_size": 32, "patch_size": 8, "coordinate_size": 5, "shape_size": 6,
                                  "max_2d_position_embeddings": 256},
                                 ("input_ids", "bbox", "attention_mask", "pixel_values")),
    "tapas": lambda: text("TapasModel", "TapasConfig", TEXT),
    "mbart": lambda: seq2seq("MBartForConditionalGeneration", "MBartConfig", BART),
    "m2m_100": lambda: seq2seq("M2M100ForConditionalGeneration", "M2M100Config", BART),
    "blenderbot": lambda: seq2seq("BlenderbotForConditionalGeneration", "BlenderbotConfig", BART),
    "plbart": lambda: seq2seq("PLBartForConditionalGeneration", "PLBartConfig", BART),
    "led": lambda: seq2seq("LEDForConditionalGeneration", "LEDConfig",
                           {**BART, "attention_window": 4, "max_encoder_position_embeddings": 64,
                            "max_decoder_position_embeddings": 64}),
    "pegasus_x": lambda: seq2seq("PegasusXForConditionalGeneration", "PegasusXConfig",
                                 {**BART, "block_size": 4, "num_global_tokens": 4}),
    "prophetnet": lambda: seq2seq("ProphetNetForConditionalGeneration", "ProphetNetConfig",
                                  {"vocab_size": 99, "hidden_size": 32, "num_encoder_layers": 2, "num_decoder_layers": 2,
                                   "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4,
                                   "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64}),
    "fsmt": lambda: seq2seq("FSMTForConditionalGeneration", "FSMTConfig",
                            {**BART, "langs": ["en", "de"], "src_vocab_size": 99, "tgt_vocab_size": 99}),
    "mt5": lambda: seq2seq("MT5ForConditionalGeneration", "MT5Config", T5),
    "umt5": lambda: seq2seq("UMT5ForConditionalGeneration", "UMT5Config", T5),
    "longt5": lambda: seq2seq("LongT5ForConditionalGeneration", "LongT5Config", {**T5, "local_radius": 4}),
    "longt5_global": lambda: seq2seq("LongT5ForConditionalGeneration", "LongT5Config",
                                     {**T5, "local_radius": 4, "encoder_attention_type": "transient-global",
                                      "global_block_size": 4}),
    "switch": lambda: seq2seq("SwitchTransformersForConditionalGeneration", "SwitchTransformersConfig",
                              {**T5, "num_experts": 3, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1}),
    "codegen": lambda: causal("CodeGenForCausalLM", "CodeGenConfig", {**GPT2, "rotary_dim": 4}),
    "gpt_bigcode": lambda: causal("GPTBigCodeForCausalLM", "GPTBigCodeConfig", GPT2),
    "ctrl": lambda: causal("CTRLLMHeadModel", "CTRLConfig", {**GPT2, "dff": 64}),
    "mpt": lambda: causal("MptForCausalLM", "MptConfig", {**TWO, "max_seq_len": 64}),
    "xglm": lambda: causal("XGLMForCausalLM", "XGLMConfig",
                           {"vocab_size": 99, "d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 64}),
    "biogpt": lambda: causal("BioGptForCausalLM", "BioGptConfig", TEXT),
    "persimmon": lambda: causal("PersimmonForCausalLM", "PersimmonConfig", TEXT),
    "nemotron": lambda: causal("NemotronForCausalLM", "NemotronConfig"),
    "starcoder2": lambda: causal("Starcoder2ForCausalLM", "Starcoder2Config", {**ROPE, "sliding_window": 4}),
    "cohere": lambda: causal("CohereForCausalLM", "CohereConfig"),
    "cohere2": lambda: causal("Cohere2ForCausalLM", "Cohere2Config", {**ROPE, "sliding_window": 4}),
    "granite": lambda: causal("GraniteForCausalLM", "GraniteConfig"),
    "granitemoe": lambda: causal("GraniteMoeForCausalLM", "GraniteMoeConfig", MOE),
    "olmo": lambda: causal("OlmoForCausalLM", "OlmoConfig"),
    "olmoe": lambda: causal("OlmoeForCausalLM", "OlmoeConfig", MOE),
    "glm": lambda: causal("GlmForCausalLM", "GlmConfig", {**ROPE, "head_dim": 8}),
    "glm4": lambda: causal("Glm4ForCausalLM", "Glm4Config", {**ROPE, "head_dim": 8}),
    "gemma3": lambda: causal("Gemma3ForCausalLM", "Gemma3TextConfig", {**ROPE, "head_dim": 8, "sliding_window": 4}),
    "gemma3n": lambda: causal("Gemma3nForCausalLM", "Gemma3nTextConfig",
                              {**ROPE, "head_dim": 8, "sliding_window": 4, "vocab_size_per_layer_input": 99,
                               "hidden_size_per_layer_input": 8, "laurel_rank": 8, "num_kv_shared_layers": 0,
                               "activation_sparsity_pattern": [0.5, 0.0], "intermediate_size": [64, 64],
                               "layer_types": ["sliding_attention", "full_attention"]}),
    "phimoe": lambda: causal("PhimoeForCausalLM", "PhimoeConfig", MOE),
    "qwen3_moe": lambda: causal("Qwen3MoeForCausalLM", "Qwen3MoeConfig", {**MOE, "head_dim": 8}),
    "qwen3_next": lambda: causal("Qwen3NextForCausalLM", "Qwen3NextConfig",
                                 {**MOE, "head_dim": 8, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
                                  "linear_key_head_dim": 8, "linear_value_head_dim": 8,
                                  "layer_types": ["linear_attention", "full_attention"]}),
    "smollm3": lambda: causal("SmolLM3ForCausalLM", "SmolLM3Config", {**ROPE, "no_rope_layers": [1, 0]}),
    "deepseek_v3": lambda: causal("DeepseekV3ForCausalLM", "DeepseekV3Config", LATENT),
    "minicpm3": lambda: causal("MiniCPM3ForCausalLM", "MiniCPM3Config", LATENT),
    "gpt_oss": lambda: causal("GptOssForCausalLM", "GptOssConfig", {**MOE, "head_dim": 8, "sliding_window": 4}),
    "lfm2": lambda: causal("Lfm2ForCausalLM", "Lfm2Config", {**ROPE, "layer_types": ["conv", "full_attention"]}),
    "bitnet": lambda: causal("BitNetForCausalLM", "BitNetConfig"),
    "exaone4": lambda: causal("Exaone4ForCausalLM", "Exaone4Config", {**ROPE, "sliding_window": 4,
                                                                      "sliding_window_pattern": 2}),
    "ernie4_5": lambda: causal("Ernie4_5ForCausalLM", "Ernie4_5Config", {**ROPE, "head_dim": 8}),
    "hunyuan": lambda: causal("HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Config", {**ROPE, "head_dim": 8}),
    "diffllama": lambda: causal("DiffLlamaForCausalLM", "DiffLlamaConfig"),
    "helium": lambda: causal("HeliumForCausalLM", "HeliumConfig", {**ROPE, "head_dim": 8}),
    "falcon_mamba": lambda: text("FalconMambaForCausalLM", "FalconMambaConfig",
                                 {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
                                 ("input_ids",), {"use_cache": False}),
    "recurrent_gemma": lambda: causal("RecurrentGemmaForCausalLM", "RecurrentGemmaConfig",
                                      {**ROPE, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16}),
    "jamba": lambda: causal("JambaForCausalLM", "JambaConfig",
                            {**MOE, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
                             "expert_layer_offset": 1, "use_mamba_kernels": False, "mamba_d_state": 8,
                             "mamba_dt_rank": 4}),
    "bamba": lambda: causal("BambaForCausalLM", "BambaConfig", {**HYBRID, "attn_layer_indices": [1]}),
    "xlstm": lambda: text("xLSTMForCausalLM", "xLSTMConfig",
                          {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_heads": 4, "chunk_size": 4},
                          ("input_ids",), {"use_cache": False}),
    "qwen3_past": lambda: past("Qwen3ForCausalLM", "Qwen3Config", {**ROPE, "head_dim": 8}, 2),
    "phi3_past": lambda: past("Phi3ForCausalLM", "Phi3Config", ROPE, 2),
    "mistral_past": lambda: past("MistralForCausalLM", "MistralConfig", {**ROPE, "sliding_window": None}, 2),
    "opt_past": lambda: past("OPTForCausalLM", "OPTConfig",
                             {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                              "ffn_dim": 64, "max_position_embeddings": 64, "word_embed_proj_dim": 32}, 4),
}
