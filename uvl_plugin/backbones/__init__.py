"""Networks from pixels to a vector, one file a family."""
