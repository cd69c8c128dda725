"""What to label: pickers, one file each, and how many of each cluster."""
