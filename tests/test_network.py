"""The guard of conftest.py itself: it must block, and it must let loopback through."""

import socket
import urllib.request

import pytest


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_connections_to_other_machines_are_blocked(method):
    with socket.socket() as s, pytest.raises(RuntimeError, match=r"192\.0\.2\.1.*loopback"):
        getattr(s, method)(("192.0.2.1", 80))


def test_datagrams_to_other_machines_are_blocked():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        for arguments in ((b"x", ("192.0.2.1", 9)), (b"x", 0, ("192.0.2.1", 9))):
            with pytest.raises(RuntimeError, match="loopback"):
                s.sendto(*arguments)
    with socket.socket(socket.AF_INET6) as s, pytest.raises(RuntimeError, match="loopback"):
        s.connect(("2001:db8::1", 80))


def test_name_lookups_are_blocked():
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.gethostbyname("example.org")
    with pytest.raises(RuntimeError, match=r"example\.org"):
        urllib.request.urlopen("http://example.org", timeout=1)


def test_loopback_works():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client:
            connection, _ = server.accept()
            with connection:
                client.sendall(b"ping")
                assert connection.recv(4) == b"ping"
