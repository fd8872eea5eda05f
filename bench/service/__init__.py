"""Measure the whole application, over HTTP, beside thumbor."""
