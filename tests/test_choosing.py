"""What lecture 5 says about sources and targets holds in the shipped studies; and the studies measure what they say."""

import pytest
import torch
from studies import choosing

from helpers import load_study, open_task
from helpers.lessons.choosing import overlap
from helpers.lessons.choosing.studies import SOURCES
from helpers.training.recipes import FEATURE_EXTRACTION
from helpers.training.study import Study, run_study

NEAR, FAR = "flowers", "tissue"


@pytest.fixture(scope="module")
def study():
    return load_study("choosing")


@pytest.fixture(scope="module")
def harm():
    return load_study("harm")


def better(study, one, other, target, how="new head"):
    """Whether the paired interval of the difference between two sources leaves out 0 on the good side."""
    part = study.select(target=target, how=how, source=[one, other])
    row = part.paired("source", other, by=[]).loc[one]
    return row["supported"] == "yes" and row["low"] > 0


def test_matrix_holds_every_source_on_every_target_over_three_seeds_at_least(study):
    targets = {*choosing.TARGETS, choosing.PHOTOGRAPHS}
    for how, sources, where in (("new head", SOURCES, targets), ("fine-tuned", choosing.OPPOSITES, choosing.TUNED),
                                ("scratch", ("none",), targets)):  # fmt: skip
        table = study.select(how=how).table(["target", "source"])
        assert {(t, s) for t in where for s in sources} <= set(table.index)
        assert (table.seeds >= 3).all()


def test_best_source_of_the_near_target_is_not_the_best_of_the_far_one(study):
    """Petals for flowers, views of everything for tissue: it depends on the target."""
    assert better(study, "garden-petals", "garden-simclr-small", NEAR)
    assert better(study, "garden-simclr-small", "garden-petals", FAR)


def test_related_source_beats_a_general_one_of_the_same_cost(study):
    assert better(study, "garden-petals", "garden-small", NEAR)


def test_ten_labels_are_enough_for_a_frozen_source_to_do_harm(study):
    """Against scratch, with intervals that leave out 0; and the right source for the target helps."""
    table = choosing.against_scratch(study, "new head")
    for target in choosing.TARGETS:
        row = table.loc[(target, "garden-textures")]
        assert row["supported"] == "yes" and row["high"] < 0, row
    for target, source in ((NEAR, "garden"), (NEAR, "garden-petals"), (NEAR, "garden-small"), (FAR, "garden")):
        row = table.loc[(target, source)]
        assert row["supported"] == "yes" and row["low"] > 0, row


def test_what_was_asked_matters_as_much_as_what_was_seen(study):
    """The same drawings: classes teach more about flowers than pose and size do."""
    assert better(study, "garden-small", "garden-regression", NEAR)


def test_more_of_the_same_source_is_better(study):
    for target in choosing.TARGETS:
        assert better(study, "garden", "garden-small", target)


def test_no_source_is_clearly_ahead_of_scratch_on_the_photographs(study):
    table = choosing.against_scratch(study, "new head").loc[choosing.PHOTOGRAPHS]
    assert not ((table.supported == "yes") & (table.points > 0)).any(), table
    assert table.loc["garden-simclr-small", "supported"] == "yes" and table.points["garden-simclr-small"] < 0


def test_fine_tuning_brings_back_what_freezing_lost(study):
    """From both sources, on the target that does not suit them: no longer below scratch, as they were when frozen."""
    frozen, tuned = (choosing.against_scratch(study, how) for how in ("new head", "fine-tuned"))
    for target, source in ((NEAR, "garden-simclr-small"), (FAR, "garden-petals")):
        assert frozen.loc[(target, source), "high"] < 0
        assert tuned.loc[(target, source), "supported"] == "no"
    assert tuned.loc[(NEAR, "garden-petals"), "low"] > 0


def test_scores_order_the_sources_of_the_drawn_targets(study):
    """On each drawn target the 95 % interval of the rank correlation with a new head's accuracy lies above 0."""
    for score in ("probe", "logme"):
        table = choosing.rank_correlation(study, score, "new head").loc[list(choosing.TARGETS)]
        assert (table.low > 0).all(), table


def test_frozen_sources_do_harm_on_tissue_with_many_labels(harm):
    table = choosing.against_none(harm)
    for source in ("garden", "garden-textures", "garden-simclr-small"):
        row = table.loc[(source, "all but the head")]
        assert row["supported"] == "yes" and row["high"] < 0, row


def test_harm_goes_with_training_images_that_are_not_fitted(harm):
    fitted = harm.values("train_accuracy", ["source", "frozen"])
    for source in ("garden-textures", "garden-simclr-small"):
        assert fitted.loc[(source, "all but the head"), "high"] < fitted.loc[("none", "nothing"), "low"]


def test_unfreezing_the_same_weights_ends_the_harm(harm):
    table = choosing.against_none(harm)
    for source in ("garden", "garden-simclr-small"):
        frozen, free = table.loc[(source, "all but the head")], table.loc[(source, "nothing")]
        assert free["low"] > 0 or free["supported"] == "no", "no worse than scratch any more"
        pair = harm.select(source=source, frozen=["all but the head", "nothing"]).paired("frozen", "nothing", by=[])
        assert pair.loc["all but the head", "high"] < 0 and frozen["points"] < free["points"]


def small(name="flowers"):
    return open_task(name, per_class=2, size=64, val=1, test=2)


def test_a_study_of_sources_records_their_scores():
    tasks = {"flowers": small()}
    cases = choosing.cases(FEATURE_EXTRACTION, ("garden",), tasks, "new head")
    made = run_study(choosing.QUESTION, cases, [0], also=choosing.scores)
    row = made.runs.iloc[0]
    assert row["source"] == "garden" and 0 <= row["probe"] <= 1 and row["logme"] < 1
    assert isinstance(made, Study)


def test_rank_correlation_is_one_for_a_score_that_orders_all_sources(study):
    runs = study.runs.copy()
    runs["oracle"] = runs.accuracy
    told = Study(study.question, study.conditions, runs, study.correct, study.about)
    assert (choosing.rank_correlation(told, "oracle", "new head")["mean"] == 1).all()


# --- is the target already in the source? ---


def test_drawings_are_asked_about_as_goldfinches():
    task = overlap.drawings()
    assert task.classes == ["goldfinch"] and len(task.test) == 80 and task.size == 224
    assert overlap.shared(["rose", "daisy"]) == 1 and overlap.shared(task.classes) == 0
    with pytest.raises(ValueError, match="none of rose, tulip is known to be a class of ImageNet"):
        overlap.shared(["rose", "tulip"])


def test_recall_is_of_the_class_in_the_source_and_of_all_others():
    class Made:
        task = small()
        labels = torch.tensor([2, 2, 2, 2, 0, 1])  # daisy is class 2 of the flowers
        correct = torch.tensor([True, True, True, False, False, True])

    assert overlap.recalls(Made) == {"in_source": 0.75, "others": 0.5}


def test_study_of_the_overlap_holds_all_ways():
    found = load_study("overlap")
    table = found.select(images="photographs").table(["source", "how", "per_class"])
    assert {("squeezenet1_0", "probe", n) for n in overlap.NUMBERS} | {("garden", "probe", n) for n in overlap.NUMBERS} <= {
        *table.index
    }
    assert ("squeezenet1_0", "untouched head", 0) in table.index and ("squeezenet1_0", "fine-tuned", 5) in table.index


def gap(found, source, number):
    """How much more of the daisies than of the other kinds is named rightly, one value a seed."""
    runs = found.select(images="photographs", how="probe", source=source, per_class=number).runs
    return (runs.in_source - runs.others).to_numpy()


def test_untouched_head_names_most_daisies_and_no_other_kind():
    row = load_study("overlap").select(images="photographs", how="untouched head").runs.iloc[0]
    assert row["in_source"] > 0.5 and row["others"] == 0
