"""Run one function in a limited child process. Knows nothing of images."""
