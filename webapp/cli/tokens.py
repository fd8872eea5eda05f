"""Commands for API tokens."""

from dataclasses import asdict
from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from webapp.cli.output import as_json, write_json, write_table
from webapp.jobs.names import clean_job_name
from webapp.jobs.owners import ListedToken
from webapp.jobs.tokens import create_token, revoke_token
from webapp.web.app_context import current_jobs

commands = AppGroup("tokens", help="Manage the API tokens of programs.")

_HEADING = ("Name", "Id", "Created", "Last used", "Jobs/hour", "MB/hour", "Jobs", "Revoked")


@commands.command()
@click.argument("name")
@click.option("--jobs-per-hour", type=click.IntRange(1), help="Instead of what the settings say.")
@click.option("--mb-per-hour", type=click.IntRange(1), help="Instead of what the settings say.")
def create(name: str, jobs_per_hour: int | None, mb_per_hour: int | None) -> None:
    """Create a token called NAME and print it.

    It is printed this once: only its hash is stored.
    """
    if not name or name != clean_job_name(name):
        raise click.UsageError("Give a name of 1 to 100 visible characters.")
    text = create_token(current_jobs().store, name, jobs_per_hour, mb_per_hour)
    if text is None:
        raise click.ClickException(f"There is a token called {name}. Revoke it, or take another.")
    click.echo(text)  # Alone on standard output, so that it can be piped.
    click.echo("Keep it now: it is not shown again.", err=True)
    click.echo("Programs send it as: Authorization: Bearer <token>", err=True)


@commands.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List all tokens, with their limits, jobs and last use. Times are UTC."""
    found = current_jobs().store.tokens.all()
    if as_json:
        write_json([_facts(token) for token in found])
    else:
        write_table([_HEADING, *map(_row, found)])


@commands.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Revoke the token called NAME at once.

    Its jobs stay until they expire, and tell and fetch nothing more. Then it is deleted.
    """
    if not revoke_token(current_jobs().store, name):
        raise click.ClickException(f"There is no valid token called {name}.")


@commands.command()
@click.argument("name")
def secret(name: str) -> None:
    """Print the secret that signs the webhooks of the token called NAME."""
    click.echo(current_jobs().store.webhook_secrets.current(_owner(name)))


@commands.command("rotate-secret")
@click.argument("name")
def rotate_secret(name: str) -> None:
    """Replace the secret of the token called NAME, and print the new one.

    The one before signs beside it for 24 hours.
    """
    click.echo(current_jobs().store.webhook_secrets.rotate(_owner(name)))


def _owner(name: str) -> str:
    """Return the owner that the valid token of this name is."""
    token = current_jobs().store.tokens.named(name)
    if token is None:
        raise click.ClickException(f"There is no valid token called {name}.")
    return token.owner


def _facts(token: ListedToken) -> dict[str, object]:
    times = {name: _time(getattr(token, name)) for name in ("created", "last_used", "revoked")}
    return asdict(token) | times


def _row(token: ListedToken) -> tuple[str, ...]:
    return (
        token.name,
        token.id,
        _time(token.created) or "",
        _time(token.last_used) or "never",
        str(token.jobs_per_hour or "default"),
        str(token.mb_per_hour or "default"),
        str(token.jobs),
        _time(token.revoked) or "",
    )


def _time(seconds: float | None) -> str | None:
    """Write a time as ISO 8601, to the second; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
