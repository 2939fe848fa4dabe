"""What the lectures conclude from the shipped studies: a measurement that says something else fails here."""

import itertools
from functools import cache

import pytest
from studies import choosing, labels

from helpers.lessons.choosing import against_none
from helpers.lessons.fine_tuning.learning_curves import overfitting
from helpers.lessons.fine_tuning.studies import DEPTHS as COPIED
from helpers.lessons.fine_tuning.studies import RATES, SWITCHES
from helpers.lessons.variants import studies as variants
from helpers.training.study import load_study

load = cache(load_study)
PETALS, VIEWS, TEXTURES, SMALL = "garden-petals", "garden-simclr-small", "garden-textures", "garden-small"
AS_FOUND, REPAIRED = "head, as found", "head, all fixed"
SUPERVISED, SELF_SUPERVISED, RANDOM = "supervised, head", "self-supervised, head", "random, head"
SUPERVISED_TUNED, SELF_SUPERVISED_TUNED = "supervised, fine-tuned", "self-supervised, fine-tuned"
LOSING = ("no augmentation", "lower rates for earlier stages", "both", "head first at 10x rate", "10x rate for the head",
          "constant rate", "head first")  # fmt: skip


def difference(study, part, condition, one, other):
    """The paired difference, one - other, within a part of a study."""
    return load(study).select(**part, **{condition: [one, other]}).paired(condition, other, by=[]).loc[one]


def sign(row):
    """Of a paired difference: "+" or "-" where its 95% interval excludes zero, "0" where it does not."""
    return "0" if row["supported"] == "no" else "+" if row["points"] > 0 else "-"


def supported(table):
    return {key: row.points for key, row in table.iterrows() if row.supported == "yes"}


def lecture1(task, per_class, one, other, expected):
    return "labels", {"task": task, "per_class": per_class}, "way", one, other, expected


def reversal(one, other, expected, task="goldfinches"):
    return "reversal", {"task": task}, "variant", one, other, expected


def depth(task, per_class, one, other, expected):
    return "depth", {"task": task, "per_class": per_class}, "depth", one, other, expected


def sources(target, one, other, expected):
    return "choosing", {"target": target, "how": "new head"}, "source", one, other, expected


def against_scratch(target, source, expected, how="new head"):
    return "choosing", {"target": target, "how": [how, "scratch"]}, "source", source, "none", expected


@pytest.mark.parametrize("study, part, condition, one, other, expected", [
    # lecture 1: features learnt with labels need the fewest labels; random ones are worth least
    *(lecture1(task, 5, SUPERVISED, SELF_SUPERVISED, "+") for task in labels.TASKS),
    lecture1("flowers", 5, SUPERVISED, "scratch", "+"),
    *(lecture1("flowers", number, SELF_SUPERVISED, RANDOM, "+") for number in labels.MANY),
    # frozen features fall behind scratch where there are labels, or where the target asks for something else
    lecture1("flowers", 100, SELF_SUPERVISED, "scratch", "-"),
    lecture1("goldfinches", 5, SELF_SUPERVISED, "scratch", "-"),
    lecture1("goldfinches", 5, SELF_SUPERVISED, RANDOM, "+"),
    lecture1("goldfinches", 20, SUPERVISED, "scratch", "-"),
    lecture1("flowers", 5, SELF_SUPERVISED, "scratch", "+"),
    # fine-tuned, the supervised source gains on both tasks, the other on the flowers
    *(lecture1(task, 5, SUPERVISED_TUNED, "scratch", "+") for task in labels.TASKS),
    lecture1("flowers", 5, SELF_SUPERVISED_TUNED, "scratch", "+"),
    lecture1("flowers", 100, SELF_SUPERVISED_TUNED, "scratch", "0"),
    lecture1("goldfinches", 20, SUPERVISED_TUNED, SUPERVISED, "+"),
    lecture1("goldfinches", 20, SUPERVISED_TUNED, "scratch", "0"),
    *(("suite-efficientnet_lite0", {"target": "photographs", "size": 128, "per_class": number}, "recipe",
       "feature extraction", "scratch", "+") for number in (5, 100)),
    ("real-sources", {"target": "photographs"}, "source", "efficientnet_lite0", "random weights", "+"),
    *(lecture1("goldfinches", number, SELF_SUPERVISED_TUNED, "scratch", "0") for number in (5, 20)),
    # lecture 3: the head alone may end below scratch; the faults of the recipe account for a part of it only
    reversal(AS_FOUND, "scratch", "-"),
    reversal(REPAIRED, AS_FOUND, "+"),
    reversal(REPAIRED, "scratch", "-"),
    # of the faults only BatchNorm shows by itself
    reversal("head, BatchNorm fixed", AS_FOUND, "+"),
    reversal("head, lr fixed", AS_FOUND, "0"),
    reversal("head, schedule fixed", AS_FOUND, "0"),
    # training more of the network helps; on flowers the same faults do no harm; normalising the pixels makes no difference
    reversal("from layer4", REPAIRED, "+"),
    reversal("from layer4", "scratch", "-"),
    reversal("fine-tune all", "scratch", "0+"),
    reversal(AS_FOUND, "scratch", "+", task="flowers"),
    reversal("scratch, not normalised", "scratch", "0"),
    reversal("head, fixed, not normalised", REPAIRED, "0"),
    # how deep to fine-tune
    depth("flowers", 5, "head", "scratch", "+"),
    depth("tissue", 5, "head", "scratch", "+"),
    depth("flowers", 100, "head", "scratch", "+"),
    depth("goldfinches", 100, "head", "scratch", "-"),
    depth("tissue", 100, "head", "scratch", "0"),
    *(depth(task, number, "all", "scratch", "0+") for task in variants.TASKS for number in variants.LABELS),
    *(depth("goldfinches", number, "all", "head", sign) for number, sign in zip(variants.LABELS, "0++", strict=True)),
    *(depth("tissue", number, "all", "head", sign) for number, sign in zip(variants.LABELS, "00+", strict=True)),
    # what LP-FT gains over the solved head: much on the goldfinches, nothing clear on the other drawings
    *(("suite-garden", {"target": task, "per_class": n}, "recipe", "probe, then fine-tune", "feature extraction", expected)
      for task, expected in (("flowers", "0"), ("goldfinches", "+"), ("tissue", "0")) for n in variants.LABELS),
    # lecture 4: of eleven switches seven lose and none gains; a fast head does its harm in the steps in which it trains alone
    ("real-batchnorm", {"trains": "the head"}, "batchnorm", "live", "at rest", "-"),
    *(("real-depth", {"per_class": n}, "depth", "everything", "the head", "0") for n in (5, 20, 100)),
    *(("tuning-switches", {}, "switch", one, "baseline", "-" if one in LOSING else "0") for one in [*SWITCHES][1:]),
    ("tuning-switches", {}, "switch", "head first at 10x rate", "both", "0"),
    # a fitted head loses where the head alone is far behind, and gains where it is not
    *(("suite-garden", {"target": target, "per_class": number}, "recipe", one, "fine-tune all", sign)
      for target, number, sign in (("flowers", 5, "+"), *(("goldfinches", number, "-") for number in (5, 20, 100)))
      for one in ("feature extraction", "probe, then fine-tune")),
    # lecture 5: the best source of the near target is not that of the far one
    sources("flowers", PETALS, VIEWS, "+"),
    sources("tissue", VIEWS, PETALS, "+"),
    # a related source beats a general one; classes teach more than pose and size; more of the same source is better
    sources("flowers", PETALS, SMALL, "+"),
    sources("flowers", SMALL, "garden-regression", "+"),
    *(sources(target, "garden", SMALL, "+") for target in choosing.TARGETS),
    # ten labels are enough for a frozen source to do harm; the right source helps
    *(against_scratch(target, TEXTURES, "-") for target in choosing.TARGETS),
    *(against_scratch("flowers", source, "+") for source in ("garden", PETALS, SMALL)),
    against_scratch("tissue", "garden", "+"),
    # fine-tuning brings back what freezing lost
    against_scratch("flowers", VIEWS, "-"),
    against_scratch("flowers", VIEWS, "0", how="fine-tuned"),
    against_scratch("tissue", PETALS, "0", how="fine-tuned"),
    against_scratch("flowers", PETALS, "+", how="fine-tuned"),
    *(("harm", {"source": source}, "frozen", "all but the head", "nothing", "-") for source in ("garden", VIEWS)),
])  # fmt: skip
def test_difference_has_the_sign_that_the_lecture_says(study, part, condition, one, other, expected):
    row = difference(study, part, condition, one, other)
    assert sign(row) in expected, row


@pytest.mark.parametrize("study, conditions, least", [
    *(("labels", {"task": [task], "way": labels.HEADS, "per_class": labels.MANY}, 5) for task in labels.TASKS),
    *(("labels", {"task": [task], "way": labels.WHOLE, "per_class": numbers}, labels.SLOW_SEEDS)
      for task, numbers in labels.FEW.items()),
    ("depth", {"task": variants.TASKS, "per_class": variants.LABELS, "depth": [*variants.DEPTHS, "scratch"]}, 3),
    ("tuning-switches", {"switch": SWITCHES}, 20),
    ("choosing", {"how": ["new head"], "target": choosing.TARGETS, "source": choosing.SOURCES}, 3),
    ("choosing", {"how": ["fine-tuned"], "target": choosing.TUNED, "source": choosing.OPPOSITES}, 3),
    ("choosing", {"how": ["scratch"], "target": choosing.TARGETS, "source": ["none"]}, 3),
])  # fmt: skip
def test_every_case_of_a_study_was_measured_with_seeds_enough(study, conditions, least):
    counts = load(study).runs.groupby([*conditions]).seed.nunique()
    for key in itertools.product(*conditions.values()):
        assert counts.loc[key if len(key) > 1 else key[0]] >= least, key


# Lecture 1


@pytest.mark.parametrize("way", [SUPERVISED_TUNED, SELF_SUPERVISED_TUNED])
def test_with_many_labels_it_matters_less_where_one_starts(way):
    few, many = (labels.gap(load("labels"), "flowers", number, way, "scratch")["points"] for number in (5, 100))
    assert many < few / 2


def test_the_figures_show_what_their_descriptions_say():
    means = load("labels").table(["task", "way", "per_class"])["accuracy %"]
    flowers, finches = means["flowers"], means["goldfinches"]
    heads, scratch = flowers[SELF_SUPERVISED], flowers["scratch"]
    assert all(flowers[SUPERVISED][n] > max(heads[n], scratch.get(n, 0)) for n in labels.MANY)
    assert scratch[1] < heads[1] and scratch[5] < heads[5] < heads[10] and heads[20] < scratch[20]
    assert finches["scratch"][20] > max(finches[SUPERVISED][20], finches[SELF_SUPERVISED][20])
    for task, numbers in labels.FEW.items():
        others = (SELF_SUPERVISED_TUNED, "scratch")
        assert all(means[task][SUPERVISED_TUNED][n] > max(means[task][way][n] for way in others) for n in numbers)


# Lecture 2


def test_training_mode_costs_the_untouched_head_accuracy_in_each_case():
    drift = load("drift")
    lost = drift.select(steps=[0, 50]).paired("steps", 0)
    assert len(lost) == 4 and (lost["high"] < 0).all()
    assert (drift.values("features", ["known", "seen", "steps"]).xs(50, level="steps")["low"] > 50).all()


def test_a_head_fitted_anew_after_the_drift_is_nearly_as_good():
    refitted = load("drift").values("refitted", ["known", "seen", "steps"])["mean"]
    assert (refitted.xs(0, level="steps") - refitted.xs(50, level="steps") < 5).all(), "points"


def test_last_features_of_the_regression_are_no_better_than_random_and_those_of_the_classifier_are():
    against = load("extractors").paired("source", "regression")
    assert (against.xs("classification", level="source")["low"] > 0).all()
    assert (against.xs("none (random network)", level="source")["supported"] == "no").all()


# Lecture 3


def test_the_larger_part_of_the_reversal_is_not_the_faults():
    birds = load("reversal").select(task="goldfinches", variant=[AS_FOUND, REPAIRED, "scratch"])
    gaps = birds.paired("variant", "scratch").points
    assert gaps[REPAIRED] < gaps[AS_FOUND] / 2


def test_the_map_of_depths_has_its_history():
    columns = {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
    curves = load("depth").select(depth=list(variants.DEPTHS)).runs.history  # scratch has none where lecture 1 measured it
    assert all(len(rows) == 10 and columns <= set(rows[0]) for rows in curves)


def test_with_five_labels_every_depth_is_above_scratch_and_the_head_is_best_on_flowers_and_tissue():
    means = load("depth").table(["task", "per_class", "depth"])["accuracy %"].unstack()
    transfers = means[list(variants.DEPTHS)]
    assert (transfers.min(axis=1) > means["scratch"]).xs(5, level="per_class").all()
    best = transfers.idxmax(axis=1)
    assert best["flowers", 5] == best["tissue", 5] == "head"
    assert (means["all"] > means["head"])[[key for key in means.index if key[1] > 5 or key[0] == "goldfinches"]].all()


def test_choosing_by_validation_costs_little():
    price = variants.choice_by_validation(load("depth"))
    lost = price["test %"] - price["its test %"]
    assert len(price) == 9 and (lost >= 0).all() and lost.max() < 3


# Lecture 4


def test_training_the_head_first_gains_on_the_flowers_at_the_usual_rate_and_is_not_supported_elsewhere():
    warmup = load("tuning-warmup")
    assert [*supported(warmup.paired("warm-up", "all at once"))] == [("flowers", 0.001, "head first")]
    far = supported(warmup.paired("warm-up", "all at once", column="elsewhere"))
    assert far["flowers", 0.001, "head first"] > 0 and all(task == "flowers" for task, *_ in far)
    less = supported(warmup.paired("warm-up", "all at once", column="layer4 moved", scale=1))
    assert all(less["flowers", lr, "head first"] < 0 for lr in RATES), "the last features move less"
    table = warmup.select(task="flowers").table(["lr", "warm-up"])["accuracy %"]
    assert table[0.01].max() < table[0.001, "all at once"] - 5, "too high a rate costs more"


def test_overfitting_follows_the_labels_and_rises_for_sure_for_the_head_on_tissue_alone():
    depths = load("depth").select(depth=["head", "layer4", "layer2", "all"])
    table = overfitting(depths, ["task", "per_class", "depth"])
    assert len(table) == 36 and table.index[table["starts to overfit"] == "yes"].tolist() == [("tissue", 5, "head")]
    gap = table.gap
    assert gap["flowers", 5, "all"] > 3 * gap["flowers", 20, "all"] > 3 * gap["flowers", 100, "all"]
    assert gap["goldfinches", 5, "head"] == max(gap["goldfinches", 5])
    unfrozen = supported(depths.paired("depth", "head"))
    assert ("flowers", 5, "all") not in unfrozen and ("flowers", 100, "all") not in unfrozen
    assert unfrozen["tissue", 100, "all"] > 0


def test_each_further_stage_copied_gains_up_to_layer3_and_freezing_the_copied_ones_is_not_supported_to_cost():
    copied = load("tuning-transplant")
    tuned = copied.select(then="fine-tuned")
    for one, more in (("nothing", "to layer1"), ("to layer1", "to layer2"), ("to layer2", "to layer3")):
        assert supported(tuned.select(copied=[one, more]).paired("copied", one))[more] > 0
    assert not supported(tuned.select(copied=["to layer3", "to layer4"]).paired("copied", "to layer3"))
    assert not supported(copied.select(copied=list(COPIED)).paired("then", "frozen"))


def test_weight_decay_is_known_not_to_matter():
    row = load("tuning-switches").paired("switch", "baseline").loc["no weight decay"]
    assert row["low"] > -1 and row["high"] < 1


def test_no_way_of_batchnorm_is_better_than_another_and_few_parameters_cost_nothing_that_is_supported():
    batchnorm = load("tuning-batchnorm").paired("batchnorm", "live")
    assert not supported(batchnorm) and abs(batchnorm.loc[(32, "statistics"), "points"]) < 1
    found = supported(load("tuning-subsets").paired("trains", "everything"))
    assert [*found] == [("garden", "head")] and found["garden", "head"] > 0


# Lecture 5


@pytest.mark.parametrize("score", ["probe", "logme"])
def test_scores_order_the_sources_of_the_drawn_targets(score):
    table = choosing.rank_correlation(load("choosing"), score, "new head").loc[list(choosing.TARGETS)]
    assert (table.low > 0).all(), "the 95% interval of the rank correlation with a new head's accuracy lies above 0"


def test_a_source_that_helps_with_ten_labels_does_harm_with_a_hundred_and_the_largest_not_measurably():
    table = against_none(load("harm"))
    assert [sign(table.loc[(source, "all but the head")]) for source in (VIEWS, TEXTURES, "garden")] == ["-", "-", "0"]
    assert sign(difference("choosing", {"target": "tissue", "how": ["new head", "scratch"]}, "source", VIEWS, "none")) == "+"


@pytest.mark.parametrize("source", ["garden", VIEWS])
def test_unfrozen_the_same_weights_are_no_worse_than_scratch_any_more(source):
    assert sign(against_none(load("harm")).loc[(source, "nothing")]) in "0+"
