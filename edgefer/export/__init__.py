"""A bundle for a program that is not edgefer: one file that takes a picture and returns probabilities."""
