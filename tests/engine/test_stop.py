"""Requests to stop: which signals are heard, when the second acts, who is left alone."""

import os
import signal
import threading
import time

import pytest
from fault_case import in_child

import runtime
from engine import stop as stop_module
from engine.stop import StopRequest, TrainingStopped, stopped_by

INT, TERM, HUP, USR1 = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)


def handlers():
    return [signal.getsignal(number) for number in (INT, TERM, HUP, USR1)]


@pytest.mark.parametrize("number", [INT, TERM, HUP, USR1])
def test_a_signal_is_a_wish_and_nothing_else(number):
    before = handlers()
    with StopRequest() as stop:
        assert stop.requested is None
        os.kill(os.getpid(), number)
        assert stop.requested == number
    assert handlers() == before


def test_handlers_come_back_after_an_error():
    before = handlers()
    with pytest.raises(KeyError), StopRequest():
        raise KeyError
    assert handlers() == before


IMPATIENT = [(INT, INT), (INT, TERM), (TERM, INT), (HUP, INT), (USR1, INT)]


@pytest.mark.parametrize("first", [INT, TERM, HUP, USR1])
@pytest.mark.parametrize("second", [INT, TERM, HUP, USR1])
def test_only_an_impatient_user_is_obeyed_at_once(first, second):
    with StopRequest() as stop:
        signal.raise_signal(first)
        if (first, second) in IMPATIENT:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(second)
        else:
            signal.raise_signal(second)
        assert stop.requested == first


def test_under_torchrun_an_echo_is_not_impatience(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with StopRequest() as stop:
        signal.raise_signal(INT)
        signal.raise_signal(INT)
        stop.heard_at -= stop_module.ECHO
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(INT)
    with StopRequest():  # its way to say that Ctrl-C was pressed twice
        signal.raise_signal(INT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(TERM)


def test_what_nohup_ignores_stays_ignored():
    previous = signal.signal(HUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(HUP)
            assert stop.requested is None and signal.getsignal(HUP) == signal.SIG_IGN
    finally:
        signal.signal(HUP, previous)


@pytest.mark.parametrize("number", [INT, TERM])
def test_forked_processes_end_as_usual(number):
    with StopRequest() as stop:
        assert in_child(signal.raise_signal, number) == -number
        assert stop.requested is None


def test_other_threads_may_ask_for_nothing():
    before, found = handlers(), []

    def run():
        with StopRequest() as stop:
            found.append(stop.requested)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None] and handlers() == before


def test_a_wish_does_not_wait_for_a_sleeping_step():
    with StopRequest() as stop:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), TERM))
        timer.start()
        began = time.monotonic()
        while stop.requested is None:
            time.sleep(0.01)
            assert time.monotonic() - began < 10
        timer.join()


@pytest.mark.parametrize("number", [TERM, HUP, USR1])
def test_what_ends_a_stopped_run(tmp_path, number):
    error = stopped_by(int(number), tmp_path, 7)
    assert isinstance(error, TrainingStopped) and runtime.exit_code(error.code) == 75
    what = f"{tmp_path}: stopped on request ({number.name}) at step 7. "
    assert str(error) == f"{what}Go on with --resume {tmp_path}"
    assert runtime.describe(error) == ("E-TRAIN-STOPPED", str(error))


def test_what_ends_a_run_after_ctrl_c(tmp_path):
    assert runtime.report(stopped_by(INT, tmp_path, 7)) == 130
