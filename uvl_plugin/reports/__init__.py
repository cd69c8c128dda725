"""Pages that say what is in a dataset: one HTML file each, from plain values."""
