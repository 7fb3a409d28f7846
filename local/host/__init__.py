"""Runs the functions of a function_app.py on machines without Azure Functions Core Tools.

The module docstrings say what each module imitates, with the sources. See `python -m local.host
--help`.
"""
