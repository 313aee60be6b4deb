"""Mini-Ref-Synthetic, the embedded benchmark: made on disk from a seed (protocol.md section 6)."""

from fsrvos.data.synthetic.generator import generate

__all__ = ["generate"]
