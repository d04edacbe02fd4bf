"""When RUN.json says that a training goes on, and what it says if a process of it is gone."""

import pytest

from engine.ranks import ALONE, RankError, Ranks
from engine.record import read_record
from engine.session import Session

LOST = RankError("rank 0: another process is gone (x). Read what it said.", "E-TRAIN-LOST")


def test_the_run_is_said_to_go_on_when_all_hear_signals(tmp_path):
    said = []

    class Meeting(Ranks):
        def largest(self, value):
            said.append(read_record(tmp_path).get("status"))
            return value

    with Session(tmp_path, Meeting()) as session:
        session.begin(3)
    assert said == [None, "running"]


def ended_by(error, run, said=()):
    with pytest.raises(type(error)), Session(run, ALONE) as session:
        session.begin(3)
        if said:
            session.record.update(*said)
        raise error
    return [read_record(run)[name] for name in ("status", "step", "last_good", "reason")]


def test_a_process_that_said_nothing(tmp_path):
    assert ended_by(LOST, tmp_path) == ["failed", 3, 3, str(LOST)]


@pytest.mark.parametrize("status", ["failed", "preempted"])
def test_one_that_said_why_has_the_word(tmp_path, status):
    assert ended_by(LOST, tmp_path, (status, 4, "why")) == [status, 4, 3, "why"]


def test_an_error_of_ones_own(tmp_path):
    said = ended_by(ValueError("no"), tmp_path, ("preempted", 4, "SIGTERM"))
    assert said == ["failed", 3, 3, "rank 0: ValueError: no"]
