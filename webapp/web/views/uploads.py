"""The upload page."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from webapp.web.access import has_access
from webapp.web.app_context import current_config
from webapp.web.clients import become_owner
from webapp.web.errors import Problem
from webapp.web.forms.address import names_recipe
from webapp.web.forms.upload import UploadForm
from webapp.web.upload_request import MAX_FIELDS

blueprint = Blueprint("uploads", __name__)

# In static/samples, and painted by us: bench/samples.py.
SAMPLES = {"balloons.jpg": "landscape", "moon.jpg": "sideways portrait", "cutout.png": "cut-out"}


@dataclass(frozen=True)
class Refused:
    """Name a file that was not taken, and say why."""

    name: str
    problem: Problem

    @property
    def detail(self) -> str:
        """The reason, for a person."""
        return self.problem.detail


@blueprint.get("/")
def new() -> ResponseReturnValue:
    """Ask for images and for what to make of them; before that, for the access token.

    The recipe is what the address says, or what this browser asked for last.
    """
    if not has_access():
        return redirect(url_for("access.ask", next=request.full_path.rstrip("?")), 303)
    become_owner()  # Tabs that submit at the same time would become two.
    if names_recipe(request.args):
        return page(UploadForm.from_address(request.args))
    form = UploadForm.from_address(_last_recipe())
    form.not_understood, form.left_out = [], []  # Nobody wrote that.
    return page(form)


def _last_recipe() -> MultiDict[str, str]:
    """Read the last recipe of this browser from the cookie that a script wrote."""
    try:
        query = parse_qsl(request.cookies.get("recipe", ""), max_num_fields=MAX_FIELDS)
    except ValueError:
        return MultiDict()
    return MultiDict(query)


def page(form: UploadForm, refused: Sequence[Refused] = ()) -> str:
    """Render the upload page, with what was wrong the first time."""
    return render_template(
        "uploads/new.html",
        form=form,
        samples=SAMPLES,
        limits=current_config(),
        refused=refused,
    )
