"""Render results: terminal, HTML page, Markdown, CSV. Nothing here measures."""
