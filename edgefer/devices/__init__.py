"""Machines and devices: descriptions and sensors."""
