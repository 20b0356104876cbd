"""A result shown: terminal, HTML page, Markdown, CSV. Nothing here measures."""
