"""One module for each container: how it is told, walked, checked, measured and stripped."""
