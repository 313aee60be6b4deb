"""Pure tensor functions: boxes and losses."""
