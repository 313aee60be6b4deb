"""From annotation files to batches: categories, annotations, episodes, transforms, collation, data module."""
