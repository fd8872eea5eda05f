"""Make thumbnails of one image file. Knows no Flask and no database.

The web process loads only `identify` and what it imports. `decoder` is the caller's side of the
decode child; the other modules run in the child.
"""
