"""Crops faces out of whole pictures as training data, as `predict` would, in folders by label."""
