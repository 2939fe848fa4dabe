"""A confusion matrix of many classes: the part of it that can be read."""

import torch

REST = "another"


def hardest(labels, predictions, classes, most: int = 12) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Labels, predictions and classes for `plot_confusion`, cut down to the `most` classes that mistakes have most to do with.

    labels, predictions: int64 (N,), positions in `classes`. Where there are no more than `most` classes they come back as
    they are. Else a last class, "another", stands for all that are left out, and images with which none of the chosen
    classes has anything to do, by truth or by answer, are left out.
    Raises ValueError if labels and predictions are not as many, or `most` is below 1.
    """
    labels, predictions, count = torch.as_tensor(labels), torch.as_tensor(predictions), len(classes)
    if labels.shape != predictions.shape or most < 1:
        raise ValueError(f"{len(labels)} labels and {len(predictions)} predictions, of which {most} classes are to be shown")
    if count <= most:
        return labels, predictions, list(classes)
    wrong = labels != predictions
    mistakes = sum(torch.bincount(side[wrong], minlength=count) for side in (labels, predictions))
    chosen = mistakes.argsort(descending=True, stable=True)[:most].sort().values
    place = torch.full((count,), most)
    place[chosen] = torch.arange(most)
    labels, predictions = place[labels], place[predictions]
    told = (labels < most) | (predictions < most)
    return labels[told], predictions[told], [*(classes[i] for i in chosen.tolist()), REST]
