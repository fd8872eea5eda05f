"""Parts of the comparison of our pictures with those of other programs."""
