"""Freeze a model up to a stage, and hand its parameters to an optimizer stage by stage."""

from torch import nn

from helpers.stages import cut, stages


def freeze(model: nn.Module, upto: str | float) -> nn.Module:
    """Freeze all stages before `upto`, and let the others train; in place, and returns the model.

    `upto` is the first stage that trains:
        "layer4"     a name from stage_names(model)
        -1           the head: all but the head is frozen
        -2, -3, ...  the head and the last one, two, ... stages before it that have parameters
        0            nothing is frozen
        0.0 .. 1.0   this fraction of the stages before the head is frozen (rounded to whole stages)

    Each call sets everything anew, whatever was frozen before: to unfreeze, freeze up to an earlier stage.

    A frozen parameter gets no gradient. That alone does not freeze a stage: in training mode BatchNorm goes
    on averaging over the images that it sees, and dropout goes on dropping. So frozen modules are put into
    evaluation mode; and because the next model.train() would undo that, a hook repeats it before each of
    their forward passes.

    Raises TypeError or ValueError if there is no such place (and lists the stages), and ValueError if a
    frozen BatchNorm keeps no running statistics.
    """
    before, after = cut(model, upto)
    trained = {parameter for stage in after for parameter in stage.parameters}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in trained)
        if parameter not in trained:
            parameter.grad = None  # an old gradient would let the optimizer go on moving it
    for module in model.modules():
        _release(module, model.training)
    trained_modules = {module for stage in after for module in stage.modules}
    for module in {module for stage in before for module in stage.modules} - trained_modules:
        module.register_forward_pre_hook(stay_in_eval)
        module.eval()
    return model


def held_modules(model: nn.Module) -> set[nn.Module]:
    """The modules that `freeze` holds in evaluation mode."""
    hooked = [module for module in model.modules() if stay_in_eval in module._forward_pre_hooks.values()]
    return {inner for module in hooked for inner in module.modules()}


def stay_in_eval(module: nn.Module, inputs) -> None:
    """The hook of frozen modules: a plain function, to survive deepcopy, torch.save and torch.compile."""
    if module.training:
        module.eval()


def _release(module: nn.Module, training: bool) -> None:
    hooks = module._forward_pre_hooks
    for key in [key for key, hook in hooks.items() if hook is stay_in_eval]:
        del hooks[key]
        module.train(training)


def parameter_groups(
    model: nn.Module, lr: float, decay: float = 1.0, weight_decay: float = 0.0
) -> list[dict]:
    """Parameter groups for a torch optimizer: one for each stage with parameters, from input to head.

    The head learns at the rate `lr`, each stage before it at `decay` times the rate of the next
    (discriminative learning rates: Howard and Ruder, 2018). With a `weight_decay`, biases and normalisation
    are spared from it: they form groups of their own, such as "layer4/no_decay".

    Frozen parameters are in the groups, too: an optimizer skips what has no gradient, and takes it up once
    it is unfrozen. So the groups never change, and learning rate schedules and checkpoints stay valid.
    Raises ValueError for a negative lr or weight_decay, or a decay that is not positive.
    """
    if not (lr >= 0 and decay > 0 and weight_decay >= 0):
        raise ValueError(f"need lr >= 0, decay > 0, weight_decay >= 0; got {lr=}, {decay=}, {weight_decay=}")
    groups = []
    for stage in reversed([stage for stage in stages(model) if stage.parameters]):
        spared = [parameter for parameter in stage.parameters if weight_decay and parameter.ndim <= 1]
        others = [parameter for parameter in stage.parameters if not (weight_decay and parameter.ndim <= 1)]
        pair = [
            {"name": stage.name, "params": others, "lr": lr, "weight_decay": weight_decay},
            {"name": f"{stage.name}/no_decay", "params": spared, "lr": lr, "weight_decay": 0.0},
        ]
        groups = [group for group in pair if group["params"]] + groups
        lr *= decay
    return groups
