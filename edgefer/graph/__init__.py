"""ONNX rewriting: from NNCF's export to one graph for each target.

`edgefer.compression.export.int8` has the order of what folds and strips the one export, `edgefer.compression.targets`
that of lowering, linting and stripping for each target, and says where `mirrored` stores half of the weights. What
rewrites takes a model and returns a new one (`bias`, `fold`, `fp16`, `keep_fp32`, `leftovers`, `lowering`, `mirrored`,
`padding`, `requantization`, `strip`, `weights`); the rest looks (`count`, `fusions`, `linter`, `observation`, `ranges`,
`roofline`, `shapes`) or writes another format (`litert`).
"""
