"""The address that limits count by."""

import pytest
from flask import Flask

from webapp.web.clients import client_name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),  # A UNIX socket has none.
        ("unix:", ""),
    ],
)
def test_client_is_named_by_its_address(app: Flask, address: str, name: str) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        assert client_name() == name
