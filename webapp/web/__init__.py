"""Flask: pages, fragments and routes."""
