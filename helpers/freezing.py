"""Freeze a model up to a stage, and hand its parameters to an optimizer stage by stage.

The four steps of a transfer: a source model, a new head, what trains, and how fast.

>>> import torch, torchvision
>>> from helpers import freeze, parameter_groups, swap_head
>>> model = torchvision.models.resnet18()      # weights="DEFAULT" loads what it learnt on ImageNet
>>> model = swap_head(model, num_classes=5)
>>> model = freeze(model, upto="layer4")       # layer4 and the head train
>>> optimizer = torch.optim.AdamW(parameter_groups(model, lr=1e-3, decay=0.5))
"""

from typing import Any

from torch import nn

from helpers.stages import cut, stages


def freeze(model: nn.Module, upto: str | float) -> nn.Module:
    """Freeze all stages before `upto`, and let the others train; in place, and returns the model.

    `upto` is the first stage that trains:
        "layer4"     a name from stage_names(model)
        -1           the head: everything else is frozen
        -2, -3, ...  the last one, two, ... stages with weights (a mere normalisation has none) before the head, and the head
        0            nothing is frozen
        0.0 .. 1.0   this fraction of the stages before the head is frozen (rounded to whole stages)

    Each call sets everything again, whatever was frozen before: to unfreeze, freeze up to an earlier stage.

    A frozen parameter gets no gradient. That alone does not freeze a stage: in training mode, BatchNorm goes on updating its
    running statistics, and dropout goes on dropping. So frozen modules are put into evaluation mode; and because the next
    model.train() would undo that, a hook repeats it before each of their forward passes.
    To keep a frozen model, save its state_dict(): a pickle of the whole model opens only where this course is installed.
    Raises TypeError or ValueError, and changes nothing, if there is no such cut point (the message lists the stages), or if
    a frozen BatchNorm keeps no running statistics or a frozen dropout is a function.

    >>> from torchvision.models import resnet18
    >>> model = freeze(resnet18(), -1)
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['fc.weight', 'fc.bias']
    """
    before, after = cut(model, upto)
    trained = {parameter for stage in after for parameter in stage.parameters}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in trained)
        if parameter not in trained:
            parameter.grad = None  # with an old gradient, the optimizer would go on moving it
    for module in model.modules():  # release what an earlier call held
        for key in [key for key, hook in module._forward_pre_hooks.items() if hook is stay_in_eval]:
            del module._forward_pre_hooks[key]
            module.train(model.training)
    trained_modules = {module for stage in after for module in stage.modules}
    for module in {module for stage in before for module in stage.modules} - trained_modules:
        module.register_forward_pre_hook(stay_in_eval)
        module.eval()
    return model


def held_modules(model: nn.Module) -> set[nn.Module]:
    """The modules that `freeze` holds in evaluation mode."""
    hooked = [module for module in model.modules() if stay_in_eval in module._forward_pre_hooks.values()]
    return {inner for module in hooked for inner in module.modules()}


def stay_in_eval(module: nn.Module, inputs: Any) -> None:
    """The hook of frozen modules: a plain function, to survive deepcopy, torch.save and torch.compile."""
    if module.training:
        module.eval()


def parameter_groups(model: nn.Module, lr: float, decay: float = 1.0, weight_decay: float = 0.0,
                     head_times: float = 1.0) -> list[dict[str, Any]]:  # fmt: skip
    """Parameter groups for a torch optimizer: one for each stage with parameters, from input to head.

    The head learns at `head_times` the rate `lr`, the stage before it at `decay` times `lr`, and so on (discriminative learning
    rates: Howard and Ruder, 2018). Biases and normalisation get no `weight_decay`: groups such as "layer4/no_decay". Frozen
    parameters are in the groups, too, so that these never change. Raises ValueError for a setting out of range.

    >>> from torchvision.models import resnet18
    >>> [(group["name"], group["lr"]) for group in parameter_groups(resnet18(), lr=0.1, decay=0.5)][-3:]
    [('layer3', 0.025), ('layer4', 0.05), ('fc', 0.1)]
    """
    if not (lr >= 0 and decay > 0 and weight_decay >= 0 and head_times > 0):
        given = f"{lr=}, {decay=}, {weight_decay=}, {head_times=}"
        raise ValueError(f"need lr >= 0, decay > 0, weight_decay >= 0, head_times > 0; got {given}")
    groups: list[dict[str, Any]] = []
    for stage in reversed([stage for stage in stages(model) if stage.parameters]):
        spared = [parameter for parameter in stage.parameters if weight_decay and parameter.ndim <= 1]
        others = [parameter for parameter in stage.parameters if not (weight_decay and parameter.ndim <= 1)]
        for name, params, decayed in ((f"{stage.name}/no_decay", spared, 0.0), (stage.name, others, weight_decay)):
            if params:
                groups.append({"name": name, "params": params, "lr": lr * head_times, "weight_decay": decayed})
        lr, head_times = lr * decay, 1.0
    return groups[::-1]
