"""What Postroom is measured against: one driver for each way to send a mail.

A driver is a process of its own, since packages share interpreters and memory otherwise; those of
the peers run in the virtual environment of requirements-bench.txt. They send the same mails to the
same simulator, and nothing of a peer is changed (`microsoft` says how they find the simulator).
"""
