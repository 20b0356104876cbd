"""Predictions over HTTP, and a page with the live picture (extra `live`). `app.application` serves both."""
