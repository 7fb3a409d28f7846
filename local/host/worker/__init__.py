"""The Python worker: a process that imports the app, tells its host what functions there are, and
runs them.

What it does is what azure-functions-python-worker 4.34 does. `__main__` is its entry point.
"""
