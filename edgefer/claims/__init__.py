"""The ledger of papers' claims: what each document states, and what counting and arithmetic say of it."""
