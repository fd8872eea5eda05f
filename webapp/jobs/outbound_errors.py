"""Why a request to another server is not made, or failed.

Each reason has a code and a sentence.

No sentence tells the address that a name resolves to, nor more of an answer than its status.
"""

MAX_URL = 2000  # Characters; signed links of object stores have about 1,000.


class RequestRefused(Exception):
    """A request to another server is not made; the same URL is never allowed."""

    code: str
    sentence: str
    field = "url"

    def __init__(self) -> None:
        super().__init__(self.sentence)


class InvalidUrl(RequestRefused):
    """The text is not a URL with a host."""

    code = "url_invalid"
    sentence = (
        "This is not a link to a file. It must begin with https:// or http://, and have at"
        f" most {MAX_URL} characters."
    )


class SchemeRefused(RequestRefused):
    """The URL is neither of http nor of https."""

    code = "url_scheme_refused"
    sentence = "Only links that begin with https:// or http:// are allowed."


class CredentialsRefused(RequestRefused):
    """The URL contains a user name or a password."""

    code = "url_credentials_refused"
    sentence = "A link with a user name or a password is not allowed. Give one without."


class PortRefused(RequestRefused):
    """The port of the URL is neither 80 nor 443."""

    code = "url_port_refused"
    sentence = "Only the ports 80 and 443 are allowed. Give a link without another port."


class AddressRefused(RequestRefused):
    """The host is not on the public Internet."""

    code = "address_refused"
    sentence = "This server makes no requests to that host. Give a link to the public Internet."


class RequestFailed(Exception):
    """A request was made, or its host looked up, and that failed."""

    code: str
    sentence: str
    may_pass = False  # True where a second try can help,
    retry_after: int | None = None  # at the earliest after so many seconds.

    def __init__(self) -> None:
        super().__init__(self.sentence)


class HostUnknown(RequestFailed):
    """The name of the host does not resolve."""

    code = "host_unknown"
    sentence = "There is no host of this name. Check the link."


class ResolverFailed(HostUnknown):
    """The name of the host cannot be resolved at the moment."""

    may_pass = True


class Unreachable(RequestFailed):
    """There was no connection, or it broke off, or what came was not HTTP."""

    code = "url_unreachable"
    sentence = "The other server cannot be reached, or it broke off. Try again later."
    may_pass = True


class RequestTimedOut(RequestFailed):
    """The server was silent for too long, or all of it took too long."""

    code = "url_timed_out"
    sentence = "The other server took too long. Try again later."
    may_pass = True


class TlsFailed(RequestFailed):
    """The server has no certificate for its name that we trust."""

    code = "url_tls_failed"
    sentence = "The other server has no valid certificate for this name."


class TooManyRedirects(RequestFailed):
    """The server redirects on and on."""

    code = "too_many_redirects"
    sentence = "This link redirects too often. Give the last one."


class EncodingRefused(RequestFailed):
    """The body is compressed, though we asked for it as it is."""

    code = "url_encoding_refused"
    sentence = "The other server sends this file only compressed. Give another link."


class Answered(RequestFailed):
    """The server answered with a status other than 200."""

    code = "url_answered"
    sentence = "The other server answered {status} instead of the file."

    def __init__(self, status: int, retry_after: int | None) -> None:
        self.sentence = self.sentence.format(status=status)
        super().__init__()
        self.may_pass = status in (408, 425, 429) or status >= 500
        self.retry_after = retry_after
