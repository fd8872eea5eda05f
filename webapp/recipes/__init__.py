"""What is asked for: outputs and recipes, as values."""
