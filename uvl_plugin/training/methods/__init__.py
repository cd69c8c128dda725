"""Methods of self-supervised training, one file each."""
