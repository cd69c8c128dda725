"""Living with clusters: levels of trust, edits, comparison, explanation."""
