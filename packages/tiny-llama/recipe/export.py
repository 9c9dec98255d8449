"""Writes a trained run as a Hugging Face folder: config.json, generation_config.json, model.safetensors (bf16),
tokenizer.json, tokenizer_config.json, special_tokens_map.json; then checks the files with the numpy forward.

    python3 export.py run ../checkpoint
"""

import json
import pathlib
import shutil
import struct
import sys

import torch
from llama import Config, logits, rounded_to_bf16
from numpy_llama import NumpyLlama
from tokenizer import Tokenizer
from write_checkpoint_files import dump, write

LARGEST_DIFFERENCE = 1e-3  # between float32 torch and double numpy, on logits of about ± 25


def export(run, folder):
    run, folder = pathlib.Path(run), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = torch.load(run / "state.pt")["weights"]
    shutil.copyfile(run / "tokenizer.json", folder / "tokenizer.json")
    tokenizer = Tokenizer(folder / "tokenizer.json")
    config = Config(vocabulary=tokenizer.size)
    described = config.to_hugging_face(tokenizer.special)
    generation = {key: described[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    dump(folder / "config.json", described)
    dump(folder / "generation_config.json", {**generation, "do_sample": False})
    write_safetensors(folder / "model.safetensors", weights)
    write(folder)
    check(folder, config, weights, tokenizer)


def write_safetensors(path, weights):
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, weight in sorted(weights.items()):
        blob = weight.to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        header[name] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


@torch.no_grad()
def check(folder, config, weights, tokenizer):
    ids = tokenizer.encode("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHow tall is Mount Everest?")
    model = NumpyLlama(folder)
    of_files = torch.from_numpy(model.extend(model.start(), ids))
    of_run = logits(config, rounded_to_bf16(weights), torch.tensor([ids]))[0]
    difference = float((of_files - of_run).abs().max())
    if not difference < LARGEST_DIFFERENCE:
        raise SystemExit(f"The exported files give other logits than the run: largest difference {difference:.2e}.")
    print(f"{folder}: {sum(w.numel() for w in weights.values())} parameters, largest logit difference {difference:.1e}")


if __name__ == "__main__":
    export(*sys.argv[1:])
