"""Export a bundle for other programs: one file that maps a picture to probabilities."""
