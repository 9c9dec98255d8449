"""Writes template.json: conversations of every kind as a chat template takes them, with the text that the renderer
of the recipe gives. The template in checkpoint/tokenizer_config.json has to give the same text.

    python3 make_template_golden.py
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "recipe"))

import render
from conversation import COMPOSE, conversation
from draw import Draw
from test_recipe import as_chat

PER_KIND = 4


def main():
    draw, golden = Draw("template golden"), []
    for kind in COMPOSE:
        for count in range(PER_KIND):
            messages, options = conversation(draw, kind)
            # What a chat template can express: past calls in their listed form, quoted results.
            messages = [{**message, "past_form": True, "raw": False} for message in messages]
            prompt = count % 2 == 1
            golden.append(
                {
                    "kind": kind,
                    "messages": [as_chat(message) for message in messages],
                    "variables": variables(options, prompt),
                    "text": render.render(messages, **options, add_generation_prompt=prompt),
                }
            )
    text = ",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in golden)
    (HERE / "template.json").write_text(f"[\n{text}\n]\n")


def variables(options, prompt):
    builtins = {} if options["builtins"] is None else {"builtin_tools": options["builtins"]}
    return {
        **({} if options["tools"] is None else {"tools": options["tools"]}),
        **builtins,
        "tools_in_user_message": options["tools_in_user"],
        "date_string": options["date"],
        "add_generation_prompt": prompt,
    }


if __name__ == "__main__":
    main()
