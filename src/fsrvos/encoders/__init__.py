"""Image backbones and text encoders."""
