"""The forward pass of a Hugging Face Llama folder in numpy, double precision, written from the format and from no
other code here: config.json and model.safetensors in, logits out. Slow and obvious: other paths are compared with it.
"""

import json
import pathlib
import struct

import numpy as np


class NumpyLlama:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = read_safetensors(folder / "model.safetensors")
        self.inverse_frequency = inverse_frequencies(self.config)

    def start(self):
        """An empty KV cache for `extend`."""
        return [None] * self.config["num_hidden_layers"]

    def extend(self, cache, ids):
        """Logits after each of `ids` (n, vocabulary), appended to what `cache` holds."""
        config, weights = self.config, self.weights
        past = 0 if cache[0] is None else cache[0][0].shape[0]
        embedding = weights["model.embed_tokens.weight"]
        x = embedding[np.asarray(ids)]
        angles = np.outer(np.arange(past, past + len(ids)), self.inverse_frequency)
        cos, sin = (np.tile(f(angles), 2)[:, None, :] for f in (np.cos, np.sin))
        for layer in range(config["num_hidden_layers"]):
            weight = lambda name: weights[f"model.layers.{layer}.{name}.weight"]
            h = self._norm(x, weight("input_layernorm"))
            attended, cache[layer] = self._attention(h, weight, cos, sin, cache[layer])
            x = x + attended @ weight("self_attn.o_proj").T
            h = self._norm(x, weight("post_attention_layernorm"))
            gate = h @ weight("mlp.gate_proj").T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ weight("mlp.up_proj").T)) @ weight("mlp.down_proj").T
        head = embedding if config["tie_word_embeddings"] else weights["lm_head.weight"]
        return self._norm(x, weights["model.norm.weight"]) @ head.T

    def _norm(self, x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["rms_norm_eps"]) * weight

    def _attention(self, h, weight, cos, sin, past):
        """h (n, dim) -> (n, heads * head_dim), and the keys and values (past + n, kv_heads, head_dim)."""
        n, head_dim = len(h), self.config["head_dim"]
        heads, kv_heads = self.config["num_attention_heads"], self.config["num_key_value_heads"]

        def rotate(z):
            half = head_dim // 2
            return z * cos + np.concatenate([-z[..., half:], z[..., :half]], -1) * sin

        q = rotate((h @ weight("self_attn.q_proj").T).reshape(n, heads, head_dim))
        k = rotate((h @ weight("self_attn.k_proj").T).reshape(n, kv_heads, head_dim))
        v = (h @ weight("self_attn.v_proj").T).reshape(n, kv_heads, head_dim)
        if past is not None:
            k, v = np.concatenate([past[0], k]), np.concatenate([past[1], v])
        visible = np.arange(len(k))[None, :] <= np.arange(len(k) - n, len(k))[:, None]
        out = np.empty((n, heads, head_dim))
        for head in range(heads):
            group = head // (heads // kv_heads)
            scores = np.where(visible, q[:, head] @ k[:, group].T / np.sqrt(head_dim), -np.inf)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            out[:, head] = scores / scores.sum(-1, keepdims=True) @ v[:, group]
        return out.reshape(n, -1), (k, v)

    def greedy(self, ids, limit, stop):
        """Up to `limit` greedy tokens after `ids`, ending with the first of the ids in `stop`."""
        cache, written = self.start(), []
        logits = self.extend(cache, ids)[-1]
        while len(written) < limit:
            written.append(int(logits.argmax()))
            if written[-1] in stop:
                break
            logits = self.extend(cache, written[-1:])[-1]
        return written


def read_safetensors(path):
    """{name: float64 array} of a file that holds only BF16 or F32 tensors."""
    raw = path.read_bytes()
    header_bytes = struct.unpack("<Q", raw[:8])[0]
    body = memoryview(raw)[8 + header_bytes :]
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + header_bytes]).items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(body[start:end], "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(body[start:end], {"F32": "<f4"}[entry["dtype"]])
        tensors[name] = values.astype(np.float64).reshape(entry["shape"])
    return tensors


def inverse_frequencies(config):
    """RoPE's frequencies (head_dim / 2) with the llama3 scaling: long waves slowed by `factor`, a ramp between."""
    head_dim, scaling = config["head_dim"], config["rope_scaling"]
    frequency = config["rope_theta"] ** (-np.arange(0, head_dim, 2) / head_dim)
    if scaling is None:
        return frequency
    wavelength = 2 * np.pi / frequency
    context = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    ramp = np.clip((context / wavelength - low) / (high - low), 0, 1)
    return (1 - ramp) * frequency / scaling["factor"] + ramp * frequency
