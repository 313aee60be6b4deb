"""Whether the page can be served at an address, told before anything is loaded."""

from __future__ import annotations

import errno
import socket

from fsrvos.errors import UserError

_LAST_PORT = 65535
# Gradio tries every port here first, wherever it then listens.
_LOOPBACK = "127.0.0.1"


def check_address(host: object, port: object) -> int | None:
    """Checks where the page is to be served.

    Args:
        host: Address or name of this machine.
        port: Port; 0: a free one; None: a free one of gradio's own range.

    Returns:
        The port; of 0, one that is free.

    Raises:
        UserError: No such address here, no such port, or one that is taken.
    """
    if not isinstance(host, str) or not host:
        raise UserError(f"host must be an address of this machine, such as 127.0.0.1, got {host!r}")
    if port is not None and (
        not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= _LAST_PORT
    ):
        raise UserError(
            f"port must be a whole number from 0 to {_LAST_PORT}, or null for a free one, got {port!r}"
        )
    bound = _bound(host, port or 0)
    if port:
        _bound(_LOOPBACK, port)
    return None if port is None else bound


def _bound(host: str, port: int) -> int:
    """The port to which one could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            # As servers do: the connections of one that has just ended do not count.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            # A port can be bound beside a server that does the same, but not listened to.
            tried.listen()
            number: int = tried.getsockname()[1]
            return number
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise UserError(
                f"{host}:{port} is taken; say port=NUMBER for a free one, or port=null"
            ) from error
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM):
            raise UserError(
                f"{host}:{port} may not be used; say port=NUMBER above 1023, or port=null"
            ) from error
        raise UserError(
            f"host={host} is no address of this machine; say host=127.0.0.1 for this machine alone"
        ) from error
