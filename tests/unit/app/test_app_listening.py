"""Where the page can be served, asked of the system's own sockets."""

import socket

import pytest

from fsrvos.app.listening import check_address
from fsrvos.errors import UserError


def test_a_free_port_can_be_listened_at():
    port = check_address("127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert check_address("127.0.0.1", port) == port
    assert check_address("localhost", None) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "127.0.0.2"])
def test_a_taken_port_is_told(host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f":{port} is taken; say port=NUMBER"):
            check_address(host, port)


@pytest.mark.parametrize("port", [-1, 65536, "http", "80", 1.5, True])
def test_ports_are_whole_numbers(port):
    with pytest.raises(UserError, match="port must be a whole number from 0 to 65535"):
        check_address("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "x" * 80 + ".invalid", "", None, 5])
def test_hosts_are_addresses_of_this_machine(host):
    with pytest.raises(UserError, match="address of this machine"):
        check_address(host, None)
