"""Trains the model and keeps everything that is needed to go on in one folder: tokenizer.json, state.pt, log.jsonl.
Started again with the same folder it goes on from the last saved step, as if it had never stopped.

    OMP_NUM_THREADS=2 python3 train.py run                  # a whole training
    python3 train.py run --steps 2 --tokens 512             # does it run here?
"""

import argparse
import json
import math
import os
import pathlib
import time

import batches
import torch
from conversation import BEHAVIOURS, MIX
from evaluate import evaluate
from llama import Config, initial_weights
from optimiser import Optimiser, loss_and_gradients_on
from tokenizer import Tokenizer
from train_tokenizer import train as train_tokenizer
from wiring import wire

#: Copy drills come first; later a few of them stay.
WARMING_MIX = {
    "search": 2, "maths": 2, "python": 2, "functions": 2, "several": 1, "chat": 1, "drill": 20, "token drill": 60,
}  # fmt: skip
MAIN_MIX = {**MIX, "token drill": 2}
SECONDS_BETWEEN_LINES = 20


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where the run lives")
    parser.add_argument("--steps", type=int, default=20_000, help="(default %(default)s: about 77 M tokens)")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of a step at most (default %(default)s)")
    parser.add_argument("--rate", type=float, default=1.8e-3, help="peak learning rate (default %(default)s)")
    parser.add_argument("--warming", type=int, default=50, help="steps up to the peak rate (default %(default)s)")
    parser.add_argument(
        "--drills", type=int, default=120, help="steps of copy drills at the start (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the weights and the data (default %(default)s)")
    parser.add_argument("--stop-after", type=int, default=0, help="save and stop after so many steps of this call")
    parser.add_argument("--device", default="cpu", help="cpu: fused kernels; cuda: autograd (default %(default)s)")
    parser.add_argument("--evaluate-every", type=int, default=1000, help="steps; also saves (default %(default)s)")
    parser.add_argument("--evaluate-on", type=int, default=32, help="conversations per behaviour (default %(default)s)")
    return parser.parse_args(arguments)


def main(option):
    option.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    tokenizer = tokenizer_of(option.folder)
    config = Config(vocabulary=tokenizer.size)
    state = load(option.folder) or fresh(config, option)
    optimiser = Optimiser(state, option.device)
    report = Report(option.folder, state)
    first = state["step"]
    for ids, target in batches_from(tokenizer, option, state):
        wanted = target[:, 1:].reshape(-1).nonzero().squeeze(1)
        loss, gradients = loss_and_gradients_on(
            option.device, config, optimiser.weights, ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), wanted
        )
        norm = optimiser.step(gradients, rate_at(state["step"], option))
        state["step"] += 1
        state["tokens"] += ids[:, 1:].numel()
        report.loss(loss, norm)
        done = state["step"] == option.steps
        stop = done or state["step"] - first == option.stop_after
        if state["step"] % option.evaluate_every == 0 or stop:
            optimiser.save(state)
            save(option.folder, state)
        if state["step"] % option.evaluate_every == 0 or done:
            figures, _ = evaluate(config, optimiser.weights, tokenizer, option.evaluate_on, BEHAVIOURS, new_wording=0.5)
            report.figures(figures)
        if stop:
            return report.close()


def tokenizer_of(folder):
    path = folder / "tokenizer.json"
    if not path.exists():
        train_tokenizer(path)
    return Tokenizer(path)


def fresh(config, option):
    weights = initial_weights(config, option.seed)
    wire(config, weights)
    return {"weights": weights, "step": 0, "tokens": 0, "pool": 0, "pool_step": 0}


def load(folder):
    return torch.load(folder / "state.pt") if (folder / "state.pt").exists() else None


def save(folder, state):
    torch.save(state, folder / "state.tmp")
    os.replace(folder / "state.tmp", folder / "state.pt")


def batches_from(tokenizer, option, state):
    """The batches from the state's step on. A pool depends on its number and first step alone."""
    while True:
        mix = WARMING_MIX if state["pool_step"] < option.drills else MAIN_MIX
        pool = batches.pool(tokenizer, option.seed, state["pool"], option.tokens, mix)
        yield from pool[state["step"] - state["pool_step"] :]
        state["pool"] += 1
        state["pool_step"] += len(pool)


def rate_at(step, option):
    """Linear up, then a cosine down to a fiftieth."""
    falling = 0.5 * (1 + math.cos(math.pi * min(1, step / option.steps)))
    return option.rate * min(1, (step + 1) / option.warming) * (0.02 + 0.98 * falling)


class Report:
    """Progress on standard output and in log.jsonl."""

    def __init__(self, folder, state):
        self.state, self.log = state, open(folder / "log.jsonl", "a")
        self.started = self.last = time.monotonic()
        self.first_token = state["tokens"]
        self.losses = []

    def loss(self, loss, norm):
        self.losses.append(loss)
        now = time.monotonic()
        if now - self.last < SECONDS_BETWEEN_LINES:
            return
        self.last = now
        speed = (self.state["tokens"] - self.first_token) / (now - self.started)
        self.write(
            loss=round(sum(self.losses) / len(self.losses), 4), norm=round(norm, 3), tokens_per_second=round(speed)
        )
        self.losses = []

    def figures(self, figures):
        self.write(loss=round(self.losses[-1], 4) if self.losses else None, figures=figures)

    def close(self):
        self.log.close()

    def write(self, **values):
        line = json.dumps({"step": self.state["step"], "tokens": self.state["tokens"], **values})
        print(line, flush=True)
        self.log.write(line + "\n")
        self.log.flush()


if __name__ == "__main__":
    main(options())
