"""API tokens: what a program sends, and the token that it is."""

import logging
import re
import secrets
from hashlib import sha256

from webapp.jobs.owners import ApiToken
from webapp.jobs.store import Store

logger = logging.getLogger(__name__)

# People and scanners of leaked secrets recognise a token by its beginning.
PREFIX = "thumb_"
SECRET_BYTES = 32
_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}".encode())  # 32 bytes in base64url.
USE_SECONDS = 60.0  # How exactly the last use is known: a write for each read would be slow.


def create_token(
    store: Store, name: str, jobs_per_hour: int | None = None, mb_per_hour: int | None = None
) -> str | None:
    """Create a token and return its text; None if a valid one has this name.

    Only the digest is stored, so this is the only time that the text is known.
    """
    text = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    is_added = store.tokens.add(name, _digest(text.encode()), jobs_per_hour, mb_per_hour)
    return text if is_added else None


def revoke_token(store: Store, name: str) -> bool:
    """Revoke the valid token of a name; return False if there is none.

    Its deliveries that wait are due then, and end: nothing is sent for a token that is not valid.
    """
    with store.db.transaction():
        token = store.tokens.named(name)
        if token is None:
            return False
        store.tokens.revoke(name)
        store.deliveries.hasten(token.owner)
    return True


def find_token(store: Store, text: bytes) -> ApiToken | None:
    """Return the valid token with this text, or None, and note that it is used."""
    return _note_use(store, store.tokens.find(_digest(text)))


def find_token_by_id(store: Store, token_id: str) -> ApiToken | None:
    """Return the valid token with an id, or None, and note that it is used."""
    return _note_use(store, store.tokens.valid(token_id))


def _note_use(store: Store, token: ApiToken | None) -> ApiToken | None:
    if token and (token.last_used is None or abs(store.now() - token.last_used) >= USE_SECONDS):
        try:
            store.tokens.note_use(token.id)
        except Exception:  # A full disk, for example: what is asked for may work all the same.
            logger.exception("cannot note the use of a token")
    return token


def is_api_token(text: bytes) -> bool:
    """Return whether a text has the form of our tokens."""
    return bool(_SHAPE.fullmatch(text))


def _digest(text: bytes) -> bytes:
    """Return what is stored of a token.

    One fast hash is enough: it has 256 random bits, which no one can try, whatever a try costs. A
    password needs a slow one. Its row is found by an index, whose timing tells only about the hash.
    """
    return sha256(text).digest()
