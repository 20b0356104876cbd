"""Tests of edgefer; a package, so that they can import shared code as `tests.helpers`."""
