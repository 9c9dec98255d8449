"""The optimiser over float32 weights: Muon for the matrices of the layers, AdamW for the embedding and the norms; and
the plain gradients by autograd, for devices without the fused kernels.

Muon steps along the momentum with all its singular values brought near one (Newton-Schulz iteration). Its steps are
scaled so that their root mean square is that of AdamW's, and one learning rate serves both.
"""

import math

import torch
import torch.nn.functional as F
from llama import EMBEDDING, hidden_states

BETAS, EPS, DECAY, CLIP = (0.9, 0.95), 1e-8, 0.05, 1.0
MOMENTUM = 0.95
ADAMW_RMS = 0.2  # how large AdamW's steps are, relative to the rate
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # a x + b x^3 + c x^5, five times, takes (0, 1] near 1
ITERATIONS = 5


def autograd_loss_and_gradients(config, weights, ids, wanted, where):
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    low = {name: leaf.to(torch.bfloat16) for name, leaf in leaves.items()}
    hidden = hidden_states(config, low, ids).reshape(-1, config.width)[where]
    logits = F.linear(hidden.to(torch.bfloat16), low[EMBEDDING]).float()
    loss = F.cross_entropy(logits, wanted.reshape(-1)[where])
    return loss.item(), dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))


class Optimiser:
    """Takes weights and moments out of a state, and puts them back with `save`."""

    def __init__(self, state, device, muon=True):
        move = lambda tensors: {name: tensor.to(device) for name, tensor in tensors.items()}
        self.device = device
        self.weights = move(state["weights"])
        zeros = {name: torch.zeros_like(weight) for name, weight in state["weights"].items()}
        self.mean = move(state.get("mean", zeros))
        self.square = move(state.get("square", {name: zero.clone() for name, zero in zeros.items()}))
        self.count = state["step"]
        matrices = [name for name, weight in self.weights.items() if weight.ndim == 2 and name != EMBEDDING]
        self.by_shape = grouped(self.weights, matrices) if muon else []

    def save(self, state):
        for key, tensors in (("weights", self.weights), ("mean", self.mean), ("square", self.square)):
            state[key] = {name: tensor.cpu().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def step(self, gradients, rate):
        """One update; gives the norm of the gradient before it was clipped."""
        self.count += 1
        norm = math.sqrt(sum(float(gradient.pow(2).sum()) for gradient in gradients.values()))
        scale = min(1.0, CLIP / (norm + 1e-6))
        for names in self.by_shape:
            self.muon(names, gradients, scale, rate)
        done = {name for names in self.by_shape for name in names}
        update = fused_update if self.device == "cpu" else plain_update
        for name, weight in self.weights.items():
            if name in done:
                continue
            decay = DECAY if weight.ndim == 2 else 0.0
            update(
                weight, gradients[name].contiguous(), self.mean[name], self.square[name], scale, rate, decay, self.count
            )
        return norm

    def muon(self, names, gradients, scale, rate):
        """All matrices of one shape at once."""
        momenta = [self.mean[name].mul_(MOMENTUM).add_(gradients[name], alpha=scale * (1 - MOMENTUM)) for name in names]
        ahead = [  # Nesterov: the momentum as the next step would see it
            momentum.mul(MOMENTUM).add_(gradients[name], alpha=scale * (1 - MOMENTUM))
            for name, momentum in zip(names, momenta)
        ]
        steps = orthogonal(torch.stack(ahead))
        size = ADAMW_RMS * math.sqrt(max(steps.shape[1:]))
        for name, step in zip(names, steps):
            self.weights[name].mul_(1 - rate * DECAY).add_(step, alpha=-rate * size)


def grouped(weights, names):
    """The names by the shape of their weights, tall and wide ones apart."""
    groups = {}
    for name in names:
        groups.setdefault(tuple(weights[name].shape), []).append(name)
    return list(groups.values())


def orthogonal(matrices):
    """(count, rows, columns): each matrix with its singular values brought near one."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.transpose(1, 2) if tall else matrices).contiguous()
    x = (x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).to(torch.bfloat16)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    x = x.float()
    return x.transpose(1, 2) if tall else x


def fused_update(weight, gradient, mean, square, scale, rate, decay, count):
    from kernels import adamw

    adamw(weight, gradient, mean, square, scale, rate, BETAS, EPS, decay, count)


def plain_update(weight, gradient, mean, square, scale, rate, decay, count):
    gradient = gradient * scale
    mean.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    divisor = (square / (1 - BETAS[1] ** count)).sqrt_().add_(EPS)
    weight.mul_(1 - rate * decay).addcdiv_(mean / (1 - BETAS[0] ** count), divisor, value=-rate)
