"""Similarity indexes on disk: vectors by id, with a structure of FAISS to find the nearest fast."""
