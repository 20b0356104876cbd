"""Shared by several test files."""
