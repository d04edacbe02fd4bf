"""train_gan.py on two nodes: network namespaces with addresses, names and a core of their own.

All they share is a folder, as the nodes of a cluster do.
"""

import contextlib
import os
import signal
import subprocess
import time

import pytest
from fault_case import wait_for
from torchrun_case import (
    AUGMENTED,
    RECIPE,
    STEPS,
    launched,
    run_of,
    status_of,
    train,
    wait_for_state,
)
from train_gan_case import make_pictures

from engine.record import read_record

pytestmark = pytest.mark.slow
CORES = sorted(os.sched_getaffinity(0))[:2]
ADDRESSES = {"node-a": "10.77.0.1", "node-b": "10.77.0.2"}
ENTER = 'hostname "$1"; mount --bind "$2" /etc/hosts; shift 2; exec "$@"'
STORES = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """What goes before a command so that it runs on a node, by the node's name."""
    if len(CORES) < 2:
        pytest.skip("a core for each node is needed")
    spaces = {name: f"irodori-{os.getpid()}-{name}" for name in ADDRESSES}
    hosts = tmp_path_factory.mktemp("etc") / "hosts"
    lines = [f"{address} {name}" for name, address in ADDRESSES.items()]
    hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    with contextlib.ExitStack() as stack:
        try:
            for space in spaces.values():
                ip("netns", "add", space)
                stack.callback(ip, "netns", "del", space)
            connect(spaces)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', None) or error}")
        yield {
            name: (
                *("ip", "netns", "exec", space, "unshare", "--uts", "--mount"),
                *("sh", "-c", ENTER, "sh", name, hosts, "taskset", "-c", core),
            )
            for (name, space), core in zip(spaces.items(), CORES, strict=True)
        }


def connect(spaces):
    """Lay a cable between the nodes."""
    a, b = spaces.values()
    ip("link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b)
    for name, space in spaces.items():
        ip("-n", space, "addr", "add", f"{ADDRESSES[name]}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", space, "link", "set", device, "up")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("data") / "faces.zip")


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """The digests of a run of two processes on one node."""
    prefix = ("taskset", "-c", ",".join(map(str, CORES)))
    outdir = tmp_path_factory.mktemp("undisturbed")
    return train(data, outdir, *RECIPE, *AUGMENTED, prefix=prefix).digests


@pytest.fixture
def start(nodes, data, tmp_path):
    """Start a node's half of a training."""
    with contextlib.ExitStack() as stack:

        def start(name, *more, restarts=0, **env):
            launcher = ["--nnodes", 2, "--nproc-per-node", 1, "--max-restarts", restarts]
            launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "node-a:29400"]
            launcher += ["--rdzv-id", "one"]
            args = [*RECIPE, *AUGMENTED, *more]
            prefix, env = nodes[name], {**STORES, **env}
            launch = launched(
                data, tmp_path / "runs", *args, launcher=launcher, prefix=prefix, **env
            )
            return stack.enter_context(launch)

        yield start


def assert_done(launches, outdir, undisturbed):
    """The first process is on one of the nodes; there it says what all came to."""
    assert [launch.wait() for launch in launches] == [0, 0], launches[0].complaints
    assert sorted(launch.digests for launch in launches) == [[], undisturbed]
    record = read_record(run_of(outdir))
    assert (record["status"], record["step"]) == ("done", STEPS)
    assert record["host"] in ADDRESSES


def test_two_nodes_are_one(start, undisturbed, tmp_path):
    launches = [start(name) for name in ADDRESSES]
    assert_done(launches, tmp_path / "runs", undisturbed)


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_killed_process_on_either_node(start, undisturbed, tmp_path, name):
    fault = {name: "step@6=kill"}
    launches = [start(each, restarts=1, FAULT=fault.get(each, "")) for each in ADDRESSES]
    assert_done(launches, tmp_path / "runs", undisturbed)
    print(f"{launches[0].seconds:.1f} s in all")


def test_a_node_that_goes_down_and_comes_back(start, undisturbed, tmp_path):
    """The one that stays waits for it: torchrun counts no restart on the node that is new."""
    outdir = tmp_path / "runs"
    launches = [start(name, restarts=3) for name in ADDRESSES]
    wait_for_state(launches[0], outdir)
    launches[1].signal_all(signal.SIGKILL)
    launches[1].wait()
    time.sleep(2)
    launches[1] = start("node-b", restarts=3)
    assert_done(launches, outdir, undisturbed)


def test_a_stop_request_to_both(start, undisturbed, tmp_path):
    outdir = tmp_path / "runs"
    launches = [start(name) for name in ADDRESSES]
    wait_for_state(launches[0], outdir)
    for launch in launches:
        launch.process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    wait_for(lambda: status_of(outdir) == "preempted")
    print(f"{time.monotonic() - asked:.1f} s until RUN.json says so")
    for launch in launches:
        launch.wait()
        assert "E-TRAIN-STOPPED" in launch.errors[0] and len(launch.errors) == 1
    again = [start(name, "--resume", "auto") for name in ADDRESSES]
    assert [launch.wait() for launch in again] == [0, 0]
    assert max(launch.digests for launch in again)[-1] == undisturbed[-1]
