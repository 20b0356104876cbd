"""Projections for a device that is not available: accuracy of its graphs, and times from data sheets."""
