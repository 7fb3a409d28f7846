"""Functions apps as somebody would write them who has one queue of mails and one package to send them.

The client secret comes from the environment, where a Key Vault reference of the app's settings puts
it: the plainest usual way, and the one that costs these apps nothing.
"""
