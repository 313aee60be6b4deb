"""Trains the byte-level BPE tokenizer that ships in fsrvos/encoders/tokenizer.json.

    python benchmarks/train_tokenizer.py --expressions ../shared/annotations/ref_youtube_vos_valid_meta_expressions.json

Only merge statistics of the phrases go into the file. Byte level means that no word is unknown: a made-up noun
falls into pieces that differ from those of another noun.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import RobertaProcessing

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
REFERRING = """
    red orange yellow green blue purple pink white black brown grey cyan left right top bottom middle
    upper lower largest smallest larger smaller big small moving still standing fast slow slower faster
    upwards downwards leftwards rightwards turning staying that the a an is on at in of to which one
""".split()  # noqa: SIM905


def main() -> None:
    """Trains and writes the tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expressions", type=Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("src/fsrvos/encoders/tokenizer.json"))
    arguments = parser.parse_args()
    videos = json.loads(arguments.expressions.read_text())["videos"]
    phrases = [e["exp"].lower() for video in videos.values() for e in video["expressions"].values()]
    tokenizer = ByteLevelBPETokenizer(add_prefix_space=True, lowercase=True)
    corpus = phrases + [f" {word}" for word in REFERRING for _ in range(50)]
    tokenizer.train_from_iterator(
        corpus, vocab_size=arguments.vocabulary, min_frequency=2, special_tokens=SPECIAL
    )
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True)
    tokenizer.save(str(arguments.out))
    print(f"{len(phrases)} phrases -> {tokenizer.get_vocab_size()} tokens in {arguments.out}")
    for phrase in ("the red zorbel moving left", "a dog running", "the quimpet on the right"):
        print(phrase, "->", tokenizer.encode(phrase).tokens)


if __name__ == "__main__":
    main()
