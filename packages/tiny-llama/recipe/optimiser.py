"""The two ways to compute a step: fused kernels on a CPU, autograd elsewhere; and AdamW over float32 weights."""

import math

import torch
import torch.nn.functional as F
from llama import EMBEDDING, hidden_states

BETAS, EPS, DECAY, CLIP = (0.9, 0.95), 1e-8, 0.05, 1.0


def loss_and_gradients_on(device, config, weights, ids, wanted, where):
    if device == "cpu":
        from fused import loss_and_gradients

        return loss_and_gradients(config, weights, ids, wanted, where)
    return autograd_loss_and_gradients(config, weights, ids.to(device), wanted.to(device), where.to(device))


def autograd_loss_and_gradients(config, weights, ids, wanted, where):
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    low = {name: leaf.to(torch.bfloat16) for name, leaf in leaves.items()}
    hidden = hidden_states(config, low, ids).reshape(-1, config.width)[where]
    logits = F.linear(hidden.to(torch.bfloat16), low[EMBEDDING]).float()
    loss = F.cross_entropy(logits, wanted.reshape(-1)[where])
    return loss.item(), dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))


class Optimiser:
    """AdamW. Takes weights and moments out of a state, and puts them back with `save`."""

    def __init__(self, state, device):
        move = lambda tensors: {name: tensor.to(device) for name, tensor in tensors.items()}
        self.device = device
        self.weights = move(state["weights"])
        zeros = {name: torch.zeros_like(weight) for name, weight in state["weights"].items()}
        self.mean = move(state.get("mean", zeros))
        self.square = move(state.get("square", {name: zero.clone() for name, zero in zeros.items()}))
        self.count = state["step"]

    def save(self, state):
        for key, tensors in (("weights", self.weights), ("mean", self.mean), ("square", self.square)):
            state[key] = {name: tensor.cpu() for name, tensor in tensors.items()}

    @torch.no_grad()
    def step(self, gradients, rate):
        """One update; gives the norm of the gradient before it was clipped."""
        self.count += 1
        norm = math.sqrt(sum(float(gradient.pow(2).sum()) for gradient in gradients.values()))
        scale = min(1.0, CLIP / (norm + 1e-6))
        update = fused_update if self.device == "cpu" else plain_update
        for name, weight in self.weights.items():
            decay = DECAY if weight.ndim == 2 else 0.0
            update(
                weight, gradients[name].contiguous(), self.mean[name], self.square[name], scale, rate, decay, self.count
            )
        return norm


def fused_update(weight, gradient, mean, square, scale, rate, decay, count):
    from kernels import adamw

    adamw(weight, gradient, mean, square, scale, rate, BETAS, EPS, decay, count)


def plain_update(weight, gradient, mean, square, scale, rate, decay, count):
    gradient = gradient * scale
    mean.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    divisor = (square / (1 - BETAS[1] ** count)).sqrt_().add_(EPS)
    weight.mul_(1 - rate * decay).addcdiv_(mean / (1 - BETAS[0] ** count), divisor, value=-rate)
