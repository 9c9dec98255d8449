"""Processes that compute gradients side by side, one thread each: a step's batches are handed to whoever is free, and
the gradients are added in the order of the batches, so that the result does not depend on who was first. On a shared
machine this wastes less than threads that wait for each other a hundred times a step.
"""

import contextlib
import ctypes.util
import os
import threading
from multiprocessing import parent_process

import torch
import torch.multiprocessing as processes
from fused import loss_and_gradients


class Crew:
    """`weights` are moved to shared memory: what the optimiser writes there, the workers see."""

    def __init__(self, config, weights, workers, most_batches):
        for weight in weights.values():
            weight.share_memory_()
        size = sum(weight.numel() for weight in weights.values())
        self.slots = torch.zeros(most_batches, size).share_memory_()
        self.shapes = {name: weight.shape for name, weight in weights.items()}
        context = processes.get_context("spawn")
        self.todo, self.done = context.SimpleQueue(), context.SimpleQueue()
        arguments = (config, weights, self.slots, self.todo, self.done)
        self.workers = [context.Process(target=work, args=arguments, daemon=True) for _ in range(workers)]
        with environment(allocator()):
            for worker in self.workers:
                worker.start()

    def loss_and_gradients(self, step_batches):
        """Mean loss and gradients over the wanted tokens of all the batches; a batch is (ids, target mask)."""
        for slot, (ids, target) in enumerate(step_batches):
            self.todo.put((slot, ids.numpy(), target.numpy()))
        results = {}
        while len(results) < len(step_batches):
            slot, loss, count = self.done.get()
            if loss is None:
                raise SystemExit(f"A worker failed: {count}")
            results[slot] = (loss, count)
        total = sum(count for _, count in results.values())
        loss, flat = 0.0, None
        for slot in range(len(step_batches)):
            of_batch, count = results[slot]
            loss += of_batch * count / total
            part = self.slots[slot].mul_(count / total)
            flat = part if flat is None else flat.add_(part)
        return loss, self.by_name(flat)

    def by_name(self, flat):
        parts = flat.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts)}

    def close(self):
        for _ in self.workers:
            self.todo.put(None)
        for worker in self.workers:
            worker.join()


def allocator():
    """The environment in which a worker's memory comes from jemalloc where it is installed. glibc's malloc takes an eighth
    of a worker's time on the large buffers of a step; jemalloc as it comes gives memory back and loses as much in page
    faults; told to keep it, it takes almost none."""
    library = ctypes.util.find_library("jemalloc")
    if not library:
        return {}
    return {"LD_PRELOAD": library, "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always"}


@contextlib.contextmanager
def environment(values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def work(config, weights, slots, todo, done):
    torch.set_num_threads(1)
    threading.Thread(target=end_with_parent, daemon=True).start()
    while (given := todo.get()) is not None:
        slot, ids, target = given[0], torch.from_numpy(given[1]), torch.from_numpy(given[2])
        try:
            loss, gradients, count = of_batch(config, weights, ids, target, loss_and_gradients)
        except Exception as error:
            done.put((slot, None, f"{type(error).__name__}: {error}"))
            raise
        torch.cat([gradients[name].reshape(-1) for name in weights], out=slots[slot])
        done.put((slot, loss, count))


def end_with_parent():
    parent_process().join()
    os._exit(1)


def of_batch(config, weights, ids, target, compute):
    """(mean loss, gradients, how many tokens were wanted)"""
    wanted = target[:, 1:].reshape(-1).nonzero().squeeze(1)
    loss, gradients = compute(config, weights, ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), wanted)
    return loss, gradients, len(wanted)
