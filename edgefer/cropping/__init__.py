"""Faces cut out of whole pictures, as training data: what `predict` would judge of each, in folders by label."""
