"""Algorithms from vectors to clusters, one file each."""
