"""Tests of the recipe: python3 -m unittest test_recipe (from this folder). Those that need torch or jinja2 are skipped,
with a line that says so, where they are missing.
"""

import collections
import contextlib
import importlib.util
import io
import json
import pathlib
import re
import tempfile
import unittest
from unittest import mock

import render
from conversation import BEHAVIOURS, COMPOSE, conversation, example
from draw import Draw
from frames import FRAMES
from kinds.functions import function
from tokenizer import SPECIAL_TOKENS, Tokenizer
from words import HELD_OUT_CITIES, HELD_OUT_FIRST_NAMES, HELD_OUT_LAST_NAMES, HELD_OUT_WORDS

CHECKPOINT = pathlib.Path(__file__).parent.parent / "checkpoint"
needs = lambda name: unittest.skipUnless(importlib.util.find_spec(name), f"{name} is not installed")


class Conversations(unittest.TestCase):
    def test_the_same_seed_gives_the_same_conversations(self):
        texts = [[example(draw, kind) for kind in COMPOSE for _ in range(5)] for draw in (Draw(3), Draw(3))]
        self.assertEqual(*texts)

    def test_training_never_shows_a_held_out_name(self):
        draw = Draw("held-out")
        text = "\n".join(part for kind in COMPOSE for _ in range(80) for part, _ in example(draw, kind))
        names = HELD_OUT_CITIES + HELD_OUT_FIRST_NAMES + HELD_OUT_LAST_NAMES
        self.assertEqual([name for name in names if name in text], [])

    def test_words_of_pieces_use_the_whole_vocabulary_and_are_never_held_out(self):
        tokenizer = Tokenizer(CHECKPOINT / "tokenizer.json")
        draw = Draw("pieces", pieces=tokenizer.lower_case_pieces)
        words = [draw.word_of_pieces() for _ in range(30_000)]
        used = {id for word in words for id in tokenizer.encode(word)}
        unused = [piece for piece in tokenizer.lower_case_pieces if tokenizer.vocabulary[piece] not in used]
        self.assertGreater(len(tokenizer.lower_case_pieces), 1000)
        self.assertEqual(unused, [])
        self.assertEqual(HELD_OUT_WORDS.intersection(words), set())

    def test_training_never_shows_a_held_out_frame_and_the_test_split_does(self):
        marked = [frame[1:] for frames in FRAMES.values() for frame in frames if frame.startswith("!")]
        literals = [max(re.split("<x>|[?]", frame), key=len).strip() for frame in marked]
        self.assertGreater(len(literals), 8)
        texts = {}
        for split, new_wording in (("train", 0.0), ("test", 1.0)):
            draw = Draw("frames", split, new_wording)
            parts = [part for kind in BEHAVIOURS for _ in range(120) for part, _ in example(draw, kind)]
            texts[split] = "\n".join(parts).lower()
        self.assertEqual([one for one in literals if one.lower() in texts["train"]], [])
        self.assertEqual([one for one in literals if one.lower() not in texts["test"]], [])

    def test_every_conversation_ends_with_a_turn_of_the_assistant(self):
        draw = Draw("shape", "test", 0.5)
        for kind in COMPOSE:
            for _ in range(60):
                messages, _ = conversation(draw, kind)
                roles = [message["role"] for message in messages]
                self.assertEqual(roles[-1], "assistant", kind)
                for before, message in zip(messages, messages[1:]):
                    if message["role"] == "tool":
                        self.assertIn("call", before, kind)
                    if "call" in before:
                        self.assertEqual(message["role"], "tool", kind)

    def test_arguments_have_the_types_of_the_schema_and_every_required_key(self):
        draw = Draw("types")
        types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
        seen = collections.Counter()
        for _ in range(300):
            messages, options = conversation(draw, "functions")
            schemas = [schema.get("function", schema) for schema in options["tools"]]
            for message in messages:
                if "call" not in message or not message.get("target", True):
                    continue
                name, arguments = message["call"]
                parameters = next(schema["parameters"] for schema in schemas if schema["name"] == name)
                self.assertLessEqual(set(parameters.get("required", [])), set(arguments))
                for key, value in arguments.items():
                    kind = parameters["properties"][key]["type"]
                    self.assertIsInstance(value, types[kind])
                    self.assertIn(value, parameters["properties"][key].get("enum", [value]))
                    seen[kind] += 1
        self.assertEqual(set(seen), set(types))

    def test_a_wrong_call_is_never_learnt_and_always_answered_with_an_error(self):
        draw = Draw("wrong")
        wrong = 0
        for kind in ("functions", "python"):
            for _ in range(300):
                messages, _ = conversation(draw, kind)
                for message, after in zip(messages, messages[1:]):
                    if "call" in message and not message.get("target", True) and not message.get("past_form"):
                        wrong += 1
                        text = str(after["content"])
                        self.assertRegex(text, r"There is no tool named|is not valid: \w+: |NameError|SyntaxError")
        self.assertGreater(wrong, 20)

    def test_python_results_are_what_python_prints(self):
        draw = Draw("python")
        for _ in range(150):
            messages, _ = conversation(draw, "python", single=True)
            for message, after in zip(messages, messages[1:]):
                if "call" not in message or "completed" not in str(after["content"]):
                    continue
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(message["call"][1]["code"], {})
                expected = after["content"].split("[stdout]\n")[1].split("\n[/stdout]")[0].strip()
                self.assertEqual(printed.getvalue().strip(), expected)

    def test_a_request_never_leaves_open_which_parameter_a_name_is_for(self):
        draw = Draw("ambiguous")
        for _ in range(500):
            made = function(draw)
            texts = [one for one in made.parameters if one.type == "string" and not one.options]
            if len(texts) > 1:
                self.assertTrue(all("for {v}" not in one.phrases for one in texts))


class Layout(unittest.TestCase):
    @needs("jinja2")
    def test_the_chat_template_gives_the_bytes_of_the_renderer(self):
        template = chat_template()
        for split in ("train", "test"):
            draw = Draw("template", split, 0.5)
            for kind in COMPOSE:
                for count in range(40):
                    messages, options = conversation(draw, kind)
                    messages = [{**message, "past_form": True, "raw": False} for message in messages]
                    prompt = count % 2 == 1
                    expected = render.render(messages, **options, add_generation_prompt=prompt)
                    self.assertEqual(template(messages, options, prompt), expected, kind)


def chat_template():
    """The checkpoint's template as transformers runs it."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    config = json.loads((CHECKPOINT / "tokenizer_config.json").read_text())
    compiled = environment.from_string(config["chat_template"])

    def rendered(messages, options, prompt):
        builtins = {} if options["builtins"] is None else {"builtin_tools": options["builtins"]}
        return compiled.render(
            messages=[as_chat(message) for message in messages],
            bos_token=config["bos_token"],
            tools=options["tools"],
            tools_in_user_message=options["tools_in_user"],
            date_string=options["date"],
            add_generation_prompt=prompt,
            **builtins,
        )

    return rendered


def as_chat(message):
    if "call" not in message:
        return {"role": message["role"], "content": message["content"]}
    name, arguments = message["call"]
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}


class Tokens(unittest.TestCase):
    def test_text_comes_back_from_its_tokens(self):
        tokenizer, draw = Tokenizer(CHECKPOINT / "tokenizer.json"), Draw("tokens", "test", 0.5)
        texts = ["".join(text for text, _ in example(draw, kind)) for kind in COMPOSE for _ in range(20)]
        for text in [*texts, "Qhapaq Ñan — 道路 🏔️\n\n\t x", ""]:
            self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)

    def test_special_tokens_are_one_token_each(self):
        tokenizer = Tokenizer(CHECKPOINT / "tokenizer.json")
        ids = tokenizer.encode("".join(SPECIAL_TOKENS))
        self.assertEqual(ids, [tokenizer.special[token] for token in SPECIAL_TOKENS])


@needs("torch")
class Training(unittest.TestCase):
    def test_the_fused_gradients_are_those_of_autograd(self):
        import fused
        import torch
        from llama import Config, initial_weights
        from optimiser import autograd_loss_and_gradients

        config = Config(vocabulary=300, width=64, layers=3, heads=4, kv_heads=2, head_dim=16, ffn=96)
        weights = initial_weights(config, 1)
        torch.manual_seed(0)
        ids, wanted, where = torch.randint(0, 300, (3, 40)), torch.randint(0, 300, (3, 40)), torch.arange(0, 120, 3)
        exact, expected = autograd_loss_and_gradients(config, weights, ids, wanted, where)
        with mock.patch.object(fused, "QUERIES", 16):  # three blocks, the last one short
            loss, found = fused.loss_and_gradients(config, weights, ids, wanted, where)
        self.assertAlmostEqual(loss, exact, delta=0.02)
        self.assertEqual(set(found), set(expected))
        for name in expected:
            error = float((found[name] - expected[name]).norm() / expected[name].norm())
            self.assertLess(error, 0.05, name)

    def test_wired_weights_copy_before_the_first_step(self):
        import random

        import batches
        import torch
        from llama import Config, initial_weights, logits
        from wiring import wire

        tokenizer, generator = Tokenizer(CHECKPOINT / "tokenizer.json"), random.Random(7)
        config = Config(vocabulary=tokenizer.size)
        weights = initial_weights(config, 1)
        wire(config, weights)
        right = total = 0
        for _ in range(12):
            ids, target = batches.token_drill(tokenizer, generator)
            with torch.no_grad():
                likeliest = logits(config, weights, torch.tensor([ids]))[0].argmax(-1).tolist()
            wanted = [at for at, learnt in enumerate(target) if learnt]
            right += sum(likeliest[at - 1] == ids[at] for at in wanted)
            total += len(wanted)
        self.assertGreater(right / total, 0.7)

    def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(self):
        import torch

        with tempfile.TemporaryDirectory() as folder:
            whole, halves = pathlib.Path(folder, "whole"), pathlib.Path(folder, "halves")
            run(whole)
            run(halves, "--stop-after", "1")
            run(halves)
            states = [torch.load(path / "state.pt") for path in (whole, halves)]
        self.assertEqual([state["step"] for state in states], [2, 2])
        for name, weight in states[0]["weights"].items():
            self.assertTrue(torch.equal(weight, states[1]["weights"][name]), name)

    def test_muon_brings_all_singular_values_near_one(self):
        import torch
        from optimiser import orthogonal

        torch.manual_seed(0)
        for shape in ((2, 24, 64), (2, 64, 24)):
            values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
            self.assertGreater(float(values.min()), 0.5)
            self.assertLess(float(values.max()), 1.5)

    def test_the_rate_is_level_and_ends_at_nothing(self):
        import train

        option = train.options(["run", "--steps", "100", "--warming", "10", "--decay", "20", "--rate", "1"])
        rates = [train.rate_at(step, option) for step in range(101)]
        self.assertEqual((rates[4], rates[10], rates[80], rates[90], rates[100]), (0.5, 1, 1, 0.5, 0))

    def test_a_run_can_start_from_a_checkpoint(self):
        import torch

        from checkpoint import read_weights

        with tempfile.TemporaryDirectory() as folder:
            run(pathlib.Path(folder), "--init", str(CHECKPOINT), "--stop-after", "1")
            state = torch.load(pathlib.Path(folder, "state.pt"))
        for name, weight in read_weights(CHECKPOINT).items():
            self.assertLess(float((state["weights"][name] - weight.float()).abs().max()), 0.1, name)

    def test_an_exported_run_equals_the_numpy_forward(self):
        from export import export

        with tempfile.TemporaryDirectory() as folder:
            trained = pathlib.Path(folder, "run")
            run(trained, "--stop-after", "1")
            with contextlib.redirect_stdout(io.StringIO()):
                export(trained, pathlib.Path(folder, "checkpoint"))
            names = sorted(path.name for path in pathlib.Path(folder, "checkpoint").iterdir())
        self.assertEqual(names, sorted(path.name for path in CHECKPOINT.iterdir()))


def run(folder, *arguments):
    """Two steps of training with the shipped tokenizer."""
    import train

    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_bytes((CHECKPOINT / "tokenizer.json").read_bytes())
    with contextlib.redirect_stdout(io.StringIO()):
        fixed = ["--steps", "2", "--tokens", "256", "--workers", "2", "--evaluate-every", "2", "--evaluate-on", "1"]
        train.main(train.options([str(folder), *fixed, *arguments]))


if __name__ == "__main__":
    unittest.main()
