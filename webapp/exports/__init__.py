"""What people download: zips, markup and comparisons."""
