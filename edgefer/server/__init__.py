"""Predictions over HTTP, and the page that shows a live picture (extra `live`). `app.application` is both."""
