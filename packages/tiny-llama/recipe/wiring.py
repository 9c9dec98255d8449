"""Initial weights that can copy. They are ordinary Llama weights with an arrangement that training may undo:

- one embedding dimension is a constant, and the last `head_dim` dimensions are empty: scratch space;
- layer 0: head h attends to the token h + 1 places back, by the constant and the fast RoPE dimensions; head 0 writes a
  random projection of the previous token into the scratch space;
- layer 1: head 0 is an induction head. Its query is the same projection of the current token, its key the scratch
  space, on the slow RoPE dimensions: it finds the place behind an earlier copy of the current token and brings that
  token's embedding.

Without it no exact call was seen after 4 M tokens; see the model card.
"""

import math

import torch
from llama import EMBEDDING, layer_names, rope_frequencies

CONSTANT = 0.25
POSITION_SHARPNESS = 48.0  # the score of the right place, before the softmax's 1 / sqrt(head_dim)
MATCH_SHARPNESS = 6.0
COPY_STRENGTH = 3.0
NOISE = 0.5  # what is left of the random weights around the wired ones
POSITION_DIMENSIONS = 8
SLOW_REACH = 400  # tokens over which a slow dimension turns by less than one radian


@torch.no_grad()
def wire(config, weights, seed=0):
    """Changes `weights` in place."""
    generator = torch.Generator().manual_seed(seed)
    head, ordinary = config.head_dim, config.width - config.head_dim
    projection = torch.randn(head, ordinary - 1, generator=generator) / math.sqrt(ordinary - 1)
    scale = embed_constant(config, weights, ordinary)
    for layer in range(config.layers):
        names = layer_names(layer)
        weights[names["o"]] *= 0.1
        weights[names["down"]] *= 0.1
    layers = [{short: weights[name] for short, name in layer_names(layer).items()} for layer in (0, 1)]
    wire_previous_token(config, layers[0], projection, scale, ordinary)
    wire_induction(config, layers[1], projection, scale, ordinary, generator)


def embed_constant(config, weights, ordinary):
    """Lays out the embedding. Gives how large each kind of dimension is: raw, and behind the first norm."""
    raw = config.width**-0.5
    weights[EMBEDDING][:, ordinary:] = 0
    weights[EMBEDDING][:, 0] = CONSTANT
    rms = math.sqrt((raw * raw * (ordinary - 1) + CONSTANT * CONSTANT) / config.width)
    return {"raw": raw, "normed": raw / rms, "constant": CONSTANT / rms}


def wire_previous_token(config, w, projection, scale, ordinary):
    head, half = config.head_dim, config.head_dim // 2
    frequency = rope_frequencies(config).float()
    w["q"] *= NOISE * 0.3
    w["k"] *= NOISE * 0.3
    strength = math.sqrt(POSITION_SHARPNESS) / scale["constant"]
    for j in range(POSITION_DIMENSIONS):
        for kv in range(config.kv_heads):
            w["k"][kv * head + j, 0] = strength
        for h in range(config.heads):
            back = h + 1
            w["q"][h * head + j, 0] = strength * math.cos(frequency[j] * back)
            w["q"][h * head + j + half, 0] = -strength * math.sin(frequency[j] * back)
    w["v"][:head] = 0
    w["v"][:head, 1:ordinary] = projection / scale["normed"]
    w["o"] *= NOISE
    w["o"][:, :head] = 0
    for row in range(head):
        w["o"][ordinary + row, row] = scale["raw"]


def wire_induction(config, w, projection, scale, ordinary, generator):
    head, half = config.head_dim, config.head_dim // 2
    frequency = rope_frequencies(config).float()
    slow = [j for j in range(half) if frequency[j] * SLOW_REACH < 1]
    strength = math.sqrt(MATCH_SHARPNESS)
    w["k"] *= NOISE * 0.3
    w["q"] *= NOISE
    w["q"][:head] *= 0.2
    for at, row in enumerate(slow + [j + half for j in slow]):
        w["k"][row] = 0
        w["k"][row, ordinary + at] = strength / scale["normed"]
        w["q"][row] = 0
        w["q"][row, 1:ordinary] = strength * projection[at] / scale["normed"]
    content = torch.randn(head, ordinary - 1, generator=generator) / math.sqrt(ordinary - 1)
    w["v"][:head] = 0
    w["v"][:head, 1:ordinary] = content / scale["normed"]
    w["o"][:, :head] = 0
    w["o"][1:ordinary, :head] = COPY_STRENGTH * scale["raw"] * content.t() * math.sqrt((ordinary - 1) / head)
