"""Many runs in one table: read (runs), told apart (rows), averaged (cells), explained (notes), written (files, plot)."""
