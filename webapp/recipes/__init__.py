"""Values that say what to make: outputs, recipes and presets."""
