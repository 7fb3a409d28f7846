"""Runs the functions of a function_app.py on machines without Azure Functions Core Tools.

Three kinds of processes, as in Azure:

- the platform (`supervisor`) keeps a number of instances running and stands for Azure itself;
- an instance is one host process (`instance`): HTTP, queue listeners, timers;
- each host has one Python worker process (`worker`), which imports the app and runs its functions.

What the host does is judged by what was seen in azure-functions-host 4.1037 with the Python worker
4.34 and Storage.Queues 5.3.10 (section 11 of the project's notes on Azure Functions). Where it does
something else on purpose, docs/local-stack.md says so under "What differs from Azure". The module
docstrings say what each module imitates, with the sources. See `python -m local.host --help`.
"""
