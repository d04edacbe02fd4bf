"""No test reaches the network, and the number of threads is the same on every machine."""

import ipaddress
import os
import socket

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before anything imports torch

ADDRESS_METHODS = ("connect", "connect_ex", "sendto")


class NetworkBlocked(RuntimeError):
    """A test tried to leave this machine. Not an OSError, which code may catch and go on."""


def is_loopback(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(host: object) -> None:
    if not is_loopback(host):
        raise NetworkBlocked(f"{host!r}: tests may reach loopback addresses only")


def guarded_method(name: str):
    original = getattr(socket.socket, name)

    def method(self: socket.socket, *args):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            require_loopback(args[-1][0])  # the address is the last argument of all three
        return original(self, *args)

    return method


def guarded_lookup(name: str):
    original = getattr(socket, name)

    def lookup(host, *args, **kwargs):
        require_loopback(host)
        return original(host, *args, **kwargs)

    return lookup


@pytest.fixture(autouse=True)
def block_network():
    """Let every socket and name look-up but loopback ones raise NetworkBlocked."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ADDRESS_METHODS:
            patch.setattr(socket.socket, name, guarded_method(name))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, guarded_lookup(name))
        yield


@pytest.fixture(autouse=True)
def keep_the_number_of_threads():
    """Give PyTorch back the threads that a test has taken or left it, as joined processes do."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
