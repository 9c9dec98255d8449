"""Loss and gradients of the model on a CPU: matrix products from torch, everything else in kernels.c, the backward pass
written out. Same result as autograd on llama.py up to bf16 rounding, at about 2.4 times the speed.
"""

import pathlib

import kernels
import torch
from llama import EMBEDDING, LAST_NORM, layer_names, rope_tables

BF16 = torch.bfloat16
QUERIES = 128  # a block of queries in attention


def has_bf16_products():
    """Whether the processor multiplies bf16 itself; elsewhere torch is faster in float32."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


if has_bf16_products():

    def product(a, b):
        return torch.matmul(a, b)

else:

    def product(a, b):
        return torch.matmul(a.float(), b.float()).to(BF16)


@torch.no_grad()
def loss_and_gradients(config, weights, ids, wanted, where):
    """ids, wanted (rows, length); `where`: flat positions whose wanted token counts. (mean loss, {name: gradient})"""
    rows, length = ids.shape
    shape = (rows, length, config.heads, config.kv_heads, config.head_dim)
    tables = rope_tables(config, length)
    x, delta, tape = weights[EMBEDDING][ids.reshape(-1)], None, []
    for layer in range(config.layers):
        rows_kept = where if layer == config.layers - 1 else None
        w = layer_weights(weights, layer)
        x, delta, saved = layer_forward(config, w, x, delta, shape, tables, rows_kept)
        tape.append(saved)
    total, normed, scale = kernels.add_norm_forward(x, delta, weights[LAST_NORM], config.norm_eps)
    head = weights[EMBEDDING].to(BF16)
    logits = product(normed, head.t())
    loss = kernels.cross_entropy(logits, wanted.reshape(-1)[where].contiguous())

    gradients = {EMBEDDING: product(logits.t(), normed).float()}
    d_x, d_delta, gradients[LAST_NORM] = kernels.add_norm_backward(
        total, weights[LAST_NORM], scale, None, product(logits, head)
    )
    for layer in reversed(range(config.layers)):
        rows_kept = where if layer == config.layers - 1 else None
        w = layer_weights(weights, layer)
        d_x, d_delta, found = layer_backward(config, w, tape.pop(), d_x, d_delta, shape, tables, rows_kept)
        for short, name in layer_names(layer).items():
            gradients[name] = found[short]
    gradients[EMBEDDING].index_add_(0, ids.reshape(-1), d_x)
    return loss, gradients


def layer_weights(weights, layer):
    """The weights of a layer, in bf16 and joined as they are multiplied."""
    w = {short: weights[name] for short, name in layer_names(layer).items()}
    return {
        "norm1": w["norm1"],
        "norm2": w["norm2"],
        "qkv": torch.cat([w["q"], w["k"], w["v"]]).to(BF16),
        "o": w["o"].to(BF16),
        "gate_up": torch.cat([w["gate"], w["up"]]).to(BF16),
        "down": w["down"].to(BF16),
    }


def layer_forward(config, w, x, delta, shape, tables, where):
    """x (rows, width) and the last layer's output `delta`, not yet added, in; the same of this layer out, and what the
    way back needs. `where`: rows that go on to the MLP; nobody reads the others behind the last attention."""
    x, h, scale1 = kernels.add_norm_forward(x, delta, w["norm1"], config.norm_eps)
    q, k, v = kernels.rope_forward(product(h, w["qkv"].t()), *tables, shape, config.head_dim**-0.5)
    p, attended = attention_forward(q, k, v)
    attended = kernels.join_heads(attended, shape)
    delta = product(attended, w["o"].t())
    kept = x
    if where is not None:
        kept, delta = x[where].contiguous(), delta[where].contiguous()
    x2, h2, scale2 = kernels.add_norm_forward(kept, delta, w["norm2"], config.norm_eps)
    gate_up = product(h2, w["gate_up"].t())
    z = kernels.swiglu_forward(gate_up)
    saved = (x, h, scale1, q, k, v, p, attended, x2, h2, scale2, gate_up, z)
    return x2, product(z, w["down"].t()), saved


def layer_backward(config, w, saved, d_x, d_delta, shape, tables, where):
    """d_x (float32) and d_delta (the same in bf16): the gradient of this layer's output. Gives that of its input."""
    x, h, scale1, q, k, v, p, attended, x2, h2, scale2, gate_up, z = saved
    gradient = {"down": product(d_delta.t(), z).float()}
    d_gate_up = kernels.swiglu_backward(gate_up, product(d_delta, w["down"]))
    both = product(d_gate_up.t(), h2).float()
    gradient["gate"], gradient["up"] = both[: config.ffn], both[config.ffn :]
    d_x, d_delta, gradient["norm2"] = kernels.add_norm_backward(
        x2, w["norm2"], scale2, d_x, product(d_gate_up, w["gate_up"])
    )
    if where is not None:
        d_x, d_delta = spread(d_x, where, len(x)), spread(d_delta, where, len(x))
    gradient["o"] = product(d_delta.t(), attended).float()
    d_attended = kernels.split_heads(product(d_delta, w["o"]), shape)
    dq, dk, dv = attention_backward(q, k, v, p, d_attended)
    d_qkv = kernels.rope_backward(*tables, shape, config.head_dim**-0.5, dq, dk, dv)
    joined = product(d_qkv.t(), h).float()
    query, key = config.heads * config.head_dim, config.kv_heads * config.head_dim
    gradient["q"], gradient["k"], gradient["v"] = joined.split([query, key, key])
    d_x, d_delta, gradient["norm1"] = kernels.add_norm_backward(x, w["norm1"], scale1, d_x, product(d_qkv, w["qkv"]))
    return d_x, d_delta, gradient


def blocks(length):
    """[start, end) of blocks of queries: the keys behind a block's end need no product."""
    return [(start, min(start + QUERIES, length)) for start in range(0, length, QUERIES)]


def queries(by_head, length, start, end):
    """The positions from start to end of each head of a group."""
    part = by_head.view(by_head.shape[0], -1, length, by_head.shape[-1])[:, :, start:end]
    return part.reshape(by_head.shape[0], -1, by_head.shape[-1])


def attention_forward(q, k, v):
    """q (groups, heads of a group * length, head_dim), k and v (groups, length, head_dim). Gives the probabilities by
    block and what is attended to, laid out as q."""
    length = k.shape[1]
    probabilities, attended = [], torch.empty_like(q)
    for start, end in blocks(length):
        scores = product(queries(q, length, start, end), k[:, :end].transpose(1, 2)).contiguous()
        p = kernels.causal_softmax_forward(scores, end - start, start)
        put(attended, length, start, end, product(p, v[:, :end]))
        probabilities.append(p)
    return probabilities, attended


def attention_backward(q, k, v, probabilities, d_attended):
    """(dq, dk, dv)"""
    length = k.shape[1]
    dq, dk, dv = torch.empty_like(q), torch.zeros(k.shape), torch.zeros(v.shape)
    for (start, end), p in zip(blocks(length), probabilities):
        d_block = queries(d_attended, length, start, end)
        dv[:, :end] += product(p.transpose(1, 2), d_block)
        d_scores = product(d_block, v[:, :end].transpose(1, 2)).contiguous()
        d_scores = kernels.causal_softmax_backward(p, d_scores, end - start, start)
        put(dq, length, start, end, product(d_scores, k[:, :end]))
        dk[:, :end] += product(d_scores.transpose(1, 2), queries(q, length, start, end))
    return dq, dk.to(BF16), dv.to(BF16)


def put(by_head, length, start, end, part):
    whole = by_head.view(by_head.shape[0], -1, length, by_head.shape[-1])
    whole[:, :, start:end] = part.view(whole.shape[0], whole.shape[1], end - start, whole.shape[3])


def spread(rows, where, count):
    """The rows back at their places among `count`, zeros elsewhere."""
    full = torch.zeros(count, rows.shape[1], dtype=rows.dtype)
    full[where] = rows
    return full
