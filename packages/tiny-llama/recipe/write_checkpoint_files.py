"""Writes the two small tokenizer files of a checkpoint folder: tokenizer_config.json, which carries
chat_template.jinja, and special_tokens_map.json. Reads tokenizer.json for the ids of the special tokens.

    python3 write_checkpoint_files.py ../checkpoint
"""

import json
import pathlib
import sys

CONTEXT_LENGTH = 2048


def write(folder):
    folder = pathlib.Path(folder)
    template = (pathlib.Path(__file__).parent / "chat_template.jinja").read_text()
    added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    names = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>"}
    config = {
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in added
        },
        **names,
        "chat_template": template.rstrip("\n"),
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": CONTEXT_LENGTH,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    dump(folder / "tokenizer_config.json", config)
    dump(folder / "special_tokens_map.json", names)


def dump(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(sys.argv[1])
