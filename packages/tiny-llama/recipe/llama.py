"""The model in torch: a configuration, weights under their Hugging Face names, and the plain forward pass by which
everything else is checked.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

EMBEDDING, LAST_NORM = "model.embed_tokens.weight", "model.norm.weight"


@dataclass(frozen=True)
class Config:
    vocabulary: int = 2048
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 704
    context: int = 2048
    rope_theta: float = 500000.0
    rope_factor: float = 8.0
    norm_eps: float = 1e-5

    def to_hugging_face(self, special):
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": special["<|begin_of_text|>"],
            "eos_token_id": [special["<|end_of_text|>"], special["<|eom_id|>"], special["<|eot_id|>"]],
            "pad_token_id": special["<|finetune_right_pad_id|>"],
            "hidden_act": "silu",
            "hidden_size": self.width,
            "initializer_range": 0.02,
            "intermediate_size": self.ffn,
            "max_position_embeddings": self.context,
            "mlp_bias": False,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "pretraining_tp": 1,
            "rms_norm_eps": self.norm_eps,
            "rope_scaling": {
                "factor": self.rope_factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
                "rope_type": "llama3",
            },
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "use_cache": True,
            "vocab_size": self.vocabulary,
        }


def layer_names(layer):
    """The nine weights of a layer."""
    prefix = f"model.layers.{layer}."
    return {
        "q": prefix + "self_attn.q_proj.weight",  # (heads * head_dim, width)
        "k": prefix + "self_attn.k_proj.weight",  # (kv_heads * head_dim, width)
        "v": prefix + "self_attn.v_proj.weight",  # (kv_heads * head_dim, width)
        "o": prefix + "self_attn.o_proj.weight",  # (width, heads * head_dim)
        "gate": prefix + "mlp.gate_proj.weight",  # (ffn, width)
        "up": prefix + "mlp.up_proj.weight",  # (ffn, width)
        "down": prefix + "mlp.down_proj.weight",  # (width, ffn)
        "norm1": prefix + "input_layernorm.weight",  # (width)
        "norm2": prefix + "post_attention_layernorm.weight",  # (width)
    }


def initial_weights(config, seed):
    """Normal draws, small at the two outputs into the residual stream."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda rows, columns, std: torch.randn(rows, columns, generator=generator) * std
    d, std = config.width, config.width**-0.5
    query, key = config.heads * config.head_dim, config.kv_heads * config.head_dim
    weights = {EMBEDDING: draw(config.vocabulary, d, std)}
    for layer in range(config.layers):
        shapes = {
            "q": (query, d, std),
            "k": (key, d, std),
            "v": (key, d, std),
            "o": (d, query, std * 0.2),
            "gate": (config.ffn, d, std),
            "up": (config.ffn, d, std),
            "down": (d, config.ffn, config.ffn**-0.5 * 0.2),
        }
        for short, name in layer_names(layer).items():
            weights[name] = draw(*shapes[short]) if short in shapes else torch.ones(d)
    weights[LAST_NORM] = torch.ones(d)
    return weights


def rope_frequencies(config):
    """(head_dim / 2), scaled as Llama 3.1 does it."""
    frequency = config.rope_theta ** (-torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim)
    waves = 8192 * frequency / (2 * math.pi)  # how often a dimension turns within the original context
    ramp = ((waves - 1) / (4 - 1)).clamp(0, 1)
    return (1 - ramp) * frequency / config.rope_factor + ramp * frequency


def rope_tables(config, length):
    """cos and sin, (length, head_dim) each."""
    angles = torch.outer(torch.arange(length, dtype=torch.float64), rope_frequencies(config))
    angles = torch.cat([angles, angles], -1)
    return angles.cos().float(), angles.sin().float()


def hidden_states(config, weights, ids):
    """The normed last hidden states (rows, length, width). Computes in the weights' own dtype, norms in float32."""
    rows, length = ids.shape
    cos, sin = (table.to(ids.device) for table in rope_tables(config, length))
    mask = torch.full((length, length), float("-inf"), device=ids.device).triu(1)
    x = F.embedding(ids, weights[EMBEDDING]).float()
    for layer in range(config.layers):
        w = {short: weights[name] for short, name in layer_names(layer).items()}
        h = norm(x, w["norm1"], config.norm_eps).to(w["q"].dtype)
        heads = lambda z, count: z.view(rows, length, count, config.head_dim).transpose(1, 2)
        q = rotate(heads(F.linear(h, w["q"]), config.heads).float(), cos, sin)
        k = rotate(heads(F.linear(h, w["k"]), config.kv_heads).float(), cos, sin)
        v = heads(F.linear(h, w["v"]), config.kv_heads)
        group = config.heads // config.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = q @ k.transpose(-1, -2) * config.head_dim**-0.5 + mask
        attended = scores.softmax(-1).to(v.dtype) @ v
        x = x + F.linear(attended.transpose(1, 2).reshape(rows, length, -1), w["o"]).float()
        h = norm(x, w["norm2"], config.norm_eps).to(w["gate"].dtype)
        x = x + F.linear(F.silu(F.linear(h, w["gate"])) * F.linear(h, w["up"]), w["down"]).float()
    return norm(x, weights[LAST_NORM], config.norm_eps)


def logits(config, weights, ids):
    head = weights[EMBEDDING]
    return F.linear(hidden_states(config, weights, ids).to(head.dtype), head).float()


def norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight.float()


def rotate(z, cos, sin):
    half = z.shape[-1] // 2
    return z * cos + torch.cat([-z[..., half:], z[..., :half]], -1) * sin


def rounded_to_bf16(weights):
    """The same weights with the precision of the exported file, still float32."""
    return {name: weight.to(torch.bfloat16).float() for name, weight in weights.items()}
