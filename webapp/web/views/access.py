"""Signing in with the access token, where uploading needs one."""

import re

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.web import access
from webapp.web.app_context import current_config

blueprint = Blueprint("access", __name__)

# On this site: browsers read //host, /\host and paths with tabs as other sites. Bounded, because a
# path becomes part of a request line.
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,4000}")


@blueprint.get("/sign-in")
def ask() -> ResponseReturnValue:
    """Show the form for the access token, unless the client has access."""
    if access.has_access():
        return redirect(_next_path(), 303)
    return _page()


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Check the access token, and redirect to the page that asked for it."""
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
    """Return the requested path, or the upload page for any other site."""
    path = request.values.get("next", "")
    return path if _LOCAL_PATH.fullmatch(path) else url_for("uploads.new")
