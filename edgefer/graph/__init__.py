"""ONNX rewriting: from NNCF's export to one graph for each target.

The order is `weights.fold_weights`, `fold.fold_batchnorm`, `slim.slim`, then `lower.lower` for each target and
`lint.check` on what comes out. Every function takes a model and returns a new one.
"""
