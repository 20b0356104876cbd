"""Compares two results without measuring: differences, their uncertainty, and conditions."""
