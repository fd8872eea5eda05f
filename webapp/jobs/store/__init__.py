"""The rows: the only SQL of the application."""
