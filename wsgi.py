"""The application that gunicorn loads."""

from webapp import create_app

app = create_app()
