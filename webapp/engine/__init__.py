"""Make thumbnails of one image file. Knows no Flask and no database.

The web process reads headers (`identify`), plans sizes (`geometry`) and loads `decoder`, the
caller's side of the decode child. The rest runs in the child, except that workers draw placeholders
(`thumbhash`).
"""
