"""The weights of a Hugging Face folder with one model.safetensors in bf16, as torch tensors."""

import json
import struct

import torch


def read_weights(folder):
    raw = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    weights = {}
    for name, entry in json.loads(raw[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "BF16":
            raise SystemExit(f"{folder}: {name} is {entry['dtype']}; this recipe reads BF16 only.")
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        numbers = torch.frombuffer(bytearray(raw[start:end]), dtype=torch.bfloat16)
        weights[name] = numbers.reshape(entry["shape"])
    return weights
