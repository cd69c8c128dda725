"""From the frames of a video to one vector, one file each."""
