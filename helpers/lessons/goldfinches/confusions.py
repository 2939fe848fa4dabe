"""A confusion matrix of many classes: the part of it that can be read."""

import torch

REST = "another"


def hardest(labels, predictions, classes, most: int = 12) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Labels, predictions and classes for `plot_confusion`, cut down to the `most` classes that are most often confused.

    labels, predictions: int64 (N,), positions in `classes`. Where there are no more than `most` classes they come back as
    they are. Else the pairs that are most often taken for one another, in both directions together, are taken until there
    are enough classes. A last class, "another", stands for all others; images that have nothing to do with the chosen
    classes, by truth or by answer, are left out.
    Raises ValueError if labels and predictions are not as many, or `most` is below 2.
    """
    labels, predictions, count = torch.as_tensor(labels), torch.as_tensor(predictions), len(classes)
    if labels.shape != predictions.shape or most < 2:
        raise ValueError(f"{len(labels)} labels and {len(predictions)} predictions, of which {most} classes are to be shown")
    if count <= most:
        return labels, predictions, list(classes)
    counts = torch.bincount(labels * count + predictions, minlength=count * count).view(count, count)
    pairs = (counts + counts.T).triu(1).flatten()
    chosen = {}
    for pair in pairs.argsort(descending=True, stable=True).tolist():
        chosen |= dict.fromkeys(divmod(pair, count))
        if len(chosen) >= most:
            break
    chosen = torch.tensor(sorted([*chosen][:most]))
    place = torch.full((count,), most)
    place[chosen] = torch.arange(most)
    labels, predictions = place[labels], place[predictions]
    told = (labels < most) | (predictions < most)
    return labels[told], predictions[told], [*(classes[i] for i in chosen.tolist()), REST]
