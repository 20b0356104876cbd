"""NVIDIA's driver by either of its Python bindings."""
