"""What runs a bundle's networks: one module for each runtime, the same three verbs (activate, infer, deactivate)."""
