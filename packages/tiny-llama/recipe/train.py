"""Trains the model and keeps everything that is needed to go on in one folder: tokenizer.json, state.pt, log.jsonl.
Started again with the same folder it goes on from the last saved step, as if it had never stopped. The rate is level
until the last `--decay` steps, so the end may be decided late: start again with other `--steps`.

    python3 train.py run                                    # a whole training from wired weights
    python3 train.py run --init ../checkpoint --steps 3000  # go on from the shipped weights, with the shipped tokenizer
    python3 train.py run --steps 2 --tokens 512             # does it run here?
"""

import argparse
import json
import os
import pathlib
import shutil
import time

import batches
import torch
from conversation import BEHAVIOURS, MIX
from evaluate import evaluate
from llama import Config, initial_weights
from optimiser import Optimiser, autograd_loss_and_gradients
from tokenizer import Tokenizer
from train_tokenizer import train as train_tokenizer
from wiring import wire

from checkpoint import read_weights

#: Copy drills come first; later a few of them stay.
WARMING_MIX = {
    "search": 2, "maths": 2, "python": 2, "functions": 2, "several": 1, "chat": 1, "drill": 20, "token drill": 60,
}  # fmt: skip
MAIN_MIX = {**MIX, "token drill": 3}
SECONDS_BETWEEN_LINES = 20


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where the run lives")
    parser.add_argument("--init", type=pathlib.Path, help="a checkpoint to start from (default: wired weights)")
    parser.add_argument("--steps", type=int, default=8_000, help="(default %(default)s: about 60 M tokens)")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of a batch at most (default %(default)s)")
    parser.add_argument("--batches", type=int, default=2, help="batches of a step (default %(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default %(default)s)")
    parser.add_argument("--warming", type=int, default=50, help="steps up to that rate (default %(default)s)")
    parser.add_argument("--decay", type=int, default=1_600, help="steps down to zero at the end (default %(default)s)")
    parser.add_argument(
        "--drills", type=int, default=60, help="steps of copy drills at a fresh start (default %(default)s)"
    )
    parser.add_argument("--adamw", action="store_true", help="AdamW for all weights, no Muon")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and the data (default %(default)s)")
    parser.add_argument("--stop-after", type=int, default=0, help="save and stop after so many steps of this call")
    parser.add_argument("--device", default="cpu", help="cpu: fused kernels; cuda: autograd (default %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes on a cpu (default %(default)s)")
    parser.add_argument("--save-every", type=int, default=100, help="steps (default %(default)s)")
    parser.add_argument("--evaluate-every", type=int, default=500, help="steps (default %(default)s)")
    parser.add_argument("--evaluate-on", type=int, default=32, help="conversations per behaviour (default %(default)s)")
    return parser.parse_args(arguments)


def main(option):
    option.folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(option.folder, option.init)
    config = Config(vocabulary=tokenizer.size)
    state = load(option.folder) or fresh(config, option)
    torch.set_num_threads(option.workers)
    optimiser = Optimiser(state, option.device, muon=not option.adamw)
    crew = crew_for(config, optimiser.weights, option)
    report = Report(option.folder, state)
    first = state["step"]
    for step_batches in steps_from(tokenizer, option, state):
        loss, gradients = crew.loss_and_gradients(step_batches)
        norm = optimiser.step(gradients, rate_at(state["step"], option))
        state["step"] += 1
        state["tokens"] += sum(ids[:, 1:].numel() for ids, _ in step_batches)
        state["targets"] += sum(int(target.sum()) for _, target in step_batches)
        report.loss(loss, norm)
        done = state["step"] >= option.steps
        stop = done or state["step"] - first == option.stop_after
        evaluates = state["step"] % option.evaluate_every == 0 or done
        if state["step"] % option.save_every == 0 or evaluates or stop:
            optimiser.save(state)
            save(option.folder, state)
        if evaluates:
            figures, _ = evaluate(config, optimiser.weights, tokenizer, option.evaluate_on, BEHAVIOURS, new_wording=0.5)
            report.figures(figures)
        if stop:
            break
    crew.close()
    report.close()


def tokenizer_of(folder, checkpoint):
    path = folder / "tokenizer.json"
    if not path.exists() and checkpoint:
        shutil.copyfile(checkpoint / "tokenizer.json", path)
    elif not path.exists():
        train_tokenizer(path)
    return Tokenizer(path)


def fresh(config, option):
    if option.init:
        weights = {name: weight.float() for name, weight in read_weights(option.init).items()}
    else:
        weights = initial_weights(config, option.seed)
        wire(config, weights)
    return {"weights": weights, "step": 0, "tokens": 0, "targets": 0, "batch": 0, "pool": 0, "pool_batch": 0}


def crew_for(config, weights, option):
    if option.device == "cpu":
        from crew import Crew

        return Crew(config, weights, option.workers, option.batches)
    return Alone(config, weights, option.device)


class Alone:
    """A crew of one device, through autograd."""

    def __init__(self, config, weights, device):
        self.config, self.weights, self.device = config, weights, device

    def loss_and_gradients(self, step_batches):
        sums, counts, loss = {}, [int(target[:, 1:].sum()) for _, target in step_batches], 0.0
        for (ids, target), count in zip(step_batches, counts):
            ids, where = ids.to(self.device), target[:, 1:].reshape(-1).nonzero().squeeze(1).to(self.device)
            found, gradients = autograd_loss_and_gradients(self.config, self.weights, ids[:, :-1], ids[:, 1:], where)
            share = count / sum(counts)
            loss += found * share
            sums = {name: sums.get(name, 0) + gradient * share for name, gradient in gradients.items()}
        return loss, sums

    def close(self):
        pass


def load(folder):
    return torch.load(folder / "state.pt") if (folder / "state.pt").exists() else None


def save(folder, state):
    torch.save(state, folder / "state.tmp")
    os.replace(folder / "state.tmp", folder / "state.pt")


def steps_from(tokenizer, option, state):
    """Lists of batches, one a step, from the state's batch on. A pool depends on its number and the options only."""
    while True:
        warming = not option.init and state["pool_batch"] < option.drills * option.batches
        mix = WARMING_MIX if warming else MAIN_MIX
        pool = batches.pool(tokenizer, option.seed, state["pool"], option.tokens, mix)
        usable = len(pool) // option.batches * option.batches
        for at in range(state["batch"] - state["pool_batch"], usable, option.batches):
            state["batch"] += option.batches
            yield pool[at : at + option.batches]
        state["pool"] += 1
        state["pool_batch"] += usable


def rate_at(step, option):
    """Linear up, level, linear down."""
    rising, falling = (step + 1) / option.warming, (option.steps - step) / option.decay
    return option.rate * min(1, rising, falling)


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
