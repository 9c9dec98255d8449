"""The peer on a GPU: transformers' Llama of the same shape with random weights in bf16, static cache and torch.compile.

    python3 transformers_peer.py [--csv FOLDER] [--model 8b] [--context 1024] [--prefill 8192]

Prints the device's copy bandwidth and bf16 matrix rate as torch reaches them, then decode at batch 1 and prefill. Needs a
GPU, torch and transformers; without one of them it says which in one line and ends with success.
"""

import argparse
import os
import statistics
import sys
import time

SHAPES = {
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8),
    "1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8),
}


def main() -> int:
    given = arguments()
    try:
        import torch
        import transformers
    except ImportError as missing:
        print(f"peer not measured: {missing}")
        return 0
    if not torch.cuda.is_available():
        print("peer not measured: torch sees no GPU")
        return 0
    device = torch.cuda.get_device_name(0)
    print(f"peer    torch {torch.__version__}, transformers {transformers.__version__}, {device}")
    print(f"copy    {copy_rate(torch) / 1e9:.0f} GB/s, read and written")
    print(f"matmul  {matrix_rate(torch) / 1e12:.0f} TFLOP/s bf16 at 8192")
    model = random_model(torch, transformers, given.model, max(given.context, given.prefill) + 64)
    for what, measure, tokens in (("decode", decode_seconds, given.context), ("prefill", prefill_seconds, given.prefill)):
        try:
            seconds = measure(torch, transformers, model, tokens)
        except Exception as failed:  # a peer that does not run is a line in the table, not the end of it
            print(f"peer {what} not measured: {type(failed).__name__}: {str(failed).splitlines()[0] if str(failed) else ''}")
            continue
        rate = (tokens if what == "prefill" else 1) / seconds
        print(f"peer    {given.model} bf16 {what:7s} {tokens:6d}  {1e3 * seconds:9.3f} ms  {rate:10.1f} tok/s")
        write(given.csv, f"{device},transformers-{transformers.__version__},{given.model},bf16,{what},1,{tokens},{1e3 * seconds:.4f},{rate:.2f}")
    return 0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--csv")
    parser.add_argument("--model", default="8b", choices=sorted(SHAPES))
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--prefill", type=int, default=8192)
    return parser.parse_args()


def device_seconds(torch, work, times: int = 10, warm: int = 3) -> float:
    """The median of the device's own seconds."""
    spans = []
    for _ in range(warm + times):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        spans.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(spans[warm:])


def copy_rate(torch) -> float:
    source = torch.randn(2**29, device="cuda")
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / device_seconds(torch, lambda: target.copy_(source))


def matrix_rate(torch) -> float:
    n = 8192
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * n**3 / device_seconds(torch, lambda: a @ b)


def random_model(torch, transformers, name: str, positions: int):
    config = transformers.LlamaConfig(
        vocab_size=128256, max_position_embeddings=positions, rms_norm_eps=1e-5, tie_word_embeddings=False,
        attn_implementation="sdpa", **SHAPES[name])
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model = transformers.LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    return model.eval()


def static_cache(transformers, model, length: int):
    try:
        return transformers.StaticCache(config=model.config, max_cache_len=length)
    except TypeError:  # the arguments of version 4
        return transformers.StaticCache(config=model.config, max_batch_size=1, max_cache_len=length, device="cuda", dtype=model.dtype)


def random_tokens(torch, n: int):
    generator = torch.Generator(device="cuda").manual_seed(1)
    return torch.randint(0, 128000, (1, n), device="cuda", generator=generator)


def prefill_seconds(torch, transformers, model, n: int) -> float:
    tokens = random_tokens(torch, n)

    def once():
        with torch.inference_mode():
            model(tokens, past_key_values=static_cache(transformers, model, n), cache_position=torch.arange(n, device="cuda"),
                  use_cache=True, logits_to_keep=1)

    return device_seconds(torch, once, times=3, warm=2)


def decode_seconds(torch, transformers, model, context: int) -> float:
    cache = static_cache(transformers, model, context + 64)
    token = random_tokens(torch, 1)
    step = torch.compile(model.forward, mode="reduce-overhead", fullgraph=True)
    with torch.inference_mode():
        model(random_tokens(torch, context), past_key_values=cache, cache_position=torch.arange(context, device="cuda"),
              use_cache=True, logits_to_keep=1)
    spans = []
    for i in range(40):
        position = torch.tensor([context + i], device="cuda")
        torch.cuda.synchronize()
        begin = time.perf_counter()
        with torch.inference_mode():
            step(token, past_key_values=cache, cache_position=position, use_cache=True).logits[0, -1].argmax().item()
        if i >= 10:
            spans.append(time.perf_counter() - begin)
    return statistics.median(spans)


def write(folder: str | None, line: str) -> None:
    if not folder:
        return
    path = os.path.join(folder, "gpu-peer.csv")
    fresh = not os.path.exists(path)
    with open(path, "a", encoding="utf-8") as file:
        if fresh:
            file.write("device,engine,model,weights,what,batch,context,milliseconds,tokens_per_s\n")
        file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
