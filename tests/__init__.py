"""Tests of edgefer; a package so that they import what they share as `tests.helpers`."""
