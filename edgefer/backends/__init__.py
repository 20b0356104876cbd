"""Runtimes for a bundle's networks. `base` has the interface, `registry` the list; each other module is one runtime."""
