"""The ledger of papers' claims, checked by counting, arithmetic and training."""
