"""One module or package for each container: all that we know about it.

Each has `matches(head)`, for the first bytes of a file, and `read_header(file, limits)`. Those that
must be checked before Pillow opens a file have `check(file, limits)`. Those that a thumbnail can be
a copy of have `strip(file)`. Where Pillow's Python code reads a container wrongly, `Reader`
corrects it, for headers and pixels alike.
"""
