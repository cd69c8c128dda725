"""How fast this is beside FiftyOne alone: ``make benchmark``, or ``python -m benchmarks``."""
