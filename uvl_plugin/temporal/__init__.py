"""Networks that learn from the frame vectors of videos what happens in them, one file each."""
