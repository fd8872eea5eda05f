"""Signing in with the access token, where uploading needs one."""

import re

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.web import access
from webapp.web.app_context import current_config

blueprint = Blueprint("access", __name__)

# Of this site: browsers read //host, /\host and what has tabs in it as another one's.
# No longer than a request line may be, as it becomes one.
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,4000}")


@blueprint.get("/sign-in")
def ask() -> ResponseReturnValue:
    """Ask for the access token, unless it is known already."""
    if access.has_access():
        return redirect(_next_path(), 303)
    return _page()


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Let somebody in who knows the access token, and lead back to where they were going."""
    sent = request.form.get("token", "").strip().encode()
    if not access.is_token(sent, current_config().access_token):
        return _page("This is not the access token."), 401
    access.sign_in()
    return redirect(_next_path(), 303)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Sign the browser out.

    It still owns the jobs that it made, but must sign in again to change them.
    """
    session.pop("access", None)
    return redirect(url_for("access.ask"), 303)


def _page(error: str = "") -> str:
    return render_template(
        "access/sign_in.html", form=FlaskForm(), next_path=_next_path(), error=error
    )


def _next_path() -> str:
    """Give the path that is asked for; for anything that may lead elsewhere, the upload page."""
    path = request.values.get("next", "")
    return path if _LOCAL_PATH.fullmatch(path) else url_for("uploads.new")
