"""Which parts of a network train, normalise again or are copied: BatchNorm, parameter-efficient subsets, transplanted stages."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from helpers.freezing import stay_in_eval
from helpers.heads import find_head, mode
from helpers.stages import cut, stages

BATCHNORM = ("live", "frozen", "statistics", "re-estimated")
SUBSETS = ("batchnorm", "bias", "lora")
NORMALISATION = (_NormBase, nn.LayerNorm, nn.GroupNorm)
RANK = 8  # of LoRA's update of a weight matrix


def set_batchnorm(model: nn.Module, how: str, images: torch.Tensor | None = None) -> nn.Module:
    """Treat all BatchNorm layers of a model alike, whether their stages are frozen or not; in place.

    how  "live"          normalise by the batch and go on averaging, in frozen stages too: what a backbone does that
                         only has requires_grad=False and is put into training mode
         "frozen"        normalise by the source's running statistics; scale and shift do not train
         "statistics"    as "live", but scale and shift do not train
         "re-estimated"  as "frozen", after the running statistics were measured again on `images`, normalised
                         float32 (N, 3, H, W), on any device

    Call it after `freeze`, which sets modes and requires_grad again. A live layer normalises by the batch only where gradients
    are recorded, so that validation and prediction use its running statistics.
    Raises ValueError for another `how`, "re-estimated" without images, and a model without BatchNorm.
    Source of the four: Ioffe and Szegedy, 2015 (live); Li et al., Revisiting batch normalization, 2016 (re-estimated).
    """
    if how not in BATCHNORM:
        raise ValueError(f"how={how!r} must be one of {', '.join(map(repr, BATCHNORM))}")
    if not (layers := _batchnorm_layers(model)):
        raise ValueError(f"{type(model).__name__} has no BatchNorm layers")
    if how == "re-estimated":
        if images is None:
            raise ValueError('"re-estimated" needs the images to measure the statistics on')
        reestimate(model, images)
    release_batchnorm(model)
    at_rest = how in ("frozen", "re-estimated")
    for layer in layers:
        if how != "live":
            layer.requires_grad_(False)
        if at_rest:
            layer.eval()
        layer.register_forward_pre_hook(stay_in_eval if at_rest else follow_the_batch)
    return model


@torch.no_grad()
def reestimate(model: nn.Module, images: torch.Tensor, batch_size: int = 100) -> None:
    """Measure the running statistics of all BatchNorm layers again: the mean over the batches of `images`."""
    where = next(model.parameters()).device
    momenta = {layer: layer.momentum for layer in _batchnorm_layers(model)}
    hooks = [layer.register_forward_pre_hook(_train) for layer in momenta]
    with mode(model, training=False):
        for layer in momenta:
            layer.reset_running_stats()
            layer.momentum = None  # a plain average over all batches
        for batch in images.tensor_split(-(-len(images) // batch_size)):
            model(batch.to(where))
    for hook in hooks:
        hook.remove()
    for layer, momentum in momenta.items():
        layer.momentum = momentum


def follows_batches(model: nn.Module) -> bool:
    """Whether a BatchNorm layer normalises by the batch in training, as a model is set now."""
    return any(layer.training or follow_the_batch in layer._forward_pre_hooks.values() for layer in _batchnorm_layers(model))


def has_batchnorm(model: nn.Module) -> bool:
    """Whether a model has BatchNorm layers, for which `set_batchnorm` can say what they do."""
    return bool(_batchnorm_layers(model))


def release_batchnorm(model: nn.Module) -> None:
    """Undo what `set_batchnorm` does in training; parameters and statistics keep their values."""
    for layer in _batchnorm_layers(model):
        for key in [key for key, hook in layer._forward_pre_hooks.items() if hook is follow_the_batch]:
            del layer._forward_pre_hooks[key]


def follow_the_batch(module: nn.Module, inputs) -> None:
    """The hook of live layers: in training mode where gradients are recorded, whatever mode the stage is in."""
    module.train(torch.is_grad_enabled())


def _train(module: nn.Module, inputs) -> None:
    module.train()


def _batchnorm_layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def train_only(model: nn.Module, what: str, rank: int = RANK) -> nn.Module:
    """Among the parameters that train now (after `freeze`), go on training the head and

        "batchnorm"  scales and shifts of normalisation layers (BatchNorm, LayerNorm, GroupNorm): Frankle et al., 2021
        "bias"       additive parameters only, those of normalisation layers too: BitFit, Ben Zaken et al., 2022
        "lora"       for each linear layer, two new matrices whose product, of this `rank`, is added to its weight,
                     which is frozen: Hu et al., 2022. The library peft puts them in; they start as no change

    In place, and returns the model. Where the head alone trains, that is what goes on. `merge_adapters` turns a network
    with LoRA into an ordinary one. The output projections inside torch's MultiheadAttention get none: attention reads
    their weights and never calls them.

    Raises ValueError for another `what`, a rank below 1 and a network that has nothing of the kind before its head;
    ImportError if "lora" is asked for without peft.
    """
    if what not in SUBSETS:
        raise ValueError(f"what={what!r} must be one of {', '.join(map(repr, SUBSETS))}")
    if what == "lora" and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
        raise ValueError(f"rank={rank!r} must be a whole number, 1 or more")
    training = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    of_head = _head_parameters(model)
    chosen = _chosen(model, what, of_head)
    if what == "lora":
        found = [name for name in chosen if f"{name}.weight" in training]
        if found:
            _inject(model, found, rank)
        chosen = {name for name, _ in model.named_parameters() if ".lora_" in name}
        training |= {name for name in chosen if name.split(".lora_")[0] in found} | of_head & training
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in training and (name in chosen or name in of_head))
        if not parameter.requires_grad:
            parameter.grad = None  # an old gradient would let the optimizer go on moving it
    return model


def merge_adapters(model: nn.Module) -> nn.Module:
    """Add what LoRA has learnt to the weights and take the adapters out again; in place, and returns the model.

    The network then has its old layers and answers as before, up to rounding. One without adapters stays as it is.
    """
    adapters = [(name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")]
    for name, module in adapters:
        module.merge()
        model.set_submodule(name, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    return model


def added_by(model: nn.Module) -> dict[str, int]:
    """Of a network's parameters: how many there are in all, how many train, how many of those are the head's."""
    of_head, training = _head_parameters(model), [p for p in model.named_parameters() if p[1].requires_grad]
    return {
        "all": sum(parameter.numel() for parameter in model.parameters()),
        "training": sum(parameter.numel() for _, parameter in training),
        "head": sum(parameter.numel() for name, parameter in training if name in of_head),
    }


def _head_parameters(model: nn.Module) -> set[str]:
    head = {id(parameter) for parameter in stages(model)[-1].parameters}
    return {name for name, parameter in model.named_parameters() if id(parameter) in head}


def _chosen(model: nn.Module, what: str, of_head: set[str]) -> set[str]:
    """The names of the parameters (for "lora": of the layers) of this kind before the head, frozen ones too."""
    if what == "bias":
        chosen = {name for name, _ in model.named_parameters() if name.endswith("bias")}
        kind = "biases"
    elif what == "batchnorm":
        layers = [(name, module) for name, module in model.named_modules() if isinstance(module, NORMALISATION)]
        chosen = {f"{name}.{own}" for name, module in layers for own, _ in module.named_parameters(recurse=False)}
        kind = "normalisation layers with scales and shifts"
    else:
        chosen = {name for name, module in model.named_modules() if type(module) is nn.Linear} - {find_head(model)}
        chosen = {name for name in chosen if not name.endswith("base_layer") and ".lora_" not in name}
        kind = "linear layers"
        if any(hasattr(module, "lora_A") for module in model.modules()):
            return chosen  # it has adapters already
    if not chosen - of_head:
        raise ValueError(f'train_only(model, "{what}"): {type(model).__name__} has no {kind} before its head')
    return chosen


def _inject(model: nn.Module, layers: list[str], rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError('"lora" needs the library peft, which is not installed: pip install peft') from error
    device = next(model.parameters()).device
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers), model)
    model.to(device)


@torch.no_grad()
def transplant(donor: nn.Module, into: nn.Module, upto: str | float) -> nn.Module:
    """Copy all parameters and buffers of the stages before `upto` (as in `freeze`) from donor into another network.

    In place, and returns it; the heads may differ. Raises what `freeze` raises, and ValueError if the networks differ.
    Source of the experiment: Yosinski et al., How transferable are features in deep neural networks?, 2014.
    """
    before, _ = cut(into, upto)
    modules = {inner for stage in before for module in stage.modules for inner in module.modules()}
    wanted = {id(tensor) for module in modules for tensor in (*module.parameters(False), *module.buffers(False))}
    wanted |= {id(parameter) for stage in before for parameter in stage.parameters}
    given = donor.state_dict()
    for name, tensor in into.state_dict(keep_vars=True).items():
        if id(tensor) in wanted:
            if name not in given or given[name].shape != tensor.shape:
                raise ValueError(f"the donor has no {name} of shape {tuple(tensor.shape)}: not the same architecture")
            tensor.copy_(given[name])
    return into
