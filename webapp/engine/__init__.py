"""One image file in, thumbnails out."""
