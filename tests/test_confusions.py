"""Of many classes the confusion matrix shows those that mistakes have to do with, and loses none of their mistakes."""

import pytest
import torch

from helpers.lessons.goldfinches.confusions import hardest
from helpers.notebook.figures import plot_confusion


def test_few_classes_are_shown_as_they_are():
    labels, predictions = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])
    assert [torch.equal(a, b) for a, b in zip(hardest(labels, predictions, ["a", "b"])[:2], (labels, predictions), strict=True)]
    assert hardest(labels, predictions, ["a", "b"])[2] == ["a", "b"]


def test_of_many_classes_those_most_confused_are_shown_in_their_order_and_none_of_their_answers_is_lost():
    dice = torch.Generator().manual_seed(0)
    labels = torch.arange(102).repeat(5)
    predictions = labels.clone()
    predictions[labels == 70] = 3
    predictions[labels == 3] = torch.randint(102, (5,), generator=dice)
    predictions[labels == 9] = 101
    rows, columns, names = hardest(labels, predictions, [f"kind {i}" for i in range(102)], most=4)
    assert names[-1] == "another" and {"kind 3", "kind 70"} < {*names} and len(names) == 5
    numbers = [int(name.split()[1]) for name in names[:-1]]
    assert numbers == sorted(numbers)
    for place, number in enumerate(numbers):
        assert (rows == place).sum() == (labels == number).sum(), "all pictures of a class that is shown"
        assert (columns == place).sum() == (predictions == number).sum(), "all answers that name it"
        right = ((labels == number) & (predictions == number)).sum()
        assert ((rows == place) & (columns == place)).sum() == right
    assert not ((rows == 4) & (columns == 4)).any(), "what has nothing to do with them is left out"
    assert plot_confusion(rows, columns, names).axes


def test_labels_without_predictions_are_refused():
    with pytest.raises(ValueError, match="3 labels and 2 predictions"):
        hardest(torch.zeros(3), torch.zeros(2), ["a", "b"])
