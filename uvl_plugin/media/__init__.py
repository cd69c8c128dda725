"""Media files to pixels."""
