"""How the page looks: system fonts, calm colours, two columns that become one on a narrow screen."""

from __future__ import annotations

import gradio as gr

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

CSS = """
.gradio-container { max-width: 1320px !important; width: 100% !important; margin: 0 auto !important; }
.page-head { align-items: center; }
.page-head h1 { margin: 0; font-size: 1.6rem; font-weight: 650; }
.page-head p { margin: 0.25rem 0 0; }
.card { background: var(--block-background-fill); border: 1px solid var(--border-color-primary); border-radius: 10px;
  padding: 1.1rem 1.25rem 1.25rem; gap: 0.9rem; }
.card h2 { margin: 0; font-size: 1.12rem; font-weight: 650; display: flex; align-items: center; gap: 0.55rem; }
.card h3 { margin: 0.5rem 0 0; font-size: 1rem; font-weight: 600; }
.card .help { margin: 0.3rem 0 0; color: var(--body-text-color-subdued); font-size: 0.92rem; }
.card .number { display: inline-grid; place-items: center; width: 1.6rem; height: 1.6rem; border-radius: 50%;
  background: #0f766e; color: white; font-size: 0.92rem; flex: none; }
.card .icon-wrap { display: none; }
.said { margin: 0; line-height: 1.45; overflow-wrap: anywhere; }
.said.faint { color: var(--body-text-color-subdued); padding: 4rem 0; text-align: center; }
.said.problem { border-left: 4px solid #c2410c; padding: 0.5rem 0.75rem; background: rgb(194 65 12 / 0.1); }
.bar { height: 0.55rem; margin: 0.6rem 0; border-radius: 1rem; background: var(--border-color-primary);
  overflow: hidden; }
.bar div { height: 100%; background: #0f766e; }
.card .form { border: 0; box-shadow: none; background: none; }
#name { padding: 0 !important; border: 0 !important; box-shadow: none !important; }
.card .html-container, .page-head .html-container { padding: 0 !important; }
#support .file-preview-holder, #video .file-preview-holder { padding-right: 4.5rem; }
img.live { width: 100%; border-radius: 6px; }
footer { display: none !important; }
"""


def theme() -> gr.themes.Base:
    """Gradio's own theme without fonts from elsewhere."""
    return gr.themes.Default(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=_FONTS,
        font_mono=_MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        border_color_primary="*neutral_300",
        input_placeholder_color="*neutral_500",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
    )
