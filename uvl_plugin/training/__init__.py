"""Learning without labels: methods, augmentation, the loop, and the evidence that it helped."""
