"""Measurements of a bundle's networks on a device: accuracy, latency, memory; as JSON, table and report."""
