"""Contact sheets: the same faces once for each value of a field, for people to look at."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from faces_case import FIELDS, SHOWING, values_of
from PIL import Image

from data.faces import describe, draw

SIDE, FACES = 160, range(6)


@pytest.fixture
def folder(tmp_path):
    """Where sheets go: $IRODORI_SHEETS keeps them."""
    kept = Path(os.environ.get("IRODORI_SHEETS", tmp_path))
    kept.mkdir(parents=True, exist_ok=True)
    return kept


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("field", FIELDS)
def test_sheet_has_a_row_for_each_value(field, folder):
    values = values_of(field)
    base = [replace(describe(9, index), **SHOWING.get(field, {})) for index in FACES]
    sheet = Image.new("RGB", (SIDE * len(base), SIDE * len(values)))
    for row, value in enumerate(values):
        for column, face in enumerate(base):
            picture = draw(replace(face, **{field: value}), SIDE)
            sheet.paste(picture, (SIDE * column, SIDE * row))
    sheet.save(folder / f"sheet-{field}.png")
    rows = [sheet.crop((0, SIDE * r, sheet.width, SIDE * (r + 1))) for r in range(len(values))]
    assert len({row.tobytes() for row in rows}) == len(values)


@pytest.mark.slow
def test_sheet_of_many_faces(folder):
    sheet = Image.new("RGB", (SIDE * 8, SIDE * 8))
    for index in range(64):
        picture = draw(describe(9, index), SIDE)
        sheet.paste(picture, (SIDE * (index % 8), SIDE * (index // 8)))
    sheet.save(folder / "sheet.png")
    assert len({draw(describe(9, index), 16).tobytes() for index in range(64)}) == 64
