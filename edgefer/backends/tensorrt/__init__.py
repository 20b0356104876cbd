"""TensorRT and TensorRT for RTX: `builder` makes engines, `cache` keeps them, `session` runs them."""
