"""Few-shot referring video object segmentation: a phrase and a few annotated frames of another clip give masks."""
