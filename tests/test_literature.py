"""What the course quotes from others is called that, says where it was read, and in what its setting differs."""

import re
from urllib.parse import urlsplit

import pandas
import pytest
import torch
from project import ROOT, cells
from studies import flowers102 as measured

from helpers.lessons.fine_tuning import flowers102
from helpers.lessons.fine_tuning.flowers102 import reported
from helpers.training.study import Study


def test_every_published_number_names_its_source_its_address_and_how_its_setting_differs():
    for row in reported("flowers102").itertuples():
        assert re.search(r"\w{4}", row.source) and urlsplit(row.address).scheme == "https", row
        assert len(row.setting) > 20 and row.metric in ("all images alike", "mean over the classes")
        assert 100 / 102 < row.percent < 100 and {row.trained_on, row.tested_on} <= {1020, 2040, 6149}
        assert row.trained_on != 6149 or "test images" in row.setting, "it was trained on the official test images"


def test_what_was_not_found_has_no_number_and_a_task_without_a_source_is_refused():
    assert measured.not_found() and not any(re.search(r"\d\s?%", what) for what in measured.not_found())
    with pytest.raises(ValueError, match="for the task 'hotdog'; there are some for flowers102"):
        reported("hotdog")


def test_the_lecture_shows_the_literatures_numbers_as_such_and_as_they_are_in_the_file():
    prose = "\n\n".join(cell["source"] for cell in cells(ROOT / "notebooks/appendix/lecture4.ipynb", "markdown"))
    marks = re.findall(r"<!-- (flowers102\.\S+) -->(.*?)<!-- /\1 -->", prose, re.DOTALL)
    texts = measured.stamps()
    assert {name: text for name, text in marks if texts.get(name) != text} == {}
    assert {"flowers102.literature", "flowers102.unknown"} <= {name for name, _ in marks}
    assert "from the literature, not measured by this course" in prose.replace("\n", " ").lower()
    assert measured.as_markdown().count("](https://") == len(reported("flowers102"))


def test_without_a_measurement_the_table_says_not_measured_and_shows_no_number_of_ours(monkeypatch, tmp_path):
    monkeypatch.setattr(flowers102, "FILE", tmp_path / "none.json")
    table = flowers102.beside_literature()
    assert set(table["measured % (interval)"]) == {"not measured"} and set(table["mean over classes %"]) == {""}
    assert (table.loc[[("resnet18", "feature extraction")], "literature %"] == "unknown").all()
    assert (table.loc[[("resnet50", "fine-tune all")], "literature %"] == "97.6").all()


def test_a_measurement_stands_beside_the_literature_with_its_interval():
    correct = [torch.arange(100) < right for right in (90, 92)]
    rows = [{"network": "resnet50", "recipe": "fine-tune all", "seed": seed, "n": 100, "accuracy": 0.9 + 0.02 * seed,
             "per class": 0.8} for seed in (0, 1)]  # fmt: skip
    study = Study(flowers102.QUESTION, ["network", "recipe"], pandas.DataFrame(rows), correct, {})
    (row,) = flowers102.beside_literature(study).loc[[("resnet50", "fine-tune all")]].to_dict("records")
    assert re.fullmatch(r"91\.0 \(\d+\.\d to \d+\.\d\)", row["measured % (interval)"])
    assert (row["mean over classes %"], row["literature %"]) == ("80.0", "97.6")


def test_the_plan_counts_the_images_that_the_loop_passes_through_the_network():
    recipe = flowers102.RECIPES[2]
    assert flowers102.passes((recipe,)) == (6149 + 10 * 1020, recipe.steps * recipe.batch_size)
    plan = flowers102.plan(["squeezenet1_0"], seeds=2)
    assert plan.loc["squeezenet1_0", ["trainings", "photographs, MB", "weights, MB"]].tolist() == [6, 345, 5]
    assert plan["hours here"].iloc[0] > 0
