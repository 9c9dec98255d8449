"""kernels.c behind torch tensors: compiles it once, checks shapes, allocates results. Each function has the name of its
kernel.
"""

import ctypes
import hashlib
import os
import pathlib
import subprocess

import torch

BF16 = torch.bfloat16
NORM_PARTS = 8  # partial sums of a norm's weight gradient, one per thread at most
FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]


def load():
    """The compiled library, from build/ where this source was compiled before."""
    source = pathlib.Path(__file__).parent / "kernels.c"
    name = hashlib.sha256(source.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:16]
    library = source.parent / "build" / f"kernels-{name}.so"
    if not library.exists():
        library.parent.mkdir(exist_ok=True)
        fresh = library.with_suffix(f".{os.getpid()}.tmp")
        subprocess.run([os.environ.get("CC", "gcc"), *FLAGS, str(source), "-o", str(fresh), "-lm"], check=True)
        fresh.replace(library)
    return ctypes.CDLL(str(library))


LIBRARY = load()


def run(kernel, *arguments):
    """Integers as int64, floats as float, tensors by address, None as null."""
    LIBRARY[kernel](*[as_c(argument) for argument in arguments])


def as_c(argument):
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, torch.Tensor):
        assert argument.is_contiguous(), "kernels read contiguous memory only"
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_int64(argument) if isinstance(argument, int) else ctypes.c_float(argument)


def add_norm_forward(x, delta, weight, eps):
    """(x + delta, its rms norm times weight in bf16, 1 / rms)"""
    rows, width = x.shape
    total = torch.empty(rows, width) if delta is not None else x
    normed, scale = torch.empty(rows, width, dtype=BF16), torch.empty(rows)
    run("add_norm_forward", rows, width, x, delta, weight, eps, total, normed, scale)
    return total, normed, scale


def add_norm_backward(total, weight, scale, d_residual, d_normed):
    """(gradient of the sum, the same in bf16, gradient of the weight)"""
    rows, width = total.shape
    d_total, d_total_bf16 = torch.empty(rows, width), torch.empty(rows, width, dtype=BF16)
    parts = torch.empty(NORM_PARTS, width)
    given, made = (total, weight, scale, d_residual, d_normed), (d_total, d_total_bf16, parts)
    run("add_norm_backward", rows, width, *given, *made, NORM_PARTS)
    return d_total, d_total_bf16, parts.sum(0)


def swiglu_forward(gate_up):
    rows, ffn = gate_up.shape[0], gate_up.shape[1] // 2
    out = torch.empty(rows, ffn, dtype=BF16)
    run("swiglu_forward", rows, ffn, gate_up, out)
    return out


def swiglu_backward(gate_up, d_out):
    d_gate_up = torch.empty_like(gate_up)
    run("swiglu_backward", gate_up.shape[0], gate_up.shape[1] // 2, gate_up, d_out, d_gate_up)
    return d_gate_up


def rope_forward(qkv, cos, sin, shape, factor):
    """`shape`: (rows, length, heads, kv_heads, head_dim)"""
    rows, length, heads, kv_heads, head_dim = shape
    q = torch.empty(rows * kv_heads, heads // kv_heads * length, head_dim, dtype=BF16)
    k, v = (torch.empty(rows * kv_heads, length, head_dim, dtype=BF16) for _ in range(2))
    run("rope_forward", *shape, qkv, cos, sin, factor, q, k, v)
    return q, k, v


def rope_backward(cos, sin, shape, factor, dq, dk, dv):
    rows, length, heads, kv_heads, head_dim = shape
    d_qkv = torch.empty(rows * length, (heads + 2 * kv_heads) * head_dim, dtype=BF16)
    run("rope_backward", *shape, d_qkv, cos, sin, factor, dq.contiguous(), dk.contiguous(), dv.contiguous())
    return d_qkv


def causal_softmax_forward(scores, block, first):
    """`scores`: (heads, rows, keys); a row's position is `first` plus its number modulo `block`."""
    width = scores.shape[-1]
    run("causal_softmax_forward", scores.numel() // width, width, block, first, scores)
    return scores


def causal_softmax_backward(probabilities, gradient, block, first):
    width = gradient.shape[-1]
    run("causal_softmax_backward", gradient.numel() // width, width, block, first, probabilities, gradient)
    return gradient


def join_heads(by_head, shape):
    rows, length, heads, _, head_dim = shape
    joined = torch.empty(rows * length, heads * head_dim, dtype=BF16)
    run("join_heads", rows, length, heads, head_dim, by_head, joined)
    return joined


def split_heads(joined, shape):
    rows, length, heads, kv_heads, head_dim = shape
    by_head = torch.empty(rows * kv_heads, heads // kv_heads * length, head_dim, dtype=BF16)
    run("split_heads", rows, length, heads, head_dim, joined, by_head)
    return by_head


def cross_entropy(logits, ids):
    """Mean loss; `logits` become the gradient of the mean loss."""
    rows = len(ids)
    losses = torch.empty(rows)
    run("cross_entropy", rows, logits.shape[1], logits, ids, 1.0 / rows, losses)
    return losses.mean().item()


def adamw(weight, gradient, mean, square, gradient_scale, rate, betas, eps, decay, step):
    corrections = [1 - beta**step for beta in betas]
    run("adamw", weight.numel(), weight, gradient, mean, square, gradient_scale, rate, *betas, eps, decay, *corrections)
