"""From labels, distance and budget to the variant of transfer that is worth trying first."""

from dataclasses import dataclass

import pandas

from helpers.training.recipes import FEATURE_EXTRACTION, FINE_TUNE_ALL, PROBE_THEN_FINE_TUNE, Recipe

# What the guide says, and the recipe that does it.
RECIPES = {
    "feature extraction": FEATURE_EXTRACTION,
    "probe, then fine-tune all": PROBE_THEN_FINE_TUNE,
    "fine-tune all": FINE_TUNE_ALL,
}
FEW, MANY = 20, 200  # training images a class: fewer than the first are few, more than the second many
DISTANCES = ("near", "related", "far")


@dataclass(frozen=True)
class Advice:
    """What to try first, why, and what to compare it with. Advice, not a law: the validation images decide."""

    first: str
    why: str
    then: str

    @property
    def recipe(self) -> Recipe:
        """The recipe that does what `first` says; for a source of your own: replace(advice.recipe, source="resnet18")."""
        return RECIPES[self.first]

    def _repr_html_(self) -> str:
        return f"<p><b>Try first:</b> {self.first}<br><b>Why:</b> {self.why}<br><b>Then:</b> {self.then}</p>"

    def __str__(self) -> str:
        return f"Try first: {self.first}\nWhy: {self.why}\nThen: {self.then}"


def first_try(per_class: float, distance: str, gpu: bool = True) -> Advice:
    """What to try first.

    per_class  labelled training images a class
    distance   of the target from what the source was trained on: "near" (the same kind of things, or even the same
               classes), "related" (other things, pictured alike), "far" (no object in common, another way of picturing)
    gpu        whether the whole network can be trained in reasonable time
    Raises ValueError for no images, or another distance.
    """
    if not per_class > 0:
        raise ValueError(f"per_class={per_class!r} must be above 0: without labels there is nothing to train or to check")
    if distance not in DISTANCES:
        raise ValueError(f"distance={distance!r} must be one of {', '.join(DISTANCES)}")
    if not gpu:
        why = "Frozen features are computed once and kept; training the head then takes seconds on a CPU."
        if distance == "far" and per_class >= FEW:
            return Advice("feature extraction", why, "fine-tune the last stage, and a small network from scratch: with so many "
                          "labels far from the source, either may win")  # fmt: skip
        return Advice("feature extraction", why, "fine-tune the last stage, and keep it if the validation images gain")
    if distance == "far":
        if per_class < FEW:
            return Advice("feature extraction", "So few labels can neither move the stages safely nor leave validation images "
                          "to check it by.", "label more, look for a nearer source, and compare with scratch")  # fmt: skip
        return Advice("fine-tune all", "Frozen features miss what counts here, and there are labels enough to move every stage.",
                      "scratch, over the same seeds: with this many labels far from the source it may win")  # fmt: skip
    if per_class < FEW:
        return Advice("feature extraction", "A head on fixed features has no rate and no depth to choose, and so few labels "
                      "leave no validation images to choose them by.", "probe, then fine-tune all, with a low rate")  # fmt: skip
    if per_class < MANY:
        return Advice("probe, then fine-tune all", "There are labels enough to adapt the stages, and a fitted head keeps the "
                      "first steps from spoiling them.", "how many stages are frozen, as a hyperparameter")  # fmt: skip
    return Advice("fine-tune all", "With many labels nothing needs to stay as it was; the source is a good start.",
                  "scratch, with as long a training as it needs: the gap shrinks as labels grow")  # fmt: skip


def decision_table(gpu: bool = True) -> pandas.DataFrame:
    """`first_try` for few, some and many labels, near, related and far."""
    rows = {f"few (below {FEW})": 5, f"some ({FEW} to {MANY})": FEW, f"many ({MANY} or more)": MANY}
    cells = {label: {d: first_try(count, d, gpu).first for d in DISTANCES} for label, count in rows.items()}
    return pandas.DataFrame.from_dict(cells, orient="index").rename_axis("labels a class")
