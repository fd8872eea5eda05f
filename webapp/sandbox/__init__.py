"""Run one function in a confined child process. Knows nothing of images.

`client` is the caller's side; `server` forks and confines the children.
"""
