"""Command lines: thin entry points on everything else."""
