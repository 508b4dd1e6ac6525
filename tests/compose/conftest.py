"""Fixtures of the compose tests: the words of the system tests, and a stack of containers for the tests of one file."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
