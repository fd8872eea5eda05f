"""Files that set up other programs to make jobs on this server."""

from flask import Blueprint, Response, jsonify, request, url_for

from webapp.exports.integrations import describe_sharex_uploader
from webapp.recipes.outputs import combine
from webapp.recipes.presets import preset
from webapp.web.app_context import current_config, current_jobs

blueprint = Blueprint("integrations", __name__, url_prefix="/docs")


@blueprint.get("/sharex.sxcu")
def sharex() -> Response:
    """Send a custom uploader for ShareX that makes the `preset`.

    Raises InvalidRecipe.
    """
    chosen = preset(request.args.get("preset", "square"))
    combine(chosen.recipe.outputs, current_jobs().recipe_limits)  # Or no upload would succeed.
    response = jsonify(
        describe_sharex_uploader(
            chosen,
            url_for("api.create_job", _external=True),
            needs_token=bool(current_config().access_token),
        )
    )
    response.headers["Content-Disposition"] = f"attachment; filename=thumbnails-{chosen.name}.sxcu"
    return response
