"""How good and how fast a network is: metrics, predictions over a split, latency, and corruption robustness."""
