"""fsrvos-predict: masks of what a phrase says, in one's own video."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fsrvos.cli.common import hydra_command
from fsrvos.cli.free_text import quote_values
from fsrvos.cli.progress import progress_bar
from fsrvos.cli.shortage import shortages_told
from fsrvos.cli.stopping import Stop, stopping
from fsrvos.cli.values import check_numbers
from fsrvos.errors import UserError
from fsrvos.prediction_folder import PredictionFolder
from fsrvos.prediction_layout import OVERLAY
from fsrvos.predictor import Predictor
from fsrvos.predictor_checks import check_phrases
from fsrvos.support_set import SupportSet
from fsrvos.video import Video, open_video

FREE_TEXT = ("checkpoint", "video", "text", "support", "support_text", "object", "out")


def main() -> None:
    """Entry point of the console script."""
    sys.argv[1:] = quote_values(sys.argv[1:], FREE_TEXT)
    hydra_command("predict", predict, explained=True, has_run_folder=False)


def predict(config: DictConfig) -> None:
    """Segments one video.

    Args:
        config: Composed from configs/predict.yaml.
    """
    for key, example in (
        ("checkpoint", "outputs/demo"),
        ("video", "park.mp4"),
        ("text", '"the brown dog"'),
        ("out", "masks/park"),
    ):
        if config[key] is None:
            raise UserError(f"{key} is missing; say {key}=VALUE, such as {key}={example}")
    check_numbers(config, {"rate": 0, "jump_cost": 0, "support_frames": 1})
    phrases = texts(config.text)
    check_phrases(phrases)
    check_place(config)
    video = open_video(str(config.video), config.rate)
    predictor = Predictor.from_pretrained(
        str(config.checkpoint), device=config.device, jump_cost=config.jump_cost,
        short_side=config.short_side, max_long_side=config.max_long_side, window=config.window,
        precision=config.precision, compile=config.compile,
    )  # fmt: skip
    support = read_support(predictor, config, phrases)
    made_with = {
        key: OmegaConf.to_container(config)[key]  # type: ignore[index, call-overload]
        for key in ("support", "support_text", "object", "support_frames", "jump_cost", "precision")
    } | vars(predictor.settings)
    made_with |= {"file": str(Path(config.video).resolve()), "weights": str(predictor.source)}
    with (
        shortages_told("window or short_side"),
        stopping() as stop,
        PredictionFolder(
            str(config.out), video, phrases, overlay=config.overlay, resume=config.resume,
            overwrite=config.overwrite, window=predictor.window(support), made_with=made_with,
        ) as folder,
    ):  # fmt: skip
        started, before = time.perf_counter(), folder.done
        write_windows(predictor, video, phrases, support, folder, stop)
        seconds, frames = time.perf_counter() - started, folder.done - before
    speed = f"{frames} frames, {frames / seconds:.1f} frames/s"
    if stop:
        print(f"fsrvos: stopped after {folder.done} frames; go on with resume=true", file=sys.stderr)
        raise SystemExit(stop.exit_code)
    print(f"{speed} -> {folder.folder / OVERLAY if config.overlay else folder.folder}")


def write_windows(
    predictor: Predictor,
    video: Video,
    phrases: list[str],
    support: SupportSet | None,
    folder: PredictionFolder,
    stop: Stop,
) -> None:
    """Segments what is not in the folder yet, until the end of the video or a stop signal."""
    with progress_bar("segmenting", "frames") as told:
        for drawn in folder.draw_again():
            told(drawn, video.count or folder.done)
            if stop:
                return
        windows = predictor.stream(video, phrases, support, start=folder.done, previous=folder.last_masks())
        for window in windows:
            folder.write_window(window.frames, window.masks, window.scores)
            told(folder.done, video.count or folder.done)
            if stop:
                return
    folder.complete = True


def read_support(predictor: Predictor, config: DictConfig, phrases: list[str]) -> SupportSet | None:
    """The support that a config names; its phrase is the first of the video's where nothing else says one."""
    if config.support is None:
        return None
    source: Any = (
        OmegaConf.to_container(config.support) if OmegaConf.is_list(config.support) else config.support
    )
    said: Any = (
        OmegaConf.to_container(config.support_text)
        if OmegaConf.is_list(config.support_text)
        else config.support_text
    )
    return predictor.support(
        source, said, config.object, frames=config.support_frames, fallback_phrase=phrases[0]
    )


def check_place(config: DictConfig) -> None:
    """Refuses to write into what is read.

    Raises:
        UserError: ``out`` is the video or the support.
    """
    read = [config.video, *(config.support if OmegaConf.is_list(config.support) else [config.support])]
    out = Path(str(config.out)).resolve()
    for place in read:
        if place is not None and Path(str(place)).resolve() == out:
            raise UserError(f"out={config.out} is what is read; give another folder")


def texts(value: Any) -> list[str]:
    """The phrases of a config: one, or a list."""
    return [str(item) for item in value] if OmegaConf.is_list(value) else [str(value)]


if __name__ == "__main__":
    main()
