"""The parts of the page, one function each, in the order in which they stand there."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from fsrvos.app import wording
from fsrvos.app.easel import COLOUR, LONG_SIDE, OPACITY
from fsrvos.app.limits import Limits

_DROP_HEIGHT = 120


@dataclass
class SupportStep:
    """Step 1: files, the painting tool with its buttons, and the object's name."""

    files: gr.File
    easel: gr.Column
    told: gr.HTML
    editor: gr.ImageEditor
    mark: gr.Textbox
    back: gr.Button
    on: gr.Button
    ready_mask: gr.UploadButton
    name: gr.Textbox


@dataclass
class VideoStep:
    """Step 2: the file, and what is said about it."""

    file: gr.File
    about: gr.HTML


@dataclass
class PhraseStep:
    """Step 3: the phrases and the buttons that start and end a run."""

    phrases: gr.Textbox
    go: gr.Button
    stop: gr.Button


@dataclass
class Result:
    """The right column."""

    status: gr.HTML
    part: gr.Column
    overlay: gr.Video
    download: gr.DownloadButton
    curve: gr.Image
    support_part: gr.Column
    support: gr.Image


def head() -> gr.Button:
    """Title, and the button that fills in an example."""
    with gr.Row(elem_classes="page-head"):
        gr.HTML(wording.HEAD, padding=False)
        return gr.Button("Fill in an example", elem_id="example", scale=0, min_width=200)


def support_step(limits: Limits, reads_support: bool) -> SupportStep:
    """What the object looks like."""
    colour = (f"rgb({', '.join(map(str, COLOUR))})", OPACITY)
    help_text = wording.support_help(limits) if reads_support else wording.NO_SUPPORT
    with gr.Column(elem_classes="card"):
        gr.HTML(wording.step(1, "What the object looks like", help_text), padding=False)
        files = gr.File(
            label="Pictures or a clip", show_label=False, file_count="multiple", file_types=["image", "video"],
            height=_DROP_HEIGHT, elem_id="support",
        )  # fmt: skip
        with gr.Column(visible=False) as easel:
            told = gr.HTML(elem_id="painting", padding=False)
            editor = gr.ImageEditor(
                label="Paint the object", show_label=False, sources=(), transforms=(), layers=False, buttons=[],
                format="png", brush=gr.Brush(default_size=24, color_mode="fixed", colors=[colour]),
                canvas_size=(LONG_SIDE, LONG_SIDE), elem_id="editor",
            )  # fmt: skip
            # Which frame the tool was given: sent to the page with its picture, and back with its paint.
            mark = gr.Textbox(visible="hidden", elem_id="mark-of-frame")
            with gr.Row():
                back = gr.Button("Previous frame", size="sm", elem_id="back")
                on = gr.Button("Next frame", size="sm", elem_id="next")
                ready = gr.UploadButton("Use a ready mask", size="sm", file_types=["image"], elem_id="mask")
        name = gr.Textbox(
            label="What it is called", placeholder="a brown dog", max_length=300, elem_id="name",
            info="Left empty, the first phrase of step 3 is used.",
        )  # fmt: skip
    return SupportStep(files, easel, told, editor, mark, back, on, ready, name)


def video_step(limits: Limits) -> VideoStep:
    """Where to look for it. No video player: gradio's fetches a cutting tool from elsewhere."""
    with gr.Column(elem_classes="card"):
        gr.HTML(wording.step(2, "The video", wording.video_help(limits)), padding=False)
        file = gr.File(
            label="Video",
            show_label=False,
            file_types=["video", "image"],
            height=_DROP_HEIGHT,
            elem_id="video",
        )
        about = gr.HTML(visible=False, elem_id="about", padding=False)
    return VideoStep(file, about)


def phrase_step() -> PhraseStep:
    """What to find."""
    with gr.Column(elem_classes="card"):
        gr.HTML(
            wording.step(3, "What to find", "One phrase a line; each gets a colour of its own."),
            padding=False,
        )
        phrases = gr.Textbox(
            label="Phrases", show_label=False, lines=3, max_length=2000, container=False, elem_id="phrases",
            placeholder="the dog on the left\nthe dog that runs to the right",
        )  # fmt: skip
        with gr.Row():
            go = gr.Button("Segment", variant="primary", elem_id="go")
            stop = gr.Button("Stop", interactive=False, elem_id="stop")
    return PhraseStep(phrases, go, stop)


def result() -> Result:
    """What came of it; empty at first."""
    with gr.Column(scale=1, min_width=360, elem_classes="card"):
        gr.HTML("<h2>Result</h2>", padding=False)
        status = gr.HTML(wording.EMPTY, elem_id="status", padding=False)
        with gr.Column(visible=False, elem_id="results") as part:
            overlay = gr.Video(
                label="Masks", show_label=False, interactive=False, autoplay=True, loop=True, buttons=[],
                elem_id="overlay",
            )  # fmt: skip
            download = gr.DownloadButton("Download the masks (zip)", elem_id="download")
            gr.HTML("<h3>Score over time</h3>", padding=False)
            curve = gr.Image(label="Score", show_label=False, interactive=False, buttons=[], elem_id="curve")
            with gr.Column(visible=False) as support_part:
                gr.HTML("<h3>The object as the network was shown it</h3>", padding=False)
                support = gr.Image(
                    label="Support", show_label=False, interactive=False, buttons=[], elem_id="shown"
                )
    return Result(status, part, overlay, download, curve, support_part, support)
