"""Two results compared, without measuring: what differs, how sure that is, and whether a condition holds."""
