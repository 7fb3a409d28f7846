"""Runs the functions of a function_app.py where Azure Functions Core Tools is not installed.

What it imitates, and the sources, are in the module docstrings; `python -m local.host --help`.
"""
