"""Metrics, predictions over a split, latency, and corruption robustness."""
