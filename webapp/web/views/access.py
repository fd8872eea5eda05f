"""Signing in with the access token or an API token."""

import re

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.web import access

blueprint = Blueprint("access", __name__)

# On this site: browsers read //host, /\host and paths with tabs as other sites. Not above its path:
# they read %2e as a dot. Bounded, because a path becomes part of a request line.
_LOCAL_PATH = re.compile(r"(?![^?#]*/(?:\.|%2[eE]){2}(?:[/?#]|$))/(?!/)[!-\[\]-~]{0,4000}")


@blueprint.get("/sign-in")
def ask() -> ResponseReturnValue:
    """Show the form for a token."""
    return _page()


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Check the token, and redirect to the page that asked for it."""
    if not access.sign_in(request.form.get("token", "").strip().encode()):
        return _page("This token is unknown or was revoked."), 401
    return redirect(_next_path(), 303)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Sign the browser out.

    It still owns the jobs that it made itself, but must sign in again to change them where access
    is restricted.
    """
    access.sign_out()
    return redirect(url_for("uploads.new" if access.has_access() else "access.ask"), 303)


def _page(error: str = "") -> str:
    return render_template(
        "access/sign_in.html",
        form=FlaskForm(),
        next_path=_next_path(),
        has_access=access.has_access(),
        error=error,
    )


def _next_path() -> str:
    """Return the requested path, or the upload page for any other site or application."""
    path = request.values.get("next", "")
    is_ours = _LOCAL_PATH.fullmatch(path) and path.startswith(f"{request.script_root}/")
    return path if is_ours else url_for("uploads.new")
