"""The options of every verb, frozen: adding, renaming or dropping one is a decision, made here."""

import importlib
from pathlib import Path

import click
import pytest

import runtime

ROOT = Path(__file__).parent.parent
SHARED = ["--debug", "--version"]  # runtime.Verb adds them to every command

# verb -> command ("" for the verb itself) -> its options in order; an argument stands by its name
OPTIONS: dict[str, dict[str, list[str]]] = {
    "make_dataset": {
        "": [],
        "faces": ["--count", "--size", "--seed", "--out", "--workers", "--medium"],
        "pack": ["--source", "--out", "--size", "--skip-bad"],
        "check": ["dataset"],
    },
    "generate": {
        "": (
            "--generator --seeds --trunc --class --outdir --grid --walk --frames --fps --device"
        ).split(),
    },
    "convert": {"": ["pickle", "--out"]},
    "evaluate": {
        "": [],
        "fid": (
            "--generator --images --data --features --allow-download --num --trunc --cond "
            "--mirror --reference --every --batch --workers --seed --device --json"
        ).split(),
        "equivariance": "--generator --num --trunc --batch --seed --device".split(),
        "inversion": (
            "--pairs --method --outdir --generator --encoder --colorizers --samples --lpips "
            "--device"
        ).split(),
        "compare": (
            "--data --size --count --json --generator --encoder --colorizers --samples --lpips "
            "--device"
        ).split(),
    },
    "invert": {
        "": (
            "--image --images --replay --samples --outdir --seed --generator --encoder --device "
            "--method --input --hint --cue --palette --like --hair --eyes --pose --size "
            "--save-every --crop"
        ).split(),
    },
    "train_attributes": {
        "": (
            "--reader --outdir --steps --batch --lr --eval-every --seed --fp32 --workers --device "
            "--resume"
        ).split(),
    },
    "train_colorizer": {
        "": (
            "--cfg --data --generator --outdir --size --input --cue/--no-cue --no-judge --width "
            "--backbone --steps --batch --eval-every --seed --fp32 --workers --device --resume"
        ).split(),
    },
    "train_encoder": {
        "": (
            "--generator --outdir --data --lpips --steps --batch --lr --passes --eval-every "
            "--seed --fp32 --device --resume"
        ).split(),
    },
    "train_gan": {
        "": (
            "--data --outdir --cfg --batch --batch-gpu --gamma --cond --mirror --kimg --steps "
            "--tick --snap --ckpt-minutes --metrics --seed --cbase --cmax --num-layers --z-dim "
            "--w-dim --map-depth --margin --first-cutoff --first-stopband --mbstd-group --freezed "
            "--glr --dlr --anneal --lr-floor --aug --target --p --fp32 --transfer --resume "
            "--allow-data-change --workers --data-timeout --on-bad-image --bad-budget "
            "--hang-timeout --device --desc -n/--dry-run"
        ).split(),
    },
}


def commands_of(verb: str) -> dict[str, click.Command]:
    module = importlib.import_module(verb)
    found = {name: c for name, c in vars(module).items() if isinstance(c, click.Command)}
    groups = [c for c in found.values() if isinstance(c, click.Group)]
    children = {name: c for group in groups for name, c in group.commands.items()}
    [main] = [c for c in found.values() if c not in children.values()]
    return {"": main, **children}


def options_of(command: click.Command) -> list[str]:
    return ["/".join(p.opts + p.secondary_opts) for p in command.params]


@pytest.mark.parametrize("verb", sorted(p.stem for p in ROOT.glob("*.py") if p.stem != "runtime"))
def test_options_are_frozen(verb):
    commands = commands_of(verb)
    assert all(isinstance(c, runtime.Verb) for c in commands.values()), "use cls=runtime.Verb"
    found = {name: options_of(c) for name, c in commands.items()}
    frozen = {name: [*own, *SHARED] for name, own in OPTIONS.get(verb, {}).items()}
    wanted = {name: [o for o in own if o not in SHARED] for name, own in found.items()}
    assert found == frozen, f"if this is intended, put into OPTIONS:\n{verb!r}: {wanted},"


def test_no_option_is_frozen_for_a_verb_that_is_gone():
    assert all((ROOT / f"{verb}.py").exists() for verb in OPTIONS)


def test_names_that_verbs_repeat_to_start_quickly():
    import invert
    import make_dataset
    import train_gan
    from data.faces import MEDIA
    from evaluation.fidelity import METRICS
    from inversion.inputs import AS

    choices = {p.name: p.type for p in train_gan.main.params}
    assert make_dataset.MEDIA == MEDIA
    assert {"auto", *AS} == set(invert.INPUTS)
    assert {"none", *METRICS} == set(choices["metrics"].choices)
