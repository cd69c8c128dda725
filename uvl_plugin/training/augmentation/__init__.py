"""Augmentation presets, one file each."""
