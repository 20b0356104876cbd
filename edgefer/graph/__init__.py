"""ONNX rewriting: from NNCF's export to one graph for each target.

`edgefer.compression.export.int8` has the order of what folds and slims the one export, `edgefer.compression.targets`
that of `lower.lower`, `lint.check` and `slim.slim` for each target. What rewrites takes a model and returns a new one
(`bias`, `fold`, `half`, `leave`, `lower`, `padding`, `slim`, `weights`); the rest looks (`count`, `fusions`, `lint`,
`observe`, `ranges`, `roofline`).
"""
