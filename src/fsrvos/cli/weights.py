"""``fsrvos-weights``: imports published checkpoints, and tells what a file of weights holds."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from fsrvos.cli.parser import Parser, run_command
from fsrvos.weights import ImportReport, Weights, convert, read_weights


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``fsrvos-weights``.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        The exit code: 0, or 2 for bad input, which is told in one line on stderr.
    """
    return run_command(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fsrvos-weights", description="Imports published weights, and looks into files of weights."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    importing = commands.add_parser(
        "import",
        help="turn a ReferFormer or CMA checkpoint into .safetensors",
        description="Reads a ReferFormer or CMA checkpoint (a file with 'model', or a bare state dict; ResNet, Swin or "
        "Video-Swin), or one of our own files, and writes its tensors under our names. Nothing in it is run.",
    )
    importing.add_argument("source", metavar="IN.pth", help="the checkpoint to read")
    importing.add_argument("target", metavar="OUT.safetensors", help="the file to write")
    importing.add_argument(
        "--drop-class-heads",
        action="store_true",
        help="leave the class heads out, as published for few-shot training",
    )
    importing.add_argument("--verbose", action="store_true", help="list every tensor that was mapped")
    importing.set_defaults(run=_import)
    inspecting = commands.add_parser(
        "inspect",
        help="tell what a file holds",
        description="Tells which network a file of weights holds, part by part: .pth, .safetensors, .ckpt, a run folder "
        "or a folder of save_pretrained.",
    )
    inspecting.add_argument("file", metavar="FILE", help="the file or folder")
    inspecting.add_argument("--verbose", action="store_true", help="list every tensor with its shape")
    inspecting.set_defaults(run=_inspect)
    return parser


def _import(arguments: argparse.Namespace) -> None:
    weights, report = convert(arguments.source, arguments.target, drop_class_heads=arguments.drop_class_heads)
    print(_title(weights))
    _print_report(report, arguments.verbose)
    print(f"wrote {arguments.target}: {sum(map(len, report.mapped.values()))} tensors")


def _inspect(arguments: argparse.Namespace) -> None:
    weights = read_weights(arguments.file)
    print(_title(weights))
    for key, value in weights.config.items():
        if key not in ("variant", "backbone", "text_encoder") and value is not None:
            print(f"  {key}: {value}")
    numbers: Counter[str] = Counter()
    tensors: Counter[str] = Counter()
    for name, tensor in weights.tensors.items():
        part = name.split(".")[0]
        tensors[part] += 1
        numbers[part] += tensor.numel()
    width = max(map(len, tensors))
    for part, count in tensors.items():
        print(f"  {part:<{width}}  {count:>5} tensors  {numbers[part]:>12,} numbers")
    print(f"  {'all':<{width}}  {tensors.total():>5} tensors  {numbers.total():>12,} numbers")
    if arguments.verbose:
        for name, tensor in weights.tensors.items():
            print(f"    {name}  {tuple(tensor.shape)}  {str(tensor.dtype).removeprefix('torch.')}")


def _title(weights: Weights) -> str:
    names = {key: weights.config[key] for key in ("backbone", "text_encoder")}
    backbone, text = (name if isinstance(name, str) else name["name"] for name in names.values())
    variant = weights.config["variant"]
    said = (
        " (base and self have the same names)" if weights.origin == "published" and variant == "self" else ""
    )
    return f"{weights.file}: {weights.layout}, {variant}{said} with {backbone} and {text}"


def _print_report(report: ImportReport, verbose: bool) -> None:
    ours = sum(map(len, report.mapped.values()))
    print(f"mapped {len(report.mapped)} tensors to {ours} of ours")
    if verbose:
        for name, places in report.mapped.items():
            print(f"  {name} -> {', '.join(places)}")
    else:
        _print_families(report.mapped)
    for title, names in (("missing", report.missing), ("unexpected", report.unexpected)):
        print(f"{title}: {len(names) or 'none'}")
        _print_families(names)
    print(f"dropped: {len(report.dropped) or 'none'}")
    for why in dict.fromkeys(report.dropped.values()):
        dropped = [name for name, reason in report.dropped.items() if reason == why]
        _print_families(dropped, f" ({why})")


def _print_families(names: Iterable[str], note: str = "") -> None:
    """Names that differ in numbers alone share a line."""
    families = Counter(re.sub(r"(?<=[._])\d+(?=\.|$)", "*", name) for name in names)
    for family, count in families.items():
        print(f"  {family}{f' x{count}' if count > 1 else ''}{note}")


if __name__ == "__main__":
    sys.exit(main())
